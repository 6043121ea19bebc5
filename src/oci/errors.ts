// The error codes of the distribution spec, and what happens when content does not match its name.
import type { Digest } from './digest.ts';

// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
export type OciErrorCode =
  | 'BLOB_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  /** Not in the spec: distribution's word for a page size that is no number. */
  | 'PAGINATION_NUMBER_INVALID'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNAVAILABLE'
  | 'UNSUPPORTED';

/** Something a client must be told in the spec's own words. */
export class OciError extends Error {
  override readonly name = 'OciError';
  readonly code: OciErrorCode;
  readonly detail: unknown;

  constructor(code: OciErrorCode, message: string, options: { detail?: unknown; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.detail = options.detail;
  }
}

/** The bytes that arrived are not the bytes that were named. Nothing of them is kept. */
export class DigestMismatchError extends Error {
  override readonly name = 'DigestMismatchError';

  constructor(expected: Digest, found: string) {
    super(`content was discarded: ${expected}: its bytes hash to ${found}`);
  }
}
