// Cached images as one tar, for `docker load`, skopeo and another mirror: the blobs as they are, under their own digests.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { OciError } from '../oci/errors.ts';
import { formatImage } from '../oci/image-name.ts';
import type { Manifest } from '../oci/manifest.ts';
import { isManifestType } from '../oci/media-types.ts';
import { type Platform, platformOf } from '../oci/platform.ts';
import type { Reference } from '../oci/reference.ts';
import type { Repository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Records } from '../store/records.ts';
import { choosePlatforms, forThisMachine, notWhole, type PlatformWish } from './choose-platforms.ts';
import { HeldBlobs } from './held-blobs.ts';
import { type ImageTree, ImageTrees, type Shelf } from './image-tree.ts';
import { archiveFiles, type ExportedImage, isForDocker } from './write-archive.ts';
import { tarBytes, writeTar } from './write-tar.ts';

/** Of an open cache. */
export interface ExportParts {
  readonly records: Pick<Records, 'blob' | 'link' | 'tag'>;
  readonly store: Pick<BlobStore, 'open' | 'has' | 'readAll'>;
}

export interface ExportOptions {
  readonly images: readonly { readonly repository: Repository; readonly reference: Reference }[];
  readonly platforms: PlatformWish;
  readonly signal: AbortSignal;
}

export interface Exported {
  /** Once. Rejects where the cache lost something meanwhile; nothing is held before it is begun, nor when it is ended. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Of the body. */
  readonly sizeBytes: number;
  readonly files: readonly { readonly name: string; readonly sizeBytes: number }[];
}

const mostConfigBytes = 4 * 1024 * 1024;

/** Rejects with `OciError` NAME_UNKNOWN when something that is named is not here whole. */
export async function exportImages(parts: ExportParts, options: ExportOptions): Promise<Exported> {
  const { images, platforms, signal } = options;
  const trees = new ImageTrees(shelfOf(parts));
  const exported = new Map<string, ExportedImage>();
  for (const image of images) {
    signal.throwIfAborted();
    const name = formatImage(image.repository, image.reference);
    exported.set(name, await exportedImage(parts, trees, { ...image, name, platforms }));
  }
  const held = new HeldBlobs(
    parts.store,
    [...exported.values()].flatMap(({ blobs }) => blobs),
  );
  const lost = await held.missing(signal);
  for (const { name, blobs } of exported.values()) {
    const blob = blobs.find(({ digest }) => digest === lost);
    if (blob) throw notWhole(name, blob.digest, name);
  }
  const files = archiveFiles([...exported.values()], (blob) => held.read(blob, signal));
  return { body: held.during(writeTar(files), signal), sizeBytes: tarBytes(files), files };
}

async function exportedImage(
  parts: ExportParts,
  trees: ImageTrees,
  {
    name,
    repository,
    reference,
    platforms,
  }: ExportOptions['images'][number] & { name: string; platforms: PlatformWish },
): Promise<ExportedImage> {
  const descriptor = rootOf(parts, repository, reference);
  if (!descriptor)
    throw new OciError('NAME_UNKNOWN', `nothing is cached as ${name}; stillwater prefetch ${name} brings it`);
  const root = await trees.root(descriptor);
  const chosen = await choosePlatforms(root, {
    name,
    wish: platforms,
    platformOf: (image) => platformInConfig(parts, image),
  });
  return {
    ...{ name, reference, root: descriptor },
    ...along(root, new Set([...chosen.images, ...chosen.attestations].map((tree) => tree.descriptor.digest))),
    forDocker: forThisMachine(chosen.images.filter(isForDocker)),
  };
}

/** As everybody sees it who sees all of it. */
function rootOf(
  { records }: ExportParts,
  { registry, path }: Repository,
  reference: Reference,
): Descriptor | undefined {
  const repository = { registry, path, isPrivate: true };
  const digest = 'digest' in reference ? reference.digest : records.tag(repository, reference.tag)?.digest;
  const link = digest && records.link(repository, digest);
  const record = digest && records.blob(digest);
  if (!link || record?.mediaType === undefined) return undefined;
  return { digest, size: record.size, mediaType: isManifestType(link.mediaType) ? link.mediaType : record.mediaType };
}

function shelfOf({ records, store }: ExportParts): Shelf {
  const has = ({ digest, size }: Descriptor): boolean => {
    const record = records.blob(digest);
    return record?.proven === true && record.size === size;
  };
  return {
    has,
    manifest: async (descriptor) => {
      if (!has(descriptor)) return undefined;
      const bytes = await store.readAll(descriptor.digest, descriptor.size);
      return bytes && { descriptor, bytes };
    },
  };
}

async function platformInConfig({ store }: ExportParts, { config }: ImageTree): Promise<Platform | undefined> {
  if (!config || config.size > mostConfigBytes) return undefined;
  const bytes = await store.readAll(config.digest, config.size);
  try {
    return bytes && platformOf(JSON.parse(Buffer.from(bytes).toString()));
  } catch {
    return undefined; // no image's config: it says nothing of a platform
  }
}

/** What is chosen with the indexes that lead to it, what is named before that which names it. */
function along(root: ImageTree, chosen: ReadonlySet<Digest>): Pick<ExportedImage, 'manifests' | 'blobs'> {
  const manifests = new Map<Digest, Manifest>();
  const blobs = new Map<Digest, Descriptor>();
  const known = new Map<Digest, boolean>();
  const visit = (tree: ImageTree): boolean => {
    const { digest } = tree.descriptor;
    const before = known.get(digest);
    if (before !== undefined) return before;
    const isAlong = tree.children.map(visit).includes(true) || chosen.has(digest);
    known.set(digest, isAlong);
    if (!isAlong || !tree.manifest) return false;
    for (const blob of tree.blobs) blobs.set(blob.digest, blob);
    manifests.set(digest, tree.manifest);
    return true;
  };
  visit(root);
  return { manifests: [...manifests.values()], blobs: [...blobs.values()] };
}
