// The one parser of request targets under /v2/: which endpoint, which name, which reference. Grammar before anything.
import { type Digest, parseDigest } from '../oci/digest.ts';
import { OciError } from '../oci/errors.ts';
import { decodePath } from '../oci/raw-path.ts';
import { parseReference, type Reference } from '../oci/reference.ts';

export type PullTarget =
  | { readonly kind: 'ping' }
  | { readonly kind: 'catalog' }
  /** Part of the push side of the API, which a mirror refuses. */
  | { readonly kind: 'upload'; readonly name: string }
  | { readonly kind: 'manifest'; readonly name: string; readonly reference: Reference }
  | { readonly kind: 'blob'; readonly name: string; readonly digest: Digest }
  | { readonly kind: 'tags'; readonly name: string }
  | { readonly kind: 'referrers'; readonly name: string; readonly digest: Digest };

export interface PullPath {
  readonly target: PullTarget;
  /** What stood in front of `/v2/`: dockerd since 25 lets a mirror's URL have a path. */
  readonly prefix: string | undefined;
  readonly ns: string | undefined;
  readonly query: URLSearchParams;
}

const endpoint = /^(?:\/(?!v2(?:\/|$))([^/]+))?\/v2(?:\/(.*))?$/;
const content = /^(.+)\/(manifests|blobs|referrers)\/([^/]+)$/;

/**
 * Reads the raw request target, before any URL parser has tidied it up. `undefined` when it is not ours; throws
 * `OciError` when it is, but is malformed.
 */
export function parsePullPath(rawTarget: string): PullPath | undefined {
  const mark = rawTarget.indexOf('?');
  const rawPath = mark === -1 ? rawTarget : rawTarget.slice(0, mark);
  const query = new URLSearchParams(mark === -1 ? '' : rawTarget.slice(mark + 1));
  const match = endpoint.exec(decodePath(rawPath));
  if (!match) return undefined;
  return { target: parseTarget(match[2] ?? ''), prefix: match[1], ns: oneNamespace(query), query };
}

function parseTarget(rest: string): PullTarget {
  if (rest === '') return { kind: 'ping' };
  if (rest === '_catalog') return { kind: 'catalog' };
  if (rest.endsWith('/tags/list')) return { kind: 'tags', name: rest.slice(0, -'/tags/list'.length) };
  const upload = /^(.+)\/blobs\/uploads(?:\/.*)?$/.exec(rest)?.[1];
  if (upload !== undefined) return { kind: 'upload', name: upload };
  const [, name, endpointName, reference] = content.exec(rest) ?? [];
  if (name === undefined || reference === undefined)
    throw new OciError('NAME_UNKNOWN', 'this is not an endpoint of the registry API');
  if (endpointName === 'manifests') return { kind: 'manifest', name, reference: manifestReference(reference) };
  const digest = validDigest(reference);
  return endpointName === 'blobs' ? { kind: 'blob', name, digest } : { kind: 'referrers', name, digest };
}

function manifestReference(text: string): Reference {
  const reference = parseReference(text);
  if (reference) return reference;
  if (text.includes(':')) return { digest: validDigest(text) };
  throw new OciError('MANIFEST_UNKNOWN', `not a tag: ${JSON.stringify(text)}`);
}

function validDigest(text: string): Digest {
  const digest = parseDigest(text);
  if (digest) return digest;
  throw new OciError('DIGEST_INVALID', `not a sha256 or sha512 digest: ${JSON.stringify(text)}`);
}

function oneNamespace(query: URLSearchParams): string | undefined {
  const [first, ...others] = new Set(query.getAll('ns').filter((ns) => ns !== ''));
  if (others.length > 0) throw new OciError('NAME_UNKNOWN', 'the ns parameter names different registries');
  return first;
}
