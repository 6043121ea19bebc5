// The files of an archive that is both an OCI image layout and what `docker load` has always taken.
import { Buffer } from 'node:buffer';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { isForeignType, mediaTypes } from '../oci/media-types.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { ImageTree } from './image-tree.ts';
import { dockerFile, imageConfigTypes } from './read-docker-archive.ts';
import { blobName, imageNameKey, indexFile, layoutFile, layoutVersion, refNameKey } from './read-image-layout.ts';
import type { TarFile } from './write-tar.ts';

/** One image under one of its names, with what of it goes along. */
export interface ExportedImage {
  /** `docker.io/library/redis:7` */
  readonly name: string;
  readonly reference: Reference;
  readonly root: Descriptor;
  readonly manifests: readonly Manifest[];
  readonly blobs: readonly Descriptor[];
  /** The one that `docker load` gets: it knows nothing of platforms. */
  readonly forDocker: ImageTree | undefined;
}

/** In the order of their names, so that the same images make the same bytes. */
export function archiveFiles(
  images: readonly ExportedImage[],
  openBlob: (blob: Descriptor) => AsyncIterable<Uint8Array>,
): TarFile[] {
  const files = new Map<string, TarFile>();
  const add = (file: TarFile): void => void files.set(file.name, file);
  for (const { blobs, manifests } of images) {
    for (const blob of blobs) add({ name: blobName(blob.digest), sizeBytes: blob.size, open: () => openBlob(blob) });
    for (const { descriptor, bytes } of manifests) add(fileOf(blobName(descriptor.digest), bytes));
  }
  add(fileOf(layoutFile, json({ imageLayoutVersion: layoutVersion })));
  add(fileOf(indexFile, json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: listed(images) })));
  const forDocker = dockerEntries(images);
  if (forDocker.length > 0) add(fileOf(dockerFile, json(forDocker)));
  return [...files.values()].sort((one, other) => (one.name < other.name ? -1 : 1));
}

function listed(images: readonly ExportedImage[]): object[] {
  const tags = images.map(({ reference }) => formatReference(reference));
  return images.map(({ root, name, reference }) => {
    // By their tags images are told apart as long as no two have the same.
    const isAlone = tags.filter((tag) => tag === formatReference(reference)).length === 1;
    const { mediaType, digest, size } = root;
    const refName = 'digest' in reference ? {} : { [refNameKey]: isAlone ? reference.tag : name };
    return { mediaType, digest, size, annotations: { [imageNameKey]: name, ...refName } };
  });
}

/** An image once, with all its tags. */
function dockerEntries(images: readonly ExportedImage[]): object[] {
  const entries = new Map<Digest, { Config: string; RepoTags: string[] | null; Layers: string[] }>();
  for (const { forDocker, name, reference } of images) {
    if (!forDocker?.manifest || !forDocker.config) continue;
    const known = entries.get(forDocker.descriptor.digest);
    const tags = 'tag' in reference ? [name] : [];
    const all = [...(known?.RepoTags ?? []), ...tags];
    entries.set(forDocker.descriptor.digest, {
      Config: blobName(forDocker.config.digest),
      RepoTags: all.length > 0 ? all : null,
      Layers: layersOf(forDocker.manifest).map(({ digest }) => blobName(digest)),
    });
  }
  return [...entries.values()];
}

/** Whether Docker can run it, and all of it is at hand: no chart, no signature, no layer that must come from elsewhere. */
export function isForDocker({ manifest, config, missing }: ImageTree): boolean {
  if (!manifest || missing.length > 0) return false;
  const isImage = config?.mediaType === imageConfigTypes.oci || config?.mediaType === imageConfigTypes.docker;
  return isImage && !layersOf(manifest).some(({ mediaType }) => isForeignType(mediaType));
}

/** Each as often as it is named: an image may have the same layer twice. */
function layersOf({ bytes }: Manifest): readonly Descriptor[] {
  return (JSON.parse(Buffer.from(bytes).toString()) as { layers?: Descriptor[] }).layers ?? [];
}

function fileOf(name: string, bytes: Uint8Array): TarFile {
  return { name, sizeBytes: bytes.length, open: () => once(bytes) };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}
