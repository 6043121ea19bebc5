// What refers to a digest: the image index that lists it, in the words of the spec's referrers API and its fallback tag.
import type { Descriptor } from './descriptor.ts';
import { type Digest, digestAlgorithm, digestEncoded } from './digest.ts';
import type { Manifest } from './manifest.ts';
import { mediaTypes } from './media-types.ts';

export interface Referrer extends Descriptor {
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, unknown>>;
}

/** Where clients keep the list on a registry without the API. */
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md#referrers-tag-schema
export function referrersTag(digest: Digest): string {
  return `${digestAlgorithm(digest).slice(0, 32)}-${digestEncoded(digest).slice(0, 64)}`;
}

export function referrersIndex(manifests: readonly Referrer[]): Uint8Array {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }));
}

/** As a registry lists it. `undefined` when the bytes are no JSON object. */
export function describeReferrer({ descriptor, bytes }: Manifest): Referrer | undefined {
  const body = objectIn(bytes);
  if (!body) return undefined;
  const { artifactType, annotations, config } = body;
  const type = text(artifactType) ?? text((config as { mediaType?: unknown } | null | undefined)?.mediaType);
  return {
    ...descriptor,
    ...(type !== undefined && { artifactType: type }),
    ...(isObject(annotations) && { annotations }),
  };
}

/** An index with those of one type, the same bytes if they are all; for an index that has been read as one before. */
export function withArtifactType(index: Uint8Array, artifactType: string): Uint8Array {
  const body = objectIn(index) ?? {};
  const all = Array.isArray(body.manifests) ? body.manifests : [];
  const manifests = all.filter((entry: Referrer | null) => entry?.artifactType === artifactType);
  return manifests.length === all.length ? index : Buffer.from(JSON.stringify({ ...body, manifests }));
}

function objectIn(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const body: unknown = JSON.parse(Buffer.from(bytes).toString());
    return isObject(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Empty where it says nothing: the spec's word for "none" is to leave it out. */
function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
