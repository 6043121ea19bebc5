// Reloads: the configuration read again and brought into effect as one, or not at all; one at a time.
import type { LoadedConfig } from './config/load.ts';
import { compareConfigs } from './config/restart-keys.ts';
import type { Config } from './config/schema.ts';
import { errorText, type Log } from './observe/log.ts';

export interface ReloadResult {
  /** Key paths in effect from now on. */
  readonly changed: readonly string[];
  /** Key paths that have changed since the start and wait for a restart. */
  readonly needsRestart: readonly string[];
}

export interface LastReload {
  /** Milliseconds of the epoch. */
  readonly at: number;
  readonly error: string | undefined;
  readonly needsRestart: readonly string[];
}

export interface ReloadsOptions {
  /** What counts now. */
  readonly config: Config;
  readonly load: () => LoadedConfig;
  /** Brings it into effect, or throws and changes nothing. */
  readonly apply: (config: Config) => Promise<void>;
  readonly log: Log;
  readonly onEnd: (last: LastReload) => void;
}

export class Reloads {
  readonly #options: ReloadsOptions;
  #config: Config;
  #last: LastReload | undefined;
  #running: Promise<unknown> = Promise.resolve();
  /** One that has not begun: it will read what is there then, whoever asks for it. */
  #next: Promise<ReloadResult> | undefined;
  #isClosed = false;

  constructor(options: ReloadsOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  get last(): LastReload | undefined {
    return this.#last;
  }

  /** Rejects with one line that says what is wrong; the old configuration counts then. */
  run(): Promise<ReloadResult> {
    this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      return this.#run();
    });
    this.#running = this.#next.catch(() => {});
    return this.#next;
  }

  /** Waits for the one that runs; no other begins. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running;
  }

  /** For whoever waits for no answer: the log says how it went. */
  async tell(): Promise<void> {
    const { log } = this.#options;
    await this.run().catch((error) => {
      log.error({ error: errorText(error) }, 'the configuration was not reloaded: what was loaded before counts');
    });
  }

  async #run(): Promise<ReloadResult> {
    const { load, apply, log } = this.#options;
    if (this.#isClosed) throw new Error('the mirror is stopping');
    try {
      const { config } = load();
      const { effective, changed, needsRestart } = compareConfigs(this.#config, config);
      await apply(effective);
      this.#config = effective;
      this.#end({ error: undefined, needsRestart });
      if (needsRestart.length > 0) log.warn({ needsRestart }, 'some changes need a restart');
      log.info({ changed }, 'the configuration was reloaded');
      return { changed, needsRestart };
    } catch (error) {
      this.#end({ error: errorText(error), needsRestart: this.#last?.needsRestart ?? [] });
      throw error;
    }
  }

  #end(how: Omit<LastReload, 'at'>): void {
    this.#last = { at: Date.now(), ...how };
    this.#options.onEnd(this.#last);
  }
}
