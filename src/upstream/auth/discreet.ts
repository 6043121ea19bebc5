// The refusals of a registry that was shown a login: it may say again what it saw, to every client and into the log.
import { bareMediaType } from '../../oci/media-types.ts';
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

/** Of what is no content only the codes of a refusal are left to be quoted; of its head, only what has a form. */
export function discreet(response: UpstreamResponse): UpstreamResponse {
  const { status, header, bytes } = response;
  const isContent = status === 200 || status === 206;
  return {
    ...response,
    header: (name) => formed(name, header(name)),
    bytes: async (limit) => (isContent ? bytes(limit) : codesOf(await bytes(limit))),
  };
}

/** Of the fields that our own complaints quote. */
function formed(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined;
  if (name === 'content-type') return /^[a-z]+\/[a-z0-9.+-]+$/.exec(bareMediaType(value))?.[0];
  if (name === 'content-range') return /^bytes [\d*-]+\/[\d*]+$/.exec(value)?.[0];
  if (name === 'content-encoding') return /^[a-z]{1,8}$/.exec(value)?.[0] ?? 'an unknown';
  return value;
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
