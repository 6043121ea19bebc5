// A manifest: the exact bytes an upstream gave, their descriptor, and what they name.
import type { Descriptor } from './descriptor.ts';
import { type Digest, parseDigest } from './digest.ts';
import { OciError } from './errors.ts';
import { bareMediaType, isManifestType, mediaTypes } from './media-types.ts';
import { type Platform, platformOf } from './platform.ts';

export interface Manifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** Manifests above this are refused while they are read: the spec lets a registry refuse above 4 MiB. */
export const maxManifestBytes = 4 * 1024 * 1024;

export interface ManifestChildren {
  /** The config is the first, where there is one. */
  readonly blobs: readonly Descriptor[];
  readonly config: Descriptor | undefined;
  readonly manifests: readonly Descriptor[];
  /** Those of `manifests` that are of no platform: BuildKit's attestations, which nobody runs. */
  readonly attestations: ReadonlySet<Digest>;
  /** Of those of `manifests` that say what they run on. */
  readonly platforms: ReadonlyMap<Digest, Platform>;
  /** The manifest that this one refers to, a signature to its image. */
  readonly subject: Digest | undefined;
}

/**
 * The descriptors a manifest names. Throws `OciError` MANIFEST_INVALID when the bytes are not a manifest of
 * `mediaType`: not JSON, another `mediaType` inside, both an index and an image (the ambiguity behind
 * GHSA-77vh-xpmg-72qh), or a malformed descriptor.
 */
export function manifestChildren(bytes: Uint8Array, mediaType: string): ManifestChildren {
  const body = parseObject(bytes);
  const inner = body.mediaType;
  if (inner !== undefined && inner !== mediaType)
    throw invalid(`it was sent as ${mediaType} but calls itself ${JSON.stringify(inner)}`);

  const isIndex = mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerList;
  if (isIndex && ('layers' in body || 'config' in body)) throw invalid('an index with layers or a config is ambiguous');
  if (!isIndex && 'manifests' in body) throw invalid('an image manifest with manifests is ambiguous');

  const subject = subjectOf(body);
  if (isIndex) {
    const children = descriptors(body.manifests ?? [], 'manifests');
    return {
      subject,
      config: undefined,
      manifests: children.filter((child) => isManifestType(child.mediaType)),
      blobs: children.filter((child) => !isManifestType(child.mediaType)),
      attestations: attestationsOf(body),
      platforms: platformsOf(body),
    };
  }
  const [config] = 'config' in body ? descriptors([body.config], 'config') : [];
  const blobs = [...(config ? [config] : []), ...descriptors(body.layers ?? [], 'layers')];
  return { subject, config, blobs, manifests: [], attestations: new Set(), platforms: new Map() };
}

/** The manifest type an upstream meant; `undefined` for anything a container client cannot use. */
export function manifestMediaType(contentType: string): string | undefined {
  const bare = bareMediaType(contentType);
  return isManifestType(bare) ? bare : undefined;
}

function parseObject(bytes: Uint8Array): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw invalid('it is not JSON', cause);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid('it is not a JSON object');
  return body as Record<string, unknown>;
}

/** https://github.com/moby/buildkit/blob/master/docs/attestations/attestation-storage.md */
function attestationsOf({ manifests }: Record<string, unknown>): ReadonlySet<Digest> {
  const entries = (manifests ?? []) as { digest: Digest; platform?: { os?: unknown; architecture?: unknown } }[];
  const isNobodys = ({ platform }: (typeof entries)[number]) =>
    platform?.os === 'unknown' && platform.architecture === 'unknown';
  return new Set(entries.filter(isNobodys).map(({ digest }) => digest));
}

function platformsOf({ manifests }: Record<string, unknown>): ReadonlyMap<Digest, Platform> {
  const entries = (manifests ?? []) as { digest: Digest; platform?: unknown }[];
  return new Map(
    entries.flatMap(({ digest, platform }) => {
      const given = platformOf(platform);
      return given ? [[digest, given] as const] : [];
    }),
  );
}

/** One that is malformed is none: the manifest can be pulled all the same. */
function subjectOf({ subject }: Record<string, unknown>): Digest | undefined {
  const { digest } = (subject ?? {}) as { digest?: unknown };
  return typeof digest === 'string' ? parseDigest(digest) : undefined;
}

function descriptors(list: unknown, field: string): Descriptor[] {
  if (!Array.isArray(list)) throw invalid(`${field} is not a list`);
  return list.map((entry: unknown, index) => {
    const { mediaType, digest, size } = (entry ?? {}) as Record<string, unknown>;
    const parsed = typeof digest === 'string' ? parseDigest(digest) : undefined;
    if (!parsed || typeof mediaType !== 'string' || !Number.isSafeInteger(size) || (size as number) < 0)
      throw invalid(`${field}[${index}] is not a descriptor`);
    return { mediaType, digest: parsed, size: size as number };
  });
}

function invalid(why: string, cause?: unknown): OciError {
  return new OciError('MANIFEST_INVALID', `the manifest cannot be used: ${why}`, { cause });
}
