// Archives for the tests: tars of any entries, OCI image layouts, and what older and other programs write.
import { createHash } from 'node:crypto';
import { pack } from 'tar-stream';

export interface Entry {
  readonly name: string;
  readonly bytes?: Uint8Array | string;
  readonly type?: 'file' | 'directory' | 'symlink' | 'link' | 'fifo' | 'character-device';
  readonly linkname?: string;
}

export async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const writer = pack();
  for (const { name, bytes = '', type = 'file', linkname } of entries)
    writer.entry({ name, type, mtime: new Date(0), ...(linkname !== undefined && { linkname }) }, Buffer.from(bytes));
  writer.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of writer) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** In pieces of `size`, as a connection gives them. */
export async function* inPieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export interface Piece {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly bytes: Buffer;
}

export function piece(mediaType: string, content: object | string | Uint8Array): Piece {
  const isText = typeof content === 'string' || content instanceof Uint8Array;
  const bytes = Buffer.from(isText ? content : JSON.stringify(content));
  return { mediaType, digest: sha256(bytes), size: bytes.length, bytes };
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export function described({ mediaType, digest, size }: Piece) {
  return { mediaType, digest, size };
}

export function entryOf({ digest, bytes }: Piece): Entry {
  return { name: `blobs/${digest.replace(':', '/')}`, bytes };
}

export const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

export interface SampleImage {
  readonly manifest: Piece;
  readonly blobs: readonly Piece[];
  readonly platform: { readonly os: string; readonly architecture: string };
}

/** Of two layers; no two notes give the same. */
export function sampleImage(note: string, architecture = 'amd64'): SampleImage {
  const platform = { os: 'linux', architecture };
  const layers = ['one', 'two'].map((layer) => piece(types.layer, `${layer} of ${note} `.repeat(700)));
  const config = piece(types.config, { ...platform, rootfs: { type: 'layers', diff_ids: [] }, config: { note } });
  const manifest = piece(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: described(config),
    layers: layers.map(described),
  });
  return { manifest, blobs: [config, ...layers], platform };
}

export function sampleIndex(images: readonly SampleImage[]): Piece {
  const manifests = images.map(({ manifest, platform }) => ({ ...described(manifest), platform }));
  return piece(types.index, { schemaVersion: 2, mediaType: types.index, manifests });
}

/** `annotations` by the piece that `index.json` lists. */
export function layoutOf(
  listed: readonly (readonly [Piece, Readonly<Record<string, string>>])[],
  pieces: readonly Piece[],
): Entry[] {
  const manifests = listed.map(([root, annotations]) => ({ ...described(root), annotations }));
  return [
    { name: 'oci-layout', bytes: JSON.stringify({ imageLayoutVersion: '1.0.0' }) },
    { name: 'index.json', bytes: JSON.stringify({ schemaVersion: 2, manifests }) },
    ...new Map(pieces.map((one) => [one.digest, entryOf(one)])).values(),
  ];
}

export function namedLayout(image: SampleImage, name: string): Entry[] {
  return layoutOf([[image.manifest, { 'io.containerd.image.name': name }]], [image.manifest, ...image.blobs]);
}

export interface SavedImage {
  readonly entries: readonly Entry[];
  readonly config: Piece;
  readonly layers: readonly Buffer[];
}

/** As `docker save` wrote before version 25: a folder a layer, a layer that is there twice as a link. */
export async function dockerArchive(tags: readonly string[] | null, note = 'saved'): Promise<SavedImage> {
  const layers = await Promise.all(
    ['one', 'two'].map((layer) => tarOf([{ name: layer, bytes: `${layer} of ${note}`.repeat(99) }])),
  );
  const all = [...layers, layers[0] ?? Buffer.alloc(0)];
  const diffIds = all.map(sha256);
  const platform = { os: 'linux', architecture: 'amd64' };
  const config = piece('', { ...platform, config: { note }, rootfs: { type: 'layers', diff_ids: diffIds } });
  const configName = `${config.digest.slice('sha256:'.length)}.json`;
  const folders = all.map((_, at) => `${sha256(Buffer.from(`${note} ${at}`)).slice('sha256:'.length)}`);
  const manifest = [{ Config: configName, RepoTags: tags, Layers: folders.map((folder) => `${folder}/layer.tar`) }];
  const entries: Entry[] = [{ name: configName, bytes: config.bytes }];
  for (const [at, folder] of folders.entries()) {
    entries.push({ name: `${folder}/`, type: 'directory' }, { name: `${folder}/VERSION`, bytes: '1.0' });
    if (at < 2) entries.push({ name: `${folder}/layer.tar`, bytes: layers[at] ?? '' });
    else entries.push({ name: `${folder}/layer.tar`, type: 'symlink', linkname: `../${folders[0]}/layer.tar` });
  }
  entries.push({ name: 'manifest.json', bytes: JSON.stringify(manifest) }, { name: 'repositories', bytes: '{}' });
  return { entries, config, layers };
}
