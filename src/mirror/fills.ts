// The transfers in flight, one a digest. The table is touched only between awaits, so a look and a start are one step.
import { errorText, type Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Digest } from '../oci/digest.ts';
import { formatRepository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Records } from '../store/records.ts';
import type { Spools } from '../store/spools.ts';
import type { Source } from '../upstream/upstreams.ts';
import { Fill, failureReason } from './fill.ts';
import { Slots } from './slots.ts';

export interface FillsOptions {
  readonly store: BlobStore;
  readonly spools: Spools;
  readonly records: Records;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly maxFills: number;
  readonly stopping: AbortSignal;
}

export class Fills {
  readonly #options: FillsOptions;
  readonly #running = new Map<Digest, Fill>();
  readonly #slots: Slots;

  constructor(options: FillsOptions) {
    this.#options = options;
    this.#slots = new Slots(options.maxFills);
  }

  find(digest: Digest): Fill | undefined {
    return this.#running.get(digest);
  }

  /** The caller has just seen, in the same turn, that none runs and that the digest is not stored. */
  start(source: Source, digest: Digest, size: number | undefined): Fill {
    const fill = new Fill({
      ...this.#options,
      slots: this.#slots,
      source,
      digest,
      size,
      onSettled: () => {
        if (this.#running.get(digest) === fill) this.#running.delete(digest);
        this.#count();
      },
    });
    this.#running.set(digest, fill);
    this.#count();
    void fill.ended.then((failure) => failure !== undefined && this.#report(source, digest, failure));
    return fill;
  }

  /** Waits until every fill has ended; to end them early, abort the `stopping` signal. */
  async drained(): Promise<void> {
    await Promise.all([...this.#running.values()].map((fill) => fill.ended));
  }

  #count(): void {
    this.#options.metrics.fillsInFlight.set(this.#running.size);
  }

  #report(source: Source, digest: Digest, failure: unknown): void {
    const { metrics, log } = this.#options;
    const reason = failureReason(failure);
    metrics.fillFailures.inc({ reason });
    log.warn(
      { repository: formatRepository(source.repository), digest, reason, error: errorText(failure) },
      'fill failed',
    );
  }
}
