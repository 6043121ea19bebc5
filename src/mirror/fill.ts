// One transfer that fills the cache for everyone who asks for the digest. It belongs to no request.
import type { Digest } from '../oci/digest.ts';
import { DigestMismatchError } from '../oci/errors.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Records } from '../store/records.ts';
import type { Spool } from '../store/spool.ts';
import type { Spools } from '../store/spools.ts';
import { type BlobTransfer, UpstreamError } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { linkBlob } from './links.ts';
import type { Slots } from './slots.ts';

/** Token, redirects and refusals included. */
const longestAnswerMs = 30_000;

export interface FillOptions {
  readonly source: Source;
  readonly digest: Digest;
  /** What the repository's manifest says of the length; `undefined` when no manifest named the blob. */
  readonly size: number | undefined;
  readonly store: BlobStore;
  readonly spools: Spools;
  readonly records: Records;
  readonly slots: Slots;
  readonly stopping: AbortSignal;
  /** Called in the same turn in which the outcome becomes visible: afterwards nobody may join. */
  readonly onSettled: () => void;
}

export class Fill {
  readonly source: Source;
  /**
   * Settles once: a spool that readers may be opened on, `undefined` when the upstream proved it has no such blob, or
   * the upstream's error.
   */
  readonly opened: Promise<Spool | undefined>;
  /** Never rejects; the failure, if the blob was not committed. */
  readonly ended: Promise<unknown>;
  readonly #options: FillOptions;
  readonly #controller = new AbortController();

  constructor(options: FillOptions) {
    this.source = options.source;
    this.#options = options;
    const opened = Promise.withResolvers<Spool | undefined>();
    this.opened = opened.promise;
    this.opened.catch(() => {}); // nobody may be waiting any more
    this.ended = this.#run(opened.resolve).then(
      () => undefined,
      (error: unknown) => {
        options.onSettled();
        opened.reject(error);
        return error;
      },
    );
  }

  async #run(open: (spool: Spool | undefined) => void): Promise<void> {
    const { slots, stopping } = this.#options;
    const signal = AbortSignal.any([stopping, this.#controller.signal]);
    const release = await slots.acquire(signal);
    try {
      await this.#transfer(open, signal);
    } finally {
      // Ends a body that nobody read to its end; after a whole one it ends nothing.
      this.#controller.abort();
      release();
    }
  }

  async #transfer(open: (spool: Spool | undefined) => void, signal: AbortSignal): Promise<void> {
    const { source, digest, records, spools, onSettled } = this.#options;
    const transfer = await this.#answer(signal);
    if (!transfer) {
      onSettled();
      open(undefined);
      return;
    }
    const size = this.#agreedSize(transfer);
    const spool = await spools.create(digest, size);
    try {
      linkBlob(records, source.repository, digest, size);
      // An empty blob has no last byte to withhold: it opens when it is proven.
      if (size > 0) open(spool);
      await receive(transfer, spool);
      await spool.verify();
      open(spool);
      await this.#commit(spool);
    } catch (error) {
      onSettled();
      await spool.discard(error instanceof Error ? error : new Error(String(error)));
      throw error;
    } finally {
      await spool.close();
    }
  }

  /** The head of the answer only: a body is bounded by its pauses, not by its length. */
  async #answer(signal: AbortSignal): Promise<BlobTransfer | undefined> {
    const { source, digest } = this.#options;
    const late = setTimeout(
      () => this.#controller.abort(new DOMException('the upstream did not answer', 'TimeoutError')),
      longestAnswerMs,
    );
    try {
      return await source.upstream.fetchBlob(source.repository.path, digest, signal);
    } finally {
      clearTimeout(late);
    }
  }

  async #commit(spool: Spool): Promise<void> {
    const { store, records, digest, onSettled } = this.#options;
    await spool.commit(store);
    records.putBlob(digest, spool.size);
    onSettled();
  }

  #agreedSize({ size }: BlobTransfer): number {
    const { source, digest, size: told } = this.#options;
    const found = size ?? told;
    if (found === undefined)
      throw new UpstreamError('protocol', `upstream ${source.upstream.name} sends ${digest} without a length`);
    if (told !== undefined && told !== found)
      throw new UpstreamError(
        'protocol',
        `upstream ${source.upstream.name} sends ${found} bytes for ${digest}, its manifest says ${told}`,
      );
    return found;
  }
}

async function receive({ body }: BlobTransfer, spool: Spool): Promise<void> {
  for await (const chunk of body) {
    if (spool.prefix + chunk.length > spool.size)
      throw new UpstreamError('protocol', `more than the ${spool.size} bytes of ${spool.digest} arrived`);
    await spool.write(chunk, spool.prefix);
  }
  if (spool.prefix !== spool.size)
    throw new UpstreamError(
      'unreachable',
      `the transfer ended after ${spool.prefix} of ${spool.size} bytes of ${spool.digest}`,
    );
}

/** The label of `stillwater_fill_failures_total`. */
export function failureReason(error: unknown): string {
  if (error instanceof UpstreamError) return error.failure;
  if (error instanceof DigestMismatchError) return 'digest';
  return (error as Error)?.name === 'AbortError' ? 'stopped' : 'disk';
}
