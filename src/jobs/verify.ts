// Everything that rests here hashed again at once, for whoever wants to know now: what lies is told, and dropped if asked for; what
// could not be read is told.
import { availableParallelism } from 'node:os';
import type { Digest } from '../oci/digest.ts';
import type { StoredBlob } from '../store/records.ts';
import { type CheckParts, checkBlob, type Verdict } from './check-blob.ts';

export type VerifyParts = CheckParts;

export interface VerifyOptions {
  /** Whether what lies goes, file and record: the next pull fetches it again. */
  readonly repair: boolean;
  readonly signal: AbortSignal;
  readonly onEvent?: (event: VerifyEvent) => void;
}

export interface VerifyResult {
  /** Those that are true, damaged or missing; what was evicted or stored anew meanwhile is in none of these. */
  readonly checkedBlobs: number;
  readonly checkedBytes: number;
  readonly damaged: number;
  readonly missing: number;
  /** Could not be read, and so not checked. */
  readonly unread: number;
  readonly dropped: number;
}

export type VerifyEvent =
  | {
      readonly type: 'progress';
      readonly checkedBlobs: number;
      /** As of its beginning: blobs come and go meanwhile. */
      readonly totalBlobs: number;
      readonly checkedBytes: number;
      readonly totalBytes: number;
    }
  | {
      /** `unread`: nobody knows, and so it is never dropped. */
      readonly type: 'damaged' | 'missing' | 'unread';
      readonly digest: Digest;
      readonly sizeBytes: number;
      /** The digest or the length that it has, or why it cannot be read. */
      readonly found?: string;
      readonly isDropped: boolean;
    }
  | ({ readonly type: 'done' } & VerifyResult);

const pageSize = 64;
const tellMs = 250;
/** One a core that hashes: more would only take turns. */
const atOnce = Math.min(4, Math.max(1, availableParallelism() - 1));

/** Rejects with the signal's reason, and when the index cannot be used. */
export async function verify(parts: VerifyParts, options: VerifyOptions): Promise<VerifyResult> {
  const { onEvent = () => {} } = options;
  const failing = new AbortController();
  const signal = AbortSignal.any([options.signal, failing.signal]);
  const { bytes: totalBytes, blobs: totalBlobs } = parts.records.totals;
  const count = { checkedBlobs: 0, checkedBytes: 0, damaged: 0, missing: 0, unread: 0, dropped: 0 };
  const tell = () => {
    const { checkedBlobs, checkedBytes } = count;
    onEvent({ type: 'progress', checkedBlobs, totalBlobs, checkedBytes, totalBytes });
  };
  let toldAt = performance.now();
  const check = async (blob: StoredBlob) => {
    const verdict = await checkBlob(parts, blob, { signal, mayDrop: options.repair });
    const finding = findingOf(blob, verdict, options);
    if (verdict.state !== 'changed' && verdict.state !== 'unread') {
      count.checkedBlobs++;
      count.checkedBytes += blob.size;
    }
    if (finding) {
      count[finding.type]++;
      if (finding.isDropped) count.dropped++;
      onEvent(finding);
    }
    if (performance.now() - toldAt < tellMs) return;
    toldAt = performance.now();
    tell();
  };

  tell();
  const blobs = pages(parts);
  const work = async () => {
    try {
      for (const blob of blobs) {
        signal.throwIfAborted();
        await check(blob);
      }
    } catch (error) {
      failing.abort(error);
    }
  };
  // All of them are over when it is, however it ends.
  await Promise.all(Array.from({ length: atOnce }, work));
  signal.throwIfAborted();
  tell();
  onEvent({ type: 'done', ...count });
  return count;
}

/** In digest order; what comes meanwhile may be among them. */
function pages({ records }: VerifyParts): Iterable<StoredBlob> {
  let page: StoredBlob[] = [];
  let last = '';
  let isEnded = false;
  const next = (): IteratorResult<StoredBlob> => {
    if (page.length === 0 && !isEnded) {
      page = records.blobsAfter(last, pageSize);
      last = page.at(-1)?.digest ?? last;
      isEnded = page.length === 0;
    }
    const value = page.shift();
    return value ? { value } : { value: undefined, done: true };
  };
  // One for all who take from it.
  return { [Symbol.iterator]: () => ({ next }) };
}

function findingOf(
  { digest, size: sizeBytes }: StoredBlob,
  verdict: Verdict,
  { repair }: VerifyOptions,
): Exclude<VerifyEvent, { readonly type: 'progress' | 'done' }> | undefined {
  if (verdict.state === 'true' || verdict.state === 'changed') return undefined;
  const { state: type } = verdict;
  const found = type === 'missing' ? undefined : verdict.found;
  return { type, digest, sizeBytes, ...(found !== undefined && { found }), isDropped: repair && type !== 'unread' };
}
