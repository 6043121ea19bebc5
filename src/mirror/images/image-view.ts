// One cached image as people are shown it: what it runs on, how much of it is here, and whether a pull would be served.
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Manifest, ManifestChildren } from '../../oci/manifest.ts';
import { isForeignType } from '../../oci/media-types.ts';
import { formatPlatform, type Platform, platformOf } from '../../oci/platform.ts';
import { formatRepository, type Repository } from '../../oci/repository.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import type { Records } from '../../store/records.ts';
import { contentsOf } from './image-contents.ts';
import { type ImageEntry, isTagged } from './image-entries.ts';
import type { ImageReader } from './image-reader.ts';
import type { Pace } from './pace.ts';

export interface ImagePlatform {
  /** `linux/arm64`; `undefined` of what says none, such as a chart. */
  readonly platform: string | undefined;
  readonly digest: Digest;
  /** Of manifest, config and layers, as the manifest says. */
  readonly sizeBytes: number;
  /** Of these, what rests here. */
  readonly storedBytes: number;
  readonly isComplete: boolean;
}

export interface CachedImage {
  /** `docker.io/library/redis` */
  readonly repository: string;
  /** `undefined`: known by its digest alone. */
  readonly tag: string | undefined;
  readonly digest: Digest;
  readonly mediaType: string;
  /** Of an index: those whose manifest is here, without attestations. */
  readonly platforms: readonly ImagePlatform[];
  /** Of all of it that rests here, each blob once. */
  readonly storedBytes: number;
  /** A pull of at least one platform would be served with every upstream away. */
  readonly isComplete: boolean;
  readonly isPinned: boolean;
  /** Not everybody may see it. */
  readonly isPrivate: boolean;
  /** Of the manifest, in milliseconds of the epoch. */
  readonly lastUsedAt: number | undefined;
  /** When the upstream last said that the tag means this, in milliseconds of the epoch. */
  readonly checkedAt: number | undefined;
}

export interface ViewOptions {
  readonly records: Records;
  readonly store: Pick<BlobStore, 'look'>;
  readonly reader: ImageReader;
  readonly pace: Pace;
  readonly signal: AbortSignal;
}

interface Leaf {
  readonly manifest: Manifest;
  readonly children: ManifestChildren;
  /** As an index says. */
  readonly platform: Platform | undefined;
}

/** An index of more is not one that anybody looks at whole. */
const mostPlatforms = 200;
const mostReferrers = 500;
const largestConfig = 1024 * 1024;

/** `undefined` when there is nothing that could be served under that name. */
export async function viewOf(
  options: ViewOptions,
  { repository, tag, digest, checkedAt }: ImageEntry,
): Promise<Omit<CachedImage, 'isPinned'> | undefined> {
  const { records, reader, signal } = options;
  const root = await reader.manifest(repository, digest);
  if (!root) return undefined;
  const platforms: ImagePlatform[] = [];
  for await (const leaf of leavesOf(options, repository, root)) {
    platforms.push(await platformView(options, repository, leaf));
    if (platforms.length === mostPlatforms) break;
  }
  return {
    repository: formatRepository(repository),
    ...{ tag, digest, platforms, checkedAt },
    mediaType: root.manifest.descriptor.mediaType,
    storedBytes: await storedBytesOf(options, repository, digest),
    isComplete: await reader.isWhole(repository, root.manifest, signal),
    isPrivate: repository.isPrivate === true,
    lastUsedAt: records.lastUse(digest),
  };
}

/** Of all that an image is made of, its signatures too. */
export async function storedBytesOf(
  { records, reader, pace }: ViewOptions,
  repository: Repository,
  root: Digest,
): Promise<number> {
  const seen = {
    childrenOf: (digest: Digest) => childrenSeen(reader, repository, digest),
    referrersOf: referrersIn(records, repository),
  };
  let bytes = 0;
  for await (const digest of contentsOf([root], seen)) {
    bytes += reader.storedBytes(repository, digest);
    await pace.rest();
  }
  return bytes;
}

/** Those that have no name of their own. */
export function referrersIn(records: Records, repository: Repository): (digest: Digest) => readonly Digest[] {
  return (subject) =>
    records.referrers(repository, subject, mostReferrers).filter((digest) => !isTagged(records, repository, digest));
}

async function childrenSeen(
  reader: ImageReader,
  repository: Repository,
  digest: Digest,
): Promise<ManifestChildren | undefined> {
  return (await reader.manifest(repository, digest))?.children;
}

/** The images of an index that are here, of an index in it too; or the image itself. */
async function* leavesOf(
  { reader }: ViewOptions,
  repository: Repository,
  root: Omit<Leaf, 'platform'>,
): AsyncGenerator<Leaf> {
  const leaves: Leaf[] = [{ ...root, platform: undefined }];
  const seen = new Set<Digest>();
  for (const leaf of leaves) {
    const { manifests, attestations, platforms } = leaf.children;
    if (manifests.length === 0) yield leaf;
    for (const { digest } of manifests) {
      if (attestations.has(digest) || seen.has(digest)) continue;
      seen.add(digest);
      const found = await reader.manifest(repository, digest);
      if (found) leaves.push({ ...found, platform: platforms.get(digest) });
    }
  }
}

async function platformView(options: ViewOptions, repository: Repository, leaf: Leaf): Promise<ImagePlatform> {
  const { reader, signal } = options;
  const { descriptor } = leaf.manifest;
  const blobs = new Map(leaf.children.blobs.filter(isOurs).map((blob) => [blob.digest, blob.size]));
  const platform = leaf.platform ?? (await configuredPlatform(options, repository, leaf.children.config));
  const stored = [...blobs.keys()].map((blob) => reader.storedBytes(repository, blob));
  return {
    platform: platform && formatPlatform(platform),
    digest: descriptor.digest,
    sizeBytes: sum([descriptor.size, ...blobs.values()]),
    storedBytes: sum([descriptor.size, ...stored]),
    isComplete: await reader.isWhole(repository, leaf.manifest, signal),
  };
}

async function configuredPlatform(
  { store, reader }: ViewOptions,
  repository: Repository,
  config: Descriptor | undefined,
): Promise<Platform | undefined> {
  if (!config || config.size > largestConfig || reader.storedBytes(repository, config.digest) !== config.size)
    return undefined;
  const bytes = await store.look(config.digest, config.size);
  try {
    return bytes && platformOf(JSON.parse(Buffer.from(bytes).toString()));
  } catch {
    return undefined; // a config of something else than an image
  }
}

/** Layers that are had elsewhere are no part of what a mirror serves. */
function isOurs({ mediaType }: Descriptor): boolean {
  return !isForeignType(mediaType);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, number) => all + number, 0);
}
