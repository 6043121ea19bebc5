// Hashes what rests here, slowly and for ever: first files whose content nobody knows, then everything once a week.
import { setTimeout as sleep } from 'node:timers/promises';
import { errorText } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { StoredBlob } from '../store/records.ts';
import { type CheckParts, checkBlob } from './check-blob.ts';

export interface ScrubOptions extends CheckParts {
  readonly metrics: Pick<Metrics, 'scrubbedBlobs'>;
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

  async #check(blob: StoredBlob, bytesPerSecond: number): Promise<void> {
    const { log, metrics, signal } = this.#options;
    const verdict = await checkBlob(this.#options, blob, {
      signal,
      mayDrop: true,
      pace: (bytes) => this.#pace(bytes, bytesPerSecond),
      sliceBytes: Math.max(mebibyte, Math.ceil(bytesPerSecond / 8)),
    });
    const { digest, size } = blob;
    if (verdict.state === 'true') metrics.scrubbedBlobs.inc({ result: 'ok' });
    else if (verdict.state === 'missing') log.warn({ digest, size }, 'the file of a blob is gone');
    else if (verdict.state === 'damaged') {
      if (verdict.isHashed) metrics.scrubbedBlobs.inc({ result: 'damaged' });
      log.warn({ digest, size, found: verdict.found }, 'a stored blob was damaged; it will be fetched again');
    } else if (verdict.state === 'unread')
      log.debug({ digest, reason: verdict.found }, 'a stored blob could not be checked');
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
