// Real images made without the internet: a static busybox and some files, written as an OCI image layout.
import { createHash, randomBytes } from 'node:crypto';
import { copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { run } from './command.ts';
import { mediaTypes } from './fake-image.ts';
import { sha256 } from './served-content.ts';
import { findTool } from './tool.ts';

type Descriptor = { readonly mediaType: string; readonly digest: string; readonly size: number };
type Layer = { readonly descriptor: Descriptor; readonly diffId: string };

export type ImageSpec = {
  /** What the container prints when it runs. */
  readonly greeting: string;
  readonly architecture?: 'amd64' | 'arm64';
  /** Bytes of a second layer that holds one incompressible file. */
  readonly randomLayerBytes?: number;
};

export class ImageLayout {
  readonly dir: string;
  readonly #manifests: (Descriptor & { annotations: Record<string, string> })[] = [];

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async create(dir: string): Promise<ImageLayout> {
    await mkdir(join(dir, 'blobs', 'sha256'), { recursive: true });
    await writeFile(join(dir, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    return new ImageLayout(dir);
  }

  /** The source for skopeo. */
  reference(tag: string): string {
    return `oci:${this.dir}:${tag}`;
  }

  async addImage(tag: string, spec: ImageSpec): Promise<Descriptor> {
    return await this.#tag(tag, await this.#image(spec));
  }

  async addIndex(tag: string, specs: readonly ImageSpec[]): Promise<Descriptor> {
    const manifests = [];
    for (const spec of specs) {
      const platform = { architecture: spec.architecture ?? 'amd64', os: 'linux' };
      manifests.push({ ...(await this.#image(spec)), platform });
    }
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
    return await this.#tag(tag, await this.#blob(mediaTypes.ociIndex, JSON.stringify(index)));
  }

  async #image(spec: ImageSpec): Promise<Descriptor> {
    const { greeting, architecture = 'amd64', randomLayerBytes } = spec;
    const layers = [await this.#rootLayer(greeting)];
    if (randomLayerBytes !== undefined) layers.push(await this.#randomLayer(randomLayerBytes));
    const config = await this.#blob(
      mediaTypes.ociConfig,
      JSON.stringify({
        architecture,
        os: 'linux',
        created: '2024-01-01T00:00:00Z',
        config: { Cmd: ['/bin/busybox', 'cat', '/greeting'] },
        rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
      }),
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config,
      layers: layers.map(({ descriptor }) => descriptor),
    };
    return await this.#blob(mediaTypes.ociManifest, JSON.stringify(manifest));
  }

  async #rootLayer(greeting: string): Promise<Layer> {
    const busybox = findTool('busybox');
    if (busybox === undefined) throw new Error('busybox (static) is not installed: images cannot be made');
    return await this.#layer(6, async (root) => {
      await mkdir(join(root, 'bin'));
      await copyFile(busybox, join(root, 'bin', 'busybox'));
      await writeFile(join(root, 'greeting'), `${greeting}\n`);
    });
  }

  /** Stored, not deflated: compressing random bytes costs minutes and gains nothing. */
  async #randomLayer(bytes: number): Promise<Layer> {
    return await this.#layer(0, (root) => writeFile(join(root, 'ballast'), randomBytes(bytes)));
  }

  async #layer(level: number, fill: (root: string) => Promise<void>): Promise<Layer> {
    const root = join(this.dir, 'root');
    const tarFile = join(this.dir, 'layer.tar');
    await mkdir(root);
    await fill(root);
    await run('tar', ['-c', '-f', tarFile, '--owner=0', '--group=0', '--mtime=@0', '--sort=name', '-C', root, '.']);
    const tar = await readFile(tarFile);
    const descriptor = await this.#blob(mediaTypes.ociLayer, gzipSync(tar, { level }));
    await rm(root, { recursive: true });
    await rm(tarFile);
    return { descriptor, diffId: `sha256:${createHash('sha256').update(tar).digest('hex')}` };
  }

  async #blob(mediaType: string, bytes: Uint8Array | string): Promise<Descriptor> {
    const digest = sha256(Buffer.from(bytes));
    const file = join(this.dir, 'blobs', ...digest.split(':'));
    await writeFile(file, bytes);
    return { mediaType, digest, size: (await stat(file)).size };
  }

  async #tag(tag: string, descriptor: Descriptor): Promise<Descriptor> {
    this.#manifests.push({ ...descriptor, annotations: { 'org.opencontainers.image.ref.name': tag } });
    await writeFile(join(this.dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: this.#manifests }));
    return descriptor;
  }
}
