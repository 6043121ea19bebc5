// The transfers in flight, one a digest. The table is touched only between awaits, so a look and a start are one step.
import { errorText, type Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Digest } from '../oci/digest.ts';
import { DigestMismatchError } from '../oci/errors.ts';
import { formatRepository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import type { Spools } from '../store/spools.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Budget } from './budget.ts';
import { Fill, type FillOptions } from './fill.ts';
import { failureReason } from './fill-failure.ts';
import { Slots } from './slots.ts';

export interface FillsOptions {
  readonly store: BlobStore;
  readonly spools: Spools;
  readonly records: Records;
  readonly budget: Pick<Budget, 'reserve'>;
  readonly disk: Pick<Disk, 'report'>;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly maxFills: number;
  readonly stopping: AbortSignal;
}

export interface Wish {
  /** What the repository's manifest says of the length; `undefined` when no manifest named the blob. */
  readonly size: number | undefined;
  /** Where the first reader begins. */
  readonly from: number;
}

/** Siblings leave most connections to those that somebody waits for; with very few there are none to spare. */
const connectionsASibling = 3;
/** The layers of some dozen images; more would only wait for an upstream that stands still. */
const mostWaiting = 500;

export class Fills {
  readonly #options: FillsOptions;
  readonly #running = new Map<Digest, Fill>();
  /** Those too that have left the table and still put their bytes away. */
  readonly #ending = new Set<Promise<unknown>>();
  readonly #slots: Slots;

  constructor(options: FillsOptions) {
    this.#options = options;
    this.#slots = new Slots(options.maxFills);
  }

  find(digest: Digest): Fill | undefined {
    return this.#running.get(digest);
  }

  /** The caller has just seen, in the same turn, that none runs and that the digest is not stored. */
  start(source: Source, digest: Digest, wish: Wish): Fill {
    this.#makeRoom();
    return this.#start(source, digest, { ...wish, isWanted: true, isPlain: false });
  }

  /** For a blob that nobody waits for yet, if any connection can be spared; under the conditions of `start`. */
  startSibling(source: Source, digest: Digest, size: number): void {
    const waiting = [...this.#running.values()].filter((fill) => !fill.isWanted && !fill.hasSlot).length;
    if (mostSpared(source) === 0 || waiting >= mostWaiting || !source.upstream.mayAsk('blob')) return;
    this.#start(source, digest, { size, from: 0, isWanted: false, isPlain: false });
  }

  /** Somebody waits now for what nobody waited for before. */
  want(fill: Fill): void {
    if (!fill.want()) return;
    if (!fill.hasSlot) this.#makeRoom();
    this.#slots.next();
  }

  /** Where the log and the metrics hear of a transfer, in a fill or past the disk. */
  reports(source: Source, digest: Digest): Pick<FillOptions, 'onResume' | 'onRecovered'> {
    const { metrics, log } = this.#options;
    const about = { repository: formatRepository(source.repository), digest };
    return {
      onResume: (position, cause) => {
        metrics.fillResumes.inc();
        log.info({ ...about, position, error: errorText(cause) }, 'a broken transfer goes on');
      },
      onRecovered: (bytes) => {
        metrics.resumedBytes.inc(bytes);
        log.info({ ...about, bytes }, 'goes on with what an earlier fill left');
      },
    };
  }

  /** Waits until every fill has ended; to end them early, abort the `stopping` signal. */
  async drained(): Promise<void> {
    while (this.#ending.size > 0) await Promise.all(this.#ending);
  }

  #start(source: Source, digest: Digest, wish: Wish & { readonly isWanted: boolean; readonly isPlain: boolean }): Fill {
    const fill: Fill = new Fill({
      ...this.#options,
      ...wish,
      ...this.reports(source, digest),
      slots: this.#slots,
      lanes: () => this.#lanes(source),
      maySpare: () => this.#spared(source) < mostSpared(source),
      source,
      digest,
      onSettled: (failure) => {
        if (this.#running.get(digest) !== fill) return;
        this.#running.delete(digest);
        if (failure instanceof DigestMismatchError) source.upstream.distrust(digest);
        // Once more from nothing, for those who come now; the next failure is the last.
        if (failure instanceof DigestMismatchError && !wish.isPlain)
          this.#start(source, digest, { ...wish, isWanted: fill.isWanted, isPlain: true });
        this.#count();
      },
    });
    this.#running.set(digest, fill);
    this.#count();
    const ended = fill.ended.then((failure) => {
      this.#ending.delete(ended);
      if (failure !== undefined) this.#report(source, digest, failure);
    });
    this.#ending.add(ended);
    return fill;
  }

  /** With every slot taken, the latest fill that nobody waits for makes place. */
  #makeRoom(): void {
    if (this.#slots.free > 0) return;
    [...this.#running.values()].findLast((fill) => fill.canYield)?.yield();
  }

  /** The connections to an upstream are shared evenly: the first of many fills must not keep the last from beginning. */
  #lanes({ upstream }: Source): number {
    const fills = [...this.#running.values()].filter(
      (fill) => fill.isWanted && fill.hasSlot && fill.source.upstream === upstream,
    );
    return Math.max(1, Math.min(upstream.parallel, Math.floor(upstream.transfers / Math.max(1, fills.length))));
  }

  /** Fills from the upstream that nobody waits for. */
  #spared({ upstream }: Source): number {
    return [...this.#running.values()].filter((fill) => fill.canYield && fill.source.upstream === upstream).length;
  }

  #count(): void {
    this.#options.metrics.fillsInFlight.set(this.#running.size);
  }

  #report(source: Source, digest: Digest, failure: unknown): void {
    const { metrics, log } = this.#options;
    const reason = failureReason(failure);
    if (reason === undefined) return;
    metrics.fillFailures.inc({ reason });
    const repository = formatRepository(source.repository);
    log.warn({ repository, digest, reason, error: errorText(failure) }, 'fill failed');
  }
}

function mostSpared({ upstream }: Source): number {
  return Math.floor(upstream.transfers / connectionsASibling);
}
