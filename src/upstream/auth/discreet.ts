// The refusals of a registry that was shown a login: it may say again what it saw, to every client and into the log.
import type { UpstreamResponse } from '../transport.ts';

/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes, and what registries add. */
const codes: ReadonlySet<unknown> = new Set([
  'BLOB_UNKNOWN',
  'DENIED',
  'DIGEST_INVALID',
  'MANIFEST_BLOB_UNKNOWN',
  'MANIFEST_INVALID',
  'MANIFEST_UNKNOWN',
  'NAME_INVALID',
  'NAME_UNKNOWN',
  'TAG_INVALID',
  'TOOMANYREQUESTS',
  'UNAUTHORIZED',
  'UNAVAILABLE',
  'UNKNOWN',
  'UNSUPPORTED',
]);

/** Of a refusal only its codes are left to be quoted. */
export function discreet(response: UpstreamResponse): UpstreamResponse {
  if (response.status < 400) return response;
  return { ...response, bytes: async (limit) => codesOf(await response.bytes(limit)) };
}

function codesOf(bytes: Uint8Array): Uint8Array {
  try {
    const { errors } = JSON.parse(Buffer.from(bytes).toString()) as { errors?: { code?: unknown }[] };
    const known = errors?.filter(({ code }) => codes.has(code)).map(({ code }) => ({ code })) ?? [];
    return Buffer.from(JSON.stringify({ errors: known }));
  } catch {
    return new Uint8Array();
  }
}
