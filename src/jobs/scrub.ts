// Hashes what rests here, slowly and for ever: first files whose content nobody knows, then everything once a week.
import { type Stats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText, type Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { type Digest, digestAlgorithm, digestEncoded } from '../oci/digest.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Layout } from '../store/layout.ts';
import type { Records, StoredBlob } from '../store/records.ts';
import type { Verifier } from '../store/verifier.ts';
import { abandonable } from '../upstream/abandonable.ts';

export interface ScrubOptions {
  readonly layout: Layout;
  readonly records: Records;
  readonly store: BlobStore;
  readonly verifier: Pick<Verifier, 'follow'>;
  readonly metrics: Pick<Metrics, 'scrubbedBlobs'>;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly bytesPerSecond?: number;
  /** For files that may not be served before they were hashed. */
  readonly unprovenBytesPerSecond?: number;
  /** Milliseconds of the epoch, never going back. */
  readonly now?: () => number;
  /** Rejects when the signal fires. */
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<unknown>;
}

const mebibyte = 1024 * 1024;
const cycleMs = 7 * 24 * 60 * 60 * 1000;
/** How often it looks for new unproven files, and remembers how far it is. */
const lookMs = 30_000;
const retryMs = 60_000;
const turnSize = 64;
/** What opening a file counts for, in bytes: small blobs come by the thousand. */
const blobCost = 64 * 1024;
/** Shorter waits are saved up. */
const shortestWaitMs = 20;

const cursorKey = 'scrub.cursor';
const beganKey = 'scrub.began';
/** As cursor: the cycle has come to its end. */
const ended = 'ended';

export class Scrub {
  readonly #options: ScrubOptions;
  readonly #now: () => number;
  #due = 0;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(options: ScrubOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.timeOrigin + performance.now());
  }

  /** Until the signal fires; never rejects. */
  async run(): Promise<void> {
    const { signal, log } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#proveFound();
        await this.#cycle();
        await this.#wait(lookMs);
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ reason: errorText(error) }, 'stored blobs could not be checked; they will be later');
        await this.#wait(retryMs).catch(() => {});
      }
    }
  }

  async #proveFound(): Promise<void> {
    const { records, unprovenBytesPerSecond = 128 * mebibyte } = this.#options;
    this.#lookedAt = this.#now();
    for (let last = ''; ; ) {
      const blobs = records.unprovenAfter(last, turnSize);
      for (const blob of blobs) await this.#check(blob, unprovenBytesPerSecond);
      last = blobs.at(-1)?.digest ?? '';
      if (blobs.length < turnSize) return;
    }
  }

  /** Goes on where the last one ended, which may have been in another process. */
  async #cycle(): Promise<void> {
    const { records, bytesPerSecond = 16 * mebibyte } = this.#options;
    for (let last = this.#cursor(); last !== ended; ) {
      const blobs = records.blobsAfter(last, turnSize);
      for (const blob of blobs) {
        await this.#check(blob, bytesPerSecond);
        if (this.#now() - this.#lookedAt < lookMs) continue;
        records.putMeta(cursorKey, blob.digest);
        await this.#proveFound();
      }
      last = blobs.at(-1)?.digest ?? ended;
      if (last === ended) records.putMeta(cursorKey, ended);
    }
  }

  #cursor(): string {
    const { records } = this.#options;
    const cursor = records.meta(cursorKey) ?? ended;
    if (cursor !== ended) return cursor;
    const since = this.#now() - Number(records.meta(beganKey) ?? Number.NaN);
    if (since >= 0 && since < cycleMs) return ended;
    records.batch(() => {
      records.putMeta(beganKey, String(this.#now()));
      records.putMeta(cursorKey, '');
    });
    return '';
  }

  async #check({ digest, size }: StoredBlob, bytesPerSecond: number): Promise<void> {
    const path = this.#options.layout.blob(digest);
    const before = await stat(path).catch(() => undefined);
    const encoded = before?.size === size ? await this.#hash(digest, size, bytesPerSecond) : undefined;
    this.#settle(digest, before, encoded);
  }

  /** In one turn, so that what was hashed is what is judged: the blob may have been evicted and stored anew. */
  #settle(digest: Digest, before: Stats | undefined, encoded: string | undefined): void {
    const { layout, records, log, metrics } = this.#options;
    const record = records.blob(digest);
    const file = statSync(layout.blob(digest), { throwIfNoEntry: false });
    if (!record) return;
    if (file?.size !== record.size) {
      log.warn({ digest, size: record.size, found: file?.size }, 'the file of a blob is gone or cut short');
      this.#drop(digest);
    } else if (encoded === undefined || file.ino !== before?.ino || file.mtimeMs !== before.mtimeMs) return;
    else if (encoded === digestEncoded(digest)) {
      if (!record.proven) records.prove(digest);
      metrics.scrubbedBlobs.inc({ result: 'ok' });
    } else {
      log.warn({ digest, found: encoded }, 'a stored blob was damaged; it will be fetched again');
      metrics.scrubbedBlobs.inc({ result: 'damaged' });
      this.#drop(digest);
    }
  }

  #drop(digest: Digest): void {
    const { records, store, log } = this.#options;
    records.deleteBlob(digest);
    store.remove(digest).catch((error: unknown) => {
      log.warn({ digest, reason: errorText(error) }, 'the file of a damaged blob could not be removed');
    });
  }

  /** `undefined` when the file could not be read for a reason that says nothing about its bytes. */
  async #hash(digest: Digest, size: number, bytesPerSecond: number): Promise<string | undefined> {
    const { layout, verifier, signal, log } = this.#options;
    const slice = Math.max(mebibyte, Math.ceil(bytesPerSecond / 8));
    const following = verifier.follow(layout.blob(digest), digestAlgorithm(digest));
    try {
      await this.#pace(blobCost, bytesPerSecond);
      for (let end = 0; end < size; ) {
        const next = Math.min(size, end + slice);
        following.advance(next);
        await this.#pace(next - end, bytesPerSecond);
        end = next;
      }
      return await abandonable(following.finish(), signal);
    } catch (error) {
      following.abandon();
      signal.throwIfAborted();
      const reason = errorText(error);
      // What the disk cannot read any more is as good as wrong.
      if (/\bEIO\b/.test(reason)) return reason;
      log.debug({ digest, reason }, 'a stored blob could not be checked');
      return undefined;
    }
  }

  async #pace(bytes: number, bytesPerSecond: number): Promise<void> {
    const now = this.#now();
    this.#due = Math.max(this.#due, now) + (bytes / bytesPerSecond) * 1000;
    if (this.#due - now >= shortestWaitMs) await this.#wait(this.#due - now);
  }

  async #wait(ms: number): Promise<void> {
    const { signal, wait = (time) => sleep(time, undefined, { signal }) } = this.#options;
    signal.throwIfAborted();
    await wait(ms, signal);
  }
}
