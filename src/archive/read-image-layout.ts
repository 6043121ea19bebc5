// The images of an OCI image layout: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestAlgorithm, digestEncoded } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { mediaTypes } from '../oci/media-types.ts';
import { isTag } from '../oci/reference.ts';
import { ArchiveError } from './archive-error.ts';
import { type ArchiveFiles, readJson, readText } from './archive-files.ts';
import type { ArchiveWork } from './archive-work.ts';
import type { Arrived } from './arrivals.ts';
import { type FoundImage, foundIn } from './found-image.ts';
import { ImageTrees, namedIn } from './image-tree.ts';
import { checkNames } from './name-images.ts';

export const layoutFile = 'oci-layout';
export const layoutVersion = '1.0.0';
export const indexFile = 'index.json';
/** containerd's, and so Docker's: the whole name. */
export const imageNameKey = 'io.containerd.image.name';
/** The specification's: a tag mostly; Podman writes the whole name. */
export const refNameKey = 'org.opencontainers.image.ref.name';

type Annotations = Readonly<Record<string, unknown>>;

/** Throws `ArchiveError` unless every image it lists is there whole and is what it says. */
export async function readImageLayout(files: ArchiveFiles, work: ArchiveWork): Promise<FoundImage[]> {
  const version = files.find(layoutFile);
  const { imageLayoutVersion } = ((version && (await readJson(version))) ?? {}) as Record<string, unknown>;
  if (imageLayoutVersion !== layoutVersion)
    throw new ArchiveError(
      `the archive's image layout is of version ${JSON.stringify(imageLayoutVersion)}, not ${layoutVersion}`,
    );
  const index = files.find(indexFile);
  if (!index) throw new ArchiveError(`the archive has ${layoutFile}, and no ${indexFile}`);

  const trees = new ImageTrees({
    manifest: (descriptor) => manifestIn(files, descriptor),
    has: (blob) => fileFor(files, blob) !== undefined,
  });
  const fileOf = (blob: Digest) => files.find(blobName(blob));
  const found = new Map<Digest, FoundImage>();
  const images = await listed(index);
  checkNames(indexFile, images.length);
  for (const { descriptor, annotations } of images) {
    const { digest } = descriptor;
    const known = found.get(digest);
    const { name, tag } = namesIn(annotations);
    const names = [...(known?.names ?? []), ...(name === undefined ? [] : [name])];
    const image = known ?? (await foundIn(await trees.root(descriptor), { fileOf, work }));
    if (image.manifests.length === 0)
      throw new ArchiveError(`the archive is not whole: ${indexFile} names ${digest}, which is not in it`);
    found.set(digest, { ...image, names, tag: known?.tag ?? tag });
  }
  return [...found.values()];
}

/** In an archive, as in a folder. */
export function blobName(digest: Digest): string {
  return `blobs/${digestAlgorithm(digest)}/${digestEncoded(digest)}`;
}

/** Of `index.json`, with the annotations beside each manifest. */
async function listed(index: Arrived): Promise<{ descriptor: Descriptor; annotations: Annotations }[]> {
  const bytes = await readText(index);
  const { manifests } = namedIn(bytes, { mediaType: mediaTypes.ociIndex, what: indexFile });
  const body = JSON.parse(Buffer.from(bytes).toString()) as { manifests?: { digest: Digest; annotations?: unknown }[] };
  const all = body.manifests ?? [];
  const isManifest = new Map(manifests.map((descriptor) => [descriptor.digest, descriptor]));
  return all.flatMap(({ digest, annotations }) => {
    const descriptor = isManifest.get(digest);
    return descriptor ? [{ descriptor, annotations: (annotations ?? {}) as Annotations }] : [];
  });
}

function namesIn(annotations: Annotations): { name: string | undefined; tag: string | undefined } {
  const [whole, ref] = [annotations[imageNameKey], annotations[refNameKey]];
  if (typeof whole === 'string') return { name: whole, tag: undefined };
  if (typeof ref !== 'string') return { name: undefined, tag: undefined };
  return isTag(ref) ? { name: undefined, tag: ref } : { name: ref, tag: undefined };
}

async function manifestIn(files: ArchiveFiles, descriptor: Descriptor): Promise<Manifest | undefined> {
  const file = fileFor(files, descriptor);
  return file && { descriptor, bytes: await readText(file) };
}

function fileFor(files: ArchiveFiles, { digest, size }: Descriptor): Arrived | undefined {
  const file = files.find(blobName(digest));
  if (!file) return undefined;
  if (file.digest !== digest)
    throw new ArchiveError(`${blobName(digest)} is a link to ${file.entry}, which is ${file.digest}`);
  if (file.sizeBytes === size) return file;
  throw new ArchiveError(`${file.entry} has ${file.sizeBytes} bytes, and is named as having ${size}`);
}
