// The scene of an end-to-end test: a distribution registry that wants tokens, images in it, and the mirror before it.
import { DockerRegistry } from './docker-registry.ts';
import { MirrorProcess } from './mirror-process.ts';
import { ImageLayout } from './oci-images.ts';
import { RecordingFront } from './recording-front.ts';
import { tempDir } from './temp-dir.ts';

export type SceneOptions = {
  /** Adds `library/large`, whose second layer has this many bytes. */
  readonly largeLayerBytes?: number;
  readonly config?: Readonly<Record<string, unknown>>;
};

/** Every tag of `library/hello` prints its own greeting; `acme/tool:1` is for names with a registry. */
export const greetings = {
  oci: 'hello from an OCI image',
  docker: 'hello from a Docker v2 image',
  multi: 'hello from amd64 of an OCI index',
  'docker-multi': 'hello from amd64 of a Docker manifest list',
  offline: 'hello from the cache',
  tool: 'hello from another registry',
} as const;

export class PullScene implements AsyncDisposable {
  readonly registry: DockerRegistry;
  readonly mirror: MirrorProcess;
  /** Clients speak to the mirror through this, so that a test sees what they really send. */
  readonly front: RecordingFront;

  private constructor(registry: DockerRegistry, mirror: MirrorProcess, front: RecordingFront) {
    this.registry = registry;
    this.mirror = mirror;
    this.front = front;
  }

  static async start({ largeLayerBytes, config = {} }: SceneOptions = {}): Promise<PullScene> {
    const registry = await DockerRegistry.start({ tokenAuth: true });
    await pushImages(registry, largeLayerBytes);
    const upstreams = { 'docker.io': registry.url, 'ghcr.io': registry.url };
    const mirror = await MirrorProcess.start({ upstreams, config });
    return new PullScene(registry, mirror, await RecordingFront.start(mirror.port));
  }

  /** Runs `work` while the upstream is dead. */
  async withoutUpstream<T>(work: () => Promise<T>): Promise<T> {
    await this.registry.close();
    try {
      return await work();
    } finally {
      await this.registry.reopen();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.front[Symbol.asyncDispose]();
    await this.mirror[Symbol.asyncDispose]();
    await this.registry[Symbol.asyncDispose]();
  }
}

async function pushImages(registry: DockerRegistry, largeLayerBytes: number | undefined): Promise<void> {
  await using dir = await tempDir('layout');
  const layout = await ImageLayout.create(dir.path);
  for (const tag of ['oci', 'docker', 'offline', 'tool'] as const) {
    await layout.addImage(tag, { greeting: greetings[tag] });
  }
  for (const tag of ['multi', 'docker-multi'] as const) {
    const other = { greeting: 'hello from arm64', architecture: 'arm64' } as const;
    await layout.addIndex(tag, [{ greeting: greetings[tag] }, other]);
  }
  await registry.push(layout.reference('oci'), 'library/hello:oci');
  await registry.push(layout.reference('offline'), 'library/hello:offline');
  await registry.push(layout.reference('docker'), 'library/hello:docker', '--format', 'v2s2');
  await registry.push(layout.reference('multi'), 'library/hello:multi', '--all');
  await registry.push(layout.reference('docker-multi'), 'library/hello:docker-multi', '--all', '--format', 'v2s2');
  await registry.push(layout.reference('tool'), 'acme/tool:1');
  if (largeLayerBytes === undefined) return;
  await layout.addImage('large', { greeting: 'hello from a large image', randomLayerBytes: largeLayerBytes });
  await registry.push(layout.reference('large'), 'library/large:latest');
}
