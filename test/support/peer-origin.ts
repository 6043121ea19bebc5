// A registry of plain files behind nginx: an upstream that costs next to nothing, and to which images are added at any time.
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { mediaTypes } from './fake-image.ts';
import { freePort } from './free-port.ts';
import { PeerNginx } from './peer-nginx.ts';
import { type ContentPlan, contentFromPlan } from './planned-content.ts';
import { sha256 } from './served-content.ts';

export type PeerBlob = { readonly digest: string; readonly size: number };
export type PeerImage = {
  readonly repository: string;
  readonly manifest: PeerBlob;
  readonly layers: readonly PeerBlob[];
};

export const accept = { accept: mediaTypes.dockerManifest } as const;

export function manifestPath({ repository }: PeerImage, reference: string): string {
  return `/v2/${repository}/manifests/${reference}`;
}

export function blobPath({ repository }: PeerImage, { digest }: PeerBlob): string {
  return `/v2/${repository}/blobs/${digest}`;
}

/** A Docker v2 manifest: the peers know no other in proxy mode. */
export function manifestText(config: PeerBlob, layers: readonly PeerBlob[]): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: mediaTypes.dockerManifest,
    config: { ...config, mediaType: mediaTypes.dockerConfig },
    layers: layers.map((layer) => ({ ...layer, mediaType: mediaTypes.dockerLayer })),
  });
}

export class PeerOrigin implements AsyncDisposable {
  readonly port: number;
  readonly #nginx: PeerNginx;
  readonly #tags = new Map<string, string>();
  #made = 0;

  private constructor(nginx: PeerNginx, port: number) {
    this.#nginx = nginx;
    this.port = port;
  }

  static async start(): Promise<PeerOrigin> {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const isReady = async () => (await fetch(`${url}/v2/`)).ok;
    return new PeerOrigin(await PeerNginx.start((root) => configuration(port, root, new Map()), isReady), port);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#nginx.pid;
  }

  /** An image nobody has seen, in a repository of its own: `latest`, one layer a size. */
  async addImage(name: string, sizes: readonly number[], kind: ContentPlan['kind'] = 'plain'): Promise<PeerImage> {
    const repository = `library/${name}-${++this.#made}`;
    const folder = join(this.#nginx.root, 'v2', repository);
    for (const part of ['blobs', 'manifests']) await mkdir(join(folder, part), { recursive: true });
    const layers: PeerBlob[] = [];
    for (const size of sizes) layers.push(await addLayer(join(folder, 'blobs'), size, kind));
    const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
    const config = await addText(join(folder, 'blobs'), JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs }));
    const text = manifestText(config, layers);
    const manifest = await addText(join(folder, 'manifests'), text);
    await writeFile(join(folder, 'manifests', 'latest'), text);
    const image = { repository, manifest, layers };
    const tagPath = manifestPath(image, 'latest');
    this.#tags.set(tagPath, manifest.digest);
    await this.#nginx.reload(configuration(this.port, this.#nginx.root, this.#tags), async () => {
      const { headers } = await fetch(`${this.url}${tagPath}`, { method: 'HEAD' });
      return headers.get('docker-content-digest') === manifest.digest;
    });
    return image;
  }

  /** So that the rounds of a long measurement do not fill the disk. */
  async forget({ repository }: PeerImage): Promise<void> {
    await rm(join(this.#nginx.root, 'v2', repository), { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nginx[Symbol.asyncDispose]();
  }
}

function configuration(port: number, root: string, tags: ReadonlyMap<string, string>): string {
  const byTag = [...tags].map(
    ([path, digest]) => `location = ${path} { add_header Docker-Content-Digest ${digest} always; }`,
  );
  return [
    `server { listen 127.0.0.1:${port}; root ${root}; types {} default_type ${mediaTypes.dockerManifest};`,
    'location = /v2/ { default_type application/json; return 200 "{}"; }',
    'location ~ /blobs/ { default_type application/octet-stream; }',
    'location ~ /manifests/(sha256:.*)$ { add_header Docker-Content-Digest $1 always; }',
    ...byTag,
    '}',
  ].join('\n');
}

async function addText(folder: string, text: string): Promise<PeerBlob> {
  const digest = sha256(Buffer.from(text));
  await writeFile(join(folder, digest), text);
  return { digest, size: Buffer.byteLength(text) };
}

async function addLayer(folder: string, size: number, kind: ContentPlan['kind'] = 'plain'): Promise<PeerBlob> {
  // Its digest comes from the file, where a stream hashes many times faster than the plan does.
  const content = await contentFromPlan({ size, seed: randomBytes(4).readUInt32BE(), kind }, '');
  const file = join(folder, 'new');
  await pipeline(Readable.from(content.read(0, content.size)), createWriteStream(file));
  const digest = `sha256:${await hashOf(file)}`;
  await rename(file, join(folder, digest));
  return { digest, size: content.size };
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
