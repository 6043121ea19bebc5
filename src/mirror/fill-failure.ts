// How a fill can end without a committed blob, besides its upstream's own failures.
import type { Digest } from '../oci/digest.ts';
import { DigestMismatchError } from '../oci/errors.ts';
import { isDiskFault } from '../store/disk.ts';
import { UpstreamError } from '../upstream/upstream.ts';

/** The disk has no room for this blob, or takes no bytes: who wants it reads past the disk. */
export class NoRoomError extends Error {
  override readonly name = 'NoRoomError';

  constructor(digest: Digest) {
    super(`no room for ${digest} within cache.maxSize and cache.minFree; it is streamed past the disk`);
  }
}

/** It made place: for somebody who waits, or for a registry that is trusted more. */
export class YieldedError extends Error {
  override readonly name = 'YieldedError';
}

/** Whether readers may go on past the disk: the upstream did nothing wrong. */
export function goesOnPastDisk(error: unknown): boolean {
  return error instanceof NoRoomError || error instanceof YieldedError || isDiskFault(error);
}

/** Wrong bytes cannot be gone on with, and a full disk needs the room. */
export function isWorthless(error: unknown): boolean {
  return error instanceof DigestMismatchError || isDiskFault(error);
}

/** The label of `stillwater_fill_failures_total`; `undefined` for what is no failure. */
export function failureReason(error: unknown): string | undefined {
  if (error instanceof YieldedError) return undefined;
  if (error instanceof UpstreamError) return error.failure;
  if (error instanceof DigestMismatchError) return 'digest';
  return (error as Error)?.name === 'AbortError' ? 'stopped' : 'disk';
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
