// What the API asks of the mirror, without a mirror: one image, one fill, and jobs that do what a test tells them.
import { Readable } from 'node:stream';
import type { AdminApiOptions } from '../../src/admin/admin-api.ts';
import { LongAnswers } from '../../src/admin/long-answers.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { formatImage } from '../../src/oci/image-name.ts';

export const digest = digestOf(Buffer.from('an image'));

export const cachedImage = {
  repository: 'docker.io/library/redis',
  tag: '7',
  digest,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  platforms: [{ platform: 'linux/amd64', digest, sizeBytes: 100, storedBytes: 90, isComplete: false }],
  storedBytes: 90,
  isComplete: false,
  isPinned: true,
  isPrivate: false,
  lastUsedAt: 1_700_000_000_000,
  checkedAt: undefined,
};

export const fill = {
  digest,
  repository: 'docker.io/library/redis',
  upstream: 'docker.io',
  sizeBytes: 1000,
  receivedBytes: 400,
  bytesPerSecond: 100,
  readers: 2,
  isWanted: true,
  state: 'arriving',
  startedAt: 1_700_000_000_000,
} as const;

export const upstreamStatus = {
  name: 'docker.io',
  endpoints: [
    {
      endpoint: 'https://registry.test',
      isCircuitOpen: true,
      retryInMs: 5000,
      problem: 'it did not answer in time',
      limits: [
        {
          credential: 'anonymous',
          limit: 100,
          remaining: 7,
          windowSeconds: 21_600,
          retryInMs: undefined,
          problem: undefined,
        },
      ],
    },
  ],
};

const prefetch = {
  id: '1',
  startedAt: 1_700_000_000_000,
  images: 2,
  done: 1,
  failed: 0,
  receivedBytes: 5,
  isScheduled: true,
};

export type FakeMirror = Omit<AdminApiOptions, 'records' | 'upstreams'>;

/** Everything goes well and ends at once. */
export function fakeMirror(): FakeMirror & { readonly running: LongAnswers } {
  const purged = { images: ['docker.io/library/redis:7'], imageCount: 1, blobs: 3, bytes: 90, pinned: [] };
  return {
    version: '1.2.3',
    startedAt: 1_700_000_000_000,
    isOffline: () => false,
    metrics: createMetrics(),
    checks: [],
    cacheDir: '/cache',
    disk: { problem: undefined, space: async () => ({ total: 100, free: 60 }) },
    images: {
      list: async () => ({ images: [cachedImage], cursor: 'next' }),
      find: async ({ registry, path }) => (`${registry}/${path}` === cachedImage.repository ? [cachedImage] : []),
    },
    purge: { run: async () => purged },
    fills: { status: () => [fill] },
    prefetcher: {
      run: async ({ images }, { onEvent }) => {
        for (const image of images) onEvent({ type: 'image', image, state: 'done', digest, bytes: 5 });
        onEvent({ type: 'done', images: images.length, failed: 0, bytes: 5 });
      },
      status: () => [prefetch],
    },
    schedule: () => [{ images: ['redis:7'], at: 1_800_000_000_000 }],
    verify: async ({ onEvent }) => {
      onEvent({ type: 'progress', checkedBlobs: 1, totalBlobs: 2, checkedBytes: 10, totalBytes: 20 });
      onEvent({ type: 'damaged', digest, sizeBytes: 10, found: 'other bytes', isDropped: false });
      onEvent({ type: 'done', checkedBlobs: 2, checkedBytes: 20, damaged: 1, missing: 0, unread: 0, dropped: 0 });
    },
    reload: async () => ({ changed: ['tags.ttl'], needsRestart: ['listen.port'] }),
    lastReload: () => ({ at: 1_700_000_000_000, error: undefined, needsRestart: ['listen.port'] }),
    importArchive: async ({ body, name = 'docker.io/library/redis:7', onEvent }) => {
      let bytes = 0;
      for await (const chunk of body) bytes += chunk.length;
      onEvent({ type: 'progress', receivedBytes: bytes });
      onEvent({ type: 'image', image: name, digest, bytes });
      return [{ image: name, bytes }];
    },
    exportImages: async ({ images }) => {
      const names = images.map(({ repository, reference }) => `${formatImage(repository, reference)}\n`);
      const sizeBytes = Buffer.byteLength(names.join(''));
      return { sizeBytes, body: Readable.from(names.map((name) => Buffer.from(name))) };
    },
    running: new LongAnswers(),
  };
}
