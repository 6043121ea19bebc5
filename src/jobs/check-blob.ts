// One stored blob hashed again and judged: what is true is proven, what lies may be dropped; what changed or cannot be read is neither.
import { type Stats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { errorText, type Log } from '../observe/log.ts';
import { type Digest, digestAlgorithm, digestEncoded } from '../oci/digest.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Layout } from '../store/layout.ts';
import type { Records, StoredBlob } from '../store/records.ts';
import type { Verifier } from '../store/verifier.ts';
import { abandonable } from '../upstream/abandonable.ts';

export interface CheckParts {
  readonly layout: Layout;
  readonly records: Records;
  readonly store: Pick<BlobStore, 'remove'>;
  readonly verifier: Pick<Verifier, 'follow'>;
  readonly log: Log;
}

export interface CheckOptions {
  readonly signal: AbortSignal;
  /** Whether what lies goes, file and record. */
  readonly mayDrop: boolean;
  /** Told to hash so many bytes more, or to open the file, and waited for. */
  readonly pace?: (bytes: number) => Promise<void>;
  /** Between two calls of `pace`. */
  readonly sliceBytes?: number;
}

export type Verdict =
  | { readonly state: 'true' }
  /** `found`: the digest or the length that it has, or why the disk cannot read it. */
  | { readonly state: 'damaged'; readonly found: string; readonly isHashed: boolean }
  | { readonly state: 'missing' }
  /** Evicted or stored anew meanwhile. */
  | { readonly state: 'changed' }
  /** Not to be read for a reason that says nothing of its bytes, which is `found`. */
  | { readonly state: 'unread'; readonly found: string };

/** What opening a file counts for, in bytes: small blobs come by the thousand. */
const blobCost = 64 * 1024;

/** Rejects with the signal's reason, and when the index cannot be used. */
export async function checkBlob(
  parts: CheckParts,
  { digest, size }: Pick<StoredBlob, 'digest' | 'size'>,
  options: CheckOptions,
): Promise<Verdict> {
  const before = await stat(parts.layout.blob(digest)).catch(() => undefined);
  const hashed = before?.size === size ? await hash(parts, { digest, size }, options) : undefined;
  return settle(parts, { digest, before, hashed }, options);
}

/** In one turn, so that what was hashed is what is judged: the blob may have been evicted and stored anew. */
function settle(
  parts: CheckParts,
  { digest, before, hashed }: { digest: Digest; before: Stats | undefined; hashed: Hashed | undefined },
  { mayDrop }: CheckOptions,
): Verdict {
  const { layout, records } = parts;
  const record = records.blob(digest);
  if (!record) return { state: 'changed' };
  const file = fileNow(layout.blob(digest));
  if (file instanceof Error) return { state: 'unread', found: errorText(file) };
  if (file?.size !== record.size) {
    if (mayDrop) drop(parts, digest);
    return file ? { state: 'damaged', found: `${file.size} bytes`, isHashed: false } : { state: 'missing' };
  }
  if (!hashed || file.ino !== before?.ino || file.mtimeMs !== before.mtimeMs) return { state: 'changed' };
  if ('unread' in hashed) return { state: 'unread', found: hashed.unread };
  if ('encoded' in hashed && hashed.encoded === digestEncoded(digest)) {
    if (!record.proven) records.prove(digest);
    return { state: 'true' };
  }
  if (mayDrop) drop(parts, digest);
  const found = 'encoded' in hashed ? `${digestAlgorithm(digest)}:${hashed.encoded}` : hashed.unreadable;
  return { state: 'damaged', found, isHashed: true };
}

function drop({ records, store, log }: CheckParts, digest: Digest): void {
  records.deleteBlob(digest);
  store.remove(digest).catch((error: unknown) => {
    log.warn({ digest, reason: errorText(error) }, 'the file of a damaged blob could not be removed');
  });
}

/** `undefined` when there is none; an error when it is not to be told. */
function fileNow(path: string): Stats | Error | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return error as Error;
  }
}

type Hashed =
  | { readonly encoded: string }
  /** By the disk. */
  | { readonly unreadable: string }
  /** For a reason that says nothing of the bytes. */
  | { readonly unread: string };

async function hash(
  { layout, verifier }: CheckParts,
  { digest, size }: Pick<StoredBlob, 'digest' | 'size'>,
  { signal, pace = async () => {}, sliceBytes = Number.POSITIVE_INFINITY }: CheckOptions,
): Promise<Hashed> {
  const following = verifier.follow(layout.blob(digest), digestAlgorithm(digest));
  try {
    await pace(blobCost);
    for (let end = 0; end < size; ) {
      const next = Math.min(size, end + sliceBytes);
      following.advance(next);
      await pace(next - end);
      end = next;
    }
    return { encoded: await abandonable(following.finish(), signal) };
  } catch (error) {
    following.abandon();
    signal.throwIfAborted();
    const reason = errorText(error);
    // What the disk cannot read any more is as good as wrong.
    return /\bEIO\b/.test(reason) ? { unreadable: reason } : { unread: reason };
  }
}
