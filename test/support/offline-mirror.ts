// A mirror that has only what archives brought it: its upstreams are an address that refuses.
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import pino from 'pino';
import { exportImages } from '../../src/archive/export-images.ts';
import { importArchive } from '../../src/archive/import-archive.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { parseImageName } from '../../src/oci/image-name.ts';
import type { Platform } from '../../src/oci/platform.ts';
import type { Repository } from '../../src/oci/repository.ts';
import { type Cache, openCache } from '../../src/open-cache.ts';
import { MirrorProcess } from './mirror-process.ts';

const nowhere = 'http://127.0.0.1:9';
const minute = 60_000;
const never = new AbortController().signal;

export class OfflineMirror implements AsyncDisposable {
  readonly mirror: MirrorProcess;

  private constructor(mirror: MirrorProcess) {
    this.mirror = mirror;
  }

  static async start(): Promise<OfflineMirror> {
    return new OfflineMirror(await MirrorProcess.start({ upstreams: { 'docker.io': nowhere, 'ghcr.io': nowhere } }));
  }

  /** Into its cache while it is stopped, as `stillwater import --cache-dir` does. */
  async import(file: string, name?: string) {
    return await this.#stopped((cache) =>
      importArchive(cache, { body: createReadStream(file), resolve: repositoryOf, name, signal: never }),
    );
  }

  async export(file: string, images: readonly string[], platforms?: readonly Platform[] | 'all'): Promise<void> {
    await this.#stopped(async (cache) => {
      const wished = images.map((image) => {
        const { name, reference } = parseImageName(image);
        return { repository: repositoryOf(name), reference };
      });
      const { body } = await exportImages(cache, { images: wished, platforms, signal: never });
      await pipeline(body, createWriteStream(file));
    });
  }

  async #stopped<T>(work: (cache: Cache) => Promise<T>): Promise<T> {
    await this.mirror.stop();
    try {
      await using cache = await openCache({
        ...{ dir: this.mirror.cacheDir, maxSize: { share: 0.9 }, minFree: { bytes: 0 }, maxFills: 4, siblings: false },
        ...{ mayShare: () => true, metrics: createMetrics(), log: pino({ level: 'silent' }), onStale: () => {} },
        tags: {
          ...{ ttlMs: minute, staleIfErrorMs: minute, staleWhileRevalidateMs: 0 },
          ...{ negativeTtlMs: 0, revalidateTimeoutMs: minute },
        },
      });
      return await work(cache);
    } finally {
      await this.mirror.restart();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mirror[Symbol.asyncDispose]();
  }
}

/** `redis`, `ghcr.io/acme/tool`: the two kinds of names that these tests have. */
function repositoryOf(name: string): Repository {
  const [, registry = 'docker.io', path = name] = /^(docker\.io|ghcr\.io)\/(.*)$/.exec(name) ?? [];
  return { registry, path: path.includes('/') ? path : `library/${path}` };
}
