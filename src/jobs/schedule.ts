// Prefetches at set times: one after the other, each patient, and whatever was missed while nobody ran is not made up for.
import { isDeepStrictEqual } from 'node:util';
import { Cron } from 'croner';
import { errorText, type Log } from '../observe/log.ts';
import { parsePlatform } from '../oci/platform.ts';
import type { PlatformWish, Prefetcher } from './prefetch/prefetch.ts';

export interface ScheduleEntry {
  /** Five fields, in the time zone of the process. */
  readonly cron: string;
  readonly images: readonly string[];
  /** `all`, or such as `linux/amd64`; without it, what this machine runs. */
  readonly platforms?: readonly string[] | undefined;
}

export interface ScheduleOptions {
  readonly entries: readonly ScheduleEntry[];
  readonly prefetcher: Pick<Prefetcher, 'run'>;
  readonly log: Log;
}

export interface NextPrefetch {
  readonly images: readonly string[];
  /** Milliseconds of the epoch. */
  readonly at: number;
}

/** Disposing ends the prefetch that runs, and waits for that. */
export interface Schedule extends AsyncDisposable {
  /**
   * In place of those before; throws and changes nothing where one cannot be. What runs goes on; what waits for its turn
   * and is not among the new ones is left out.
   */
  use(entries: readonly ScheduleEntry[]): void;
  /** The next of each entry, the soonest first. */
  next(): NextPrefetch[];
}

/** Throws for a cron expression that is none. */
export function startSchedule({ entries, ...options }: ScheduleOptions): Schedule {
  const schedule = new CronSchedule(options);
  schedule.use(entries);
  return schedule;
}

interface Planned {
  readonly entry: ScheduleEntry;
  readonly cron: Cron;
  /** It runs, or waits for another one to end. */
  isDue: boolean;
}

class CronSchedule implements Schedule {
  readonly #options: Omit<ScheduleOptions, 'entries'>;
  readonly #stopping = new AbortController();
  #planned: readonly Planned[] = [];
  #running: Promise<void> = Promise.resolve();

  constructor(options: Omit<ScheduleOptions, 'entries'>) {
    this.#options = options;
  }

  use(entries: readonly ScheduleEntry[]): void {
    const before = this.#planned;
    const planned = new Set(entries.map((entry) => before.find(isOf(entry)) ?? plan(entry)));
    this.#planned = [...planned];
    for (const one of before) if (!planned.has(one)) one.cron.stop();
    for (const one of planned) if (!before.includes(one)) this.#arm(one);
  }

  /** Apart from `use`, whose earlier entries would live as long as what is armed there. */
  #arm(planned: Planned): void {
    planned.cron.schedule(() => this.#due(planned));
  }

  next(): NextPrefetch[] {
    return this.#planned
      .flatMap(({ entry, cron }) => {
        const at = cron.nextRun()?.getTime();
        return at === undefined ? [] : [{ images: entry.images, at }];
      })
      .sort((one, other) => one.at - other.at);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.use([]);
    this.#stopping.abort();
    await this.#running;
  }

  /** Behind all that came due before it. */
  #due(planned: Planned): void {
    const { log } = this.#options;
    const { cron, images } = planned.entry;
    if (planned.isDue) {
      log.warn({ cron, images: images.length }, 'a scheduled prefetch is left out: the last one is not over yet');
      return;
    }
    planned.isDue = true;
    this.#running = this.#running.then(() => this.#run(planned));
  }

  async #run(planned: Planned): Promise<void> {
    const { prefetcher, log } = this.#options;
    const { cron, images, platforms } = planned.entry;
    const { signal } = this.#stopping;
    try {
      if (signal.aborted || !this.#planned.includes(planned)) return;
      log.info({ cron, images: images.length }, 'a scheduled prefetch begins');
      await prefetcher.run({ images, platforms: wishOf(platforms), isPatient: true }, { signal });
    } catch (error) {
      log.error({ cron, error: errorText(error) }, 'a scheduled prefetch failed');
    } finally {
      planned.isDue = false;
    }
  }
}

function plan(entry: ScheduleEntry): Planned {
  return { entry, cron: new Cron(entry.cron, { mode: '5-part', unref: true }), isDue: false };
}

function isOf(entry: ScheduleEntry): (planned: Planned) => boolean {
  return (planned) => isDeepStrictEqual(planned.entry, entry);
}

function wishOf(platforms: readonly string[] = []): PlatformWish {
  if (platforms.includes('all')) return 'all';
  return platforms.flatMap((text) => parsePlatform(text) ?? []);
}
