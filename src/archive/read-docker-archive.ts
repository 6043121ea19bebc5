// The images of `docker save` without an image layout: a config and layers without a manifest, which is made here.
// https://github.com/moby/docker-image-spec/blob/main/v1.2.md#combined-image-json--filesystem-changeset-format
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestOf } from '../oci/digest.ts';
import { mediaTypes } from '../oci/media-types.ts';
import { ArchiveError } from './archive-error.ts';
import { type ArchiveFiles, readHead, readJson } from './archive-files.ts';
import type { ArchiveWork } from './archive-work.ts';
import type { Arrived } from './arrivals.ts';
import type { FoundBlob, FoundImage } from './found-image.ts';
import { checkNames } from './name-images.ts';
import { magicBytes, packingOf, type UnpackOptions, unpacked } from './unpack.ts';

export const dockerFile = 'manifest.json';

export const imageConfigTypes = {
  oci: 'application/vnd.oci.image.config.v1+json',
  docker: 'application/vnd.docker.container.image.v1+json',
} as const;
const layerType = 'application/vnd.oci.image.layer.v1.tar';

interface Entry {
  readonly config: string;
  readonly layers: readonly string[];
  readonly names: readonly string[];
}

interface Layer {
  readonly blob: FoundBlob;
  /** The hash of it unpacked, by which configs name it. */
  readonly diffId: Digest;
}

type LayerOf = (file: Arrived) => Promise<Layer>;

export interface ReadDockerArchiveOptions {
  readonly unpacking: UnpackOptions;
  readonly work: ArchiveWork;
}

/** Throws `ArchiveError` unless every image it lists is there whole and is what its config says. */
export async function readDockerArchive(
  files: ArchiveFiles,
  { unpacking, work }: ReadDockerArchiveOptions,
): Promise<FoundImage[]> {
  const list = files.find(dockerFile);
  const entries = list ? entriesIn(await readJson(list)) : [];
  const found = new Map<Digest, FoundImage>();
  const layers = new Map<Digest, Promise<Layer>>();
  const layerOf: LayerOf = (file) => {
    const known = layers.get(file.digest) ?? readLayer(file, unpacking);
    layers.set(file.digest, known);
    return known;
  };
  for (const entry of entries) {
    const image = await imageOf(files, entry, { layerOf, work });
    const names = [...(found.get(image.digest)?.names ?? []), ...entry.names];
    found.set(image.digest, { ...image, names });
  }
  return [...found.values()];
}

function entriesIn(list: unknown): Entry[] {
  if (!Array.isArray(list)) throw new ArchiveError(`${dockerFile} is not a list`);
  const entries = list.map((value: unknown, at) => {
    const { Config: config, Layers: layers, RepoTags: names } = (value ?? {}) as Record<string, unknown>;
    if (typeof config !== 'string' || !isTexts(layers) || !isTexts(names ?? []))
      throw new ArchiveError(`${dockerFile}[${at}] does not say what its image is made of`);
    return { config, layers, names: (names ?? []) as string[] };
  });
  checkNames(
    dockerFile,
    entries.reduce((sum, { names }) => sum + Math.max(1, names.length), 0),
  );
  return entries;
}

async function imageOf(
  files: ArchiveFiles,
  { config: configName, layers: layerNames }: Entry,
  { layerOf, work }: { readonly layerOf: LayerOf; readonly work: ArchiveWork },
): Promise<FoundImage> {
  const config = fileIn(files, configName);
  // Whoever writes these archives names the config by its hash: it is all there is to tell a damaged one.
  const [, promised] = /(?:^|[/:])([0-9a-f]{64})(?:\.json)?$/.exec(configName) ?? [];
  if (promised !== undefined && config.digest !== `sha256:${promised}`)
    throw new ArchiveError(`${config.entry} is damaged: its bytes hash to ${config.digest}`);
  await work.lookAtBytes(config.sizeBytes);
  const diffIds = diffIdsIn(config, await readJson(config));
  if (diffIds.length !== layerNames.length)
    throw new ArchiveError(`${config.entry} has ${diffIds.length} layers, ${dockerFile} names ${layerNames.length}`);
  const layers: FoundBlob[] = [];
  for (const [at, name] of layerNames.entries()) {
    await work.look();
    const file = fileIn(files, name);
    const { blob, diffId } = await layerOf(file);
    if (diffId !== diffIds[at])
      throw new ArchiveError(`${file.entry} is damaged, or another layer: it hashes to ${diffId}`);
    layers.push(blob);
  }
  return withManifest(blobOf(config, imageConfigTypes.oci), layers);
}

/** The same bytes for the same image, always: they become its digest. */
function withManifest(config: FoundBlob, layers: readonly FoundBlob[]): FoundImage {
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: config.descriptor,
      layers: layers.map(({ descriptor }) => descriptor),
    }),
  );
  const descriptor: Descriptor = { mediaType: mediaTypes.ociManifest, digest: digestOf(bytes), size: bytes.length };
  const blobs = [...new Map([config, ...layers].map((blob) => [blob.descriptor.digest, blob])).values()];
  return {
    digest: descriptor.digest,
    names: [],
    tag: undefined,
    manifests: [{ descriptor, bytes }],
    named: [descriptor],
    blobs,
  };
}

function blobOf(file: Arrived, mediaType: string): FoundBlob {
  return { descriptor: { mediaType, digest: file.digest, size: file.sizeBytes }, file };
}

function fileIn(files: ArchiveFiles, name: string): Arrived {
  const file = files.find(name);
  if (file) return file;
  throw new ArchiveError(
    `the archive is not whole: ${dockerFile} names ${JSON.stringify(name.slice(0, 200))}, which is not in it`,
  );
}

function diffIdsIn({ entry }: Arrived, config: unknown): readonly string[] {
  const { rootfs } = (config ?? {}) as { rootfs?: { diff_ids?: unknown } | null };
  const diffIds = rootfs?.diff_ids ?? [];
  if (!isTexts(diffIds)) throw new ArchiveError(`${entry} is no image's config`);
  return diffIds;
}

/** Docker's are plain tars, others pack them; the config knows only the plain ones. */
async function readLayer(file: Arrived, unpacking: UnpackOptions): Promise<Layer> {
  const packing = packingOf(await readHead(file, magicBytes));
  if (packing === undefined) return { blob: blobOf(file, layerType), diffId: file.digest };
  return { blob: blobOf(file, `${layerType}+${packing}`), diffId: await hashUnpacked(file, unpacking) };
}

async function hashUnpacked(file: Arrived, options: UnpackOptions): Promise<Digest> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of unpacked(createReadStream(file.path), options)) hash.update(chunk);
  } catch (cause) {
    if (!(cause instanceof ArchiveError)) throw cause;
    throw new ArchiveError(`${file.entry} cannot be unpacked: ${cause.message}`, { cause });
  }
  return `sha256:${hash.digest('hex')}` as Digest;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}
