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
import { type Upstream, unlisted } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Budget } from './budget.ts';
import { Fill, type FillOptions } from './fill.ts';
import { failureReason } from './fill-failure.ts';
import type { FillStatus } from './fill-status.ts';
import type { MayUse } from './links.ts';
import { isFull, type Share, Slots } from './slots.ts';

export interface FillsOptions {
  readonly store: BlobStore;
  readonly spools: Spools;
  readonly records: Records;
  readonly mayUse: MayUse;
  /** What everybody could see at one registry is everybody's here. */
  readonly mayShare: () => boolean;
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
/** Of all transfers, for the registries that the configuration does not name, together. */
const shareOfUnlisted = 1 / 4;

export class Fills {
  readonly #options: FillsOptions;
  readonly #running = new Map<Digest, Fill>();
  /** Those too that have left the table and still put their bytes away. */
  readonly #ending = new Set<Promise<unknown>>();
  readonly #slots: Slots;
  readonly #ofUpstream = new WeakMap<Upstream, Share>();
  readonly #ofUnlisted: Share;
  /** Waiting fills for which another one is making place. */
  readonly #promised = new WeakSet<Fill>();

  constructor(options: FillsOptions) {
    this.#options = options;
    this.#slots = new Slots(options.maxFills);
    this.#ofUnlisted = { most: Math.max(1, Math.floor(options.maxFills * shareOfUnlisted)), taken: 0 };
  }

  find(digest: Digest): Fill | undefined {
    return this.#running.get(digest);
  }

  /** Those in flight, in the order in which they began. */
  status(): readonly FillStatus[] {
    return Array.from(this.#running.values(), ({ status }) => status);
  }

  /** The caller has just seen, in the same turn, that none runs and that nothing here counts as stored for the source. */
  start(source: Source, digest: Digest, wish: Wish): Fill {
    return this.#start(source, digest, { ...wish, isWanted: true, isPlain: false });
  }

  /** For a blob that nobody waits for yet, if any connection can be spared; under the conditions of `start`. */
  startSibling(source: Source, digest: Digest, size: number): void {
    const waiting = [...this.#running.values()].filter((fill) => !fill.isWanted && !fill.hasSlot).length;
    if (mostSpared(source) === 0 || waiting >= mostWaiting || !source.upstream.mayAsk('blob')) return;
    this.#start(source, digest, { size, from: 0, isWanted: false, isPlain: false });
  }

  /**
   * Whether a running fill is to make place for one of the same digest from another registry. What anybody can set up
   * must not decide how fast, and whether, the blob of a registry comes that the operator named.
   */
  givesWay(running: Fill, { upstream }: Source): boolean {
    return upstream.label !== unlisted && (running.source.upstream.label === unlisted || !running.isRead);
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
      shares: this.#shares(source),
      origin: this.#originOf(source),
      lanes: () => this.#lanes(source),
      maySpare: () => this.#spared(source) < mostSpared(source),
      source,
      digest,
      onReaders: () => {
        this.#makeRoom();
        this.#slots.next();
      },
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

  /** Which registry alone may go on with what a fill leaves: it sends but the rest, and has the whole. */
  #originOf({ upstream, repository }: Source): string | undefined {
    const isAnybodys = this.#options.mayShare() && !repository.isPrivate && upstream.label !== unlisted;
    return isAnybodys ? undefined : upstream.name;
  }

  /** More of an upstream would only wait for a connection. */
  #shares({ upstream }: Source): readonly Share[] {
    const own = this.#ofUpstream.get(upstream) ?? { most: upstream.transfers, taken: 0 };
    this.#ofUpstream.set(upstream, own);
    return upstream.label === unlisted ? [this.#slots.all, this.#ofUnlisted, own] : [this.#slots.all, own];
  }

  /** For each who waits and cannot begin, the latest fill makes place that nobody waits for or, without one, reads now. */
  #makeRoom(): void {
    const running = [...this.#running.values()];
    const unread = new Set(running.filter((fill) => fill.hasSlot && !fill.isRead));
    if (unread.size === 0) return;
    for (const waiting of running.filter((fill) => fill.isRead && !fill.hasSlot && !this.#promised.has(fill))) {
      const full = this.#shares(waiting.source).filter(isFull);
      const able = [...unread].filter(({ source }) => full.every((share) => this.#shares(source).includes(share)));
      const last = able.findLast((fill) => !fill.isWanted) ?? able.at(-1);
      if (full.length > 0 && last) {
        unread.delete(last);
        this.#makePlace(last, waiting);
      }
    }
  }

  #makePlace(leaving: Fill, waiting: Fill): void {
    this.#promised.add(waiting);
    leaving.yield();
    void leaving.ended.then(() => {
      this.#promised.delete(waiting);
      // Somebody else may have taken it.
      this.#makeRoom();
    });
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
    return [...this.#running.values()].filter(
      (fill) => !fill.isWanted && fill.hasSlot && fill.source.upstream === upstream,
    ).length;
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
