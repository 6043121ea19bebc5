// The API over a real mirror: an image comes, is seen, leaves as an archive, is forgotten, and comes back from it.
import { expect, test } from 'vitest';
import type { AdminApiOptions } from '../../src/admin/admin-api.ts';
import { exportImages } from '../../src/archive/export-images.ts';
import { HeldBlobs } from '../../src/archive/held-blobs.ts';
import { importArchive } from '../../src/archive/import-archive.ts';
import { verify } from '../../src/jobs/verify.ts';
import { Images } from '../../src/mirror/images/images.ts';
import { Purge } from '../../src/mirror/images/purge.ts';
import { usableOf } from '../../src/mirror/links.ts';
import { digestOf } from '../../src/oci/digest.ts';
import type { Asking } from '../http/start-registry.ts';
import { addMultiPlatform, prefetchScene } from '../jobs/prefetch/prefetch-scene.ts';
import { LongClient } from './long-client.ts';
import { type StartedAdmin, startAdmin } from './start-admin.ts';

const nowhereElse = { ns: undefined, prefix: undefined };
const image = 'docker.io/library/app:latest';

type Scene = Awaited<ReturnType<typeof prefetchScene>>;

/** As whoever puts the mirror together gives its parts to the API. */
function optionsOf({ mirror, prefetcher }: Scene): Partial<AdminApiOptions> {
  const { upstreams, spools } = mirror;
  const parts = { ...mirror, mayUse: usableOf(mirror.records, () => true), verifier: spools.verifier };
  return {
    ...{ prefetcher, records: mirror.records, disk: mirror.disk, fills: mirror.fills, metrics: mirror.metrics },
    upstreams: () => upstreams,
    images: new Images(parts),
    purge: new Purge(parts),
    verify: (options) => verify(parts, options),
    importArchive: (options) => {
      return importArchive(mirror, {
        ...options,
        resolve: (name) => upstreams.route(name, nowhereElse).repository,
      });
    },
    exportImages: (options) => exportImages(mirror, options),
  };
}

async function json(admin: StartedAdmin, path: string, asking: Asking = {}) {
  const { status, body } = await admin.ask(`/api/v1${path}`, asking);
  return [status, JSON.parse(body.toString())];
}

async function lines(admin: StartedAdmin, path: string, body: string) {
  using client = new LongClient(admin.url, `/api/v1${path}`, { method: 'POST', body });
  return (await client.rest()) as { type: string; state?: string }[];
}

test('an image comes, is seen, leaves as an archive, is forgotten, and comes back from it', async () => {
  await using scene = await prefetchScene();
  const { index } = addMultiPlatform(scene.upstream);
  await using admin = await startAdmin(optionsOf(scene));

  const prefetched = await lines(admin, '/prefetch', '{"images":["app"],"allPlatforms":true}');
  expect(prefetched[0]).toEqual({ type: 'image', image, state: 'started' });
  expect(prefetched.at(-1)).toMatchObject({ type: 'done', images: 1, failed: 0 });
  const cached = {
    repository: 'docker.io/library/app',
    tag: 'latest',
    digest: index.content.digest,
    isComplete: true,
    isPinned: false,
    platforms: [
      { platform: 'linux/amd64', isComplete: true },
      { platform: 'linux/arm64', isComplete: true },
    ],
  };
  expect(await json(admin, '/images')).toMatchObject([200, { images: [cached] }]);
  expect(await json(admin, '/images/app')).toMatchObject([200, { images: [cached] }]);
  expect(await json(admin, '/status')).toMatchObject([200, { fillsInFlight: 0, cache: { isWritable: true } }]);
  expect((await lines(admin, '/verify', '')).at(-1)).toMatchObject({ type: 'done', damaged: 0, missing: 0 });

  const archive = await admin.ask('/api/v1/export?image=app&platform=all');
  expect([archive.status, Number(archive.headers['content-length'])]).toEqual([200, archive.body.length]);
  expect((await json(admin, '/export?image=other'))[0]).toBe(404);

  await admin.ask('/api/v1/images/app/pin', { method: 'PUT' });
  expect(await json(admin, '/images/app:latest', { method: 'DELETE' })).toMatchObject([
    409,
    { error: expect.stringContaining('unpin') },
  ]);
  await admin.ask('/api/v1/images/app/pin', { method: 'DELETE' });
  expect(await json(admin, '/images/app:latest', { method: 'DELETE' })).toMatchObject([200, { images: [image] }]);
  expect((await json(admin, '/images/app'))[0]).toBe(404);
  expect(await json(admin, '/images?match=**', { method: 'DELETE' })).toMatchObject([200, {}]);
  expect(scene.mirror.records.totals).toEqual({ bytes: 0, blobs: 0 });

  await scene.upstream.close();
  const { body } = archive;
  using client = new LongClient(admin.url, '/api/v1/import', { method: 'POST' });
  for (let at = 0; at < body.length; at += 1000) await client.say(body.subarray(at, at + 1000));
  client.finish();
  const imported = await client.rest();
  expect(imported.slice(-2)).toMatchObject([
    { type: 'image', image, digest: index.content.digest },
    { type: 'done', images: 1 },
  ]);
  expect(await json(admin, '/images/app')).toMatchObject([200, { images: [cached] }]);
});

test('an archive that is none is refused, and nothing of it stays', async () => {
  await using scene = await prefetchScene();
  await using admin = await startAdmin(optionsOf(scene));
  expect((await lines(admin, '/import', 'x'.repeat(100_000))).at(-1)).toMatchObject({
    type: 'error',
    error: expect.stringContaining('the archive'),
  });
  expect(scene.mirror.records.totals).toEqual({ bytes: 0, blobs: 0 });
});

test('a cursor and a glob that lead nowhere are told so', async () => {
  await using scene = await prefetchScene();
  await using admin = await startAdmin(optionsOf(scene));
  expect(await json(admin, '/images?cursor=x')).toEqual([400, { error: expect.stringContaining('not a cursor') }]);
  expect(await json(admin, '/images?match=nowhere/**')).toEqual([200, { images: [] }]);
});

test('an export of more blobs than can be held is 400, in one line', async () => {
  const blobs = Array.from({ length: 4097 }, (_, size) => {
    return { digest: digestOf(Buffer.from(String(size))), size, mediaType: 'application/octet-stream' };
  });
  await using scene = await prefetchScene();
  const body = async function* () {};
  await using admin = await startAdmin({
    ...optionsOf(scene),
    exportImages: async ({ signal }) => {
      return { sizeBytes: 0, body: new HeldBlobs(scene.mirror.store, blobs).during(body(), signal) };
    },
  });
  const answer = await admin.ask('/api/v1/export?image=app');
  expect([answer.status, answer.body.toString()]).toEqual([
    400,
    '{"error":"more than 4096 blobs go into no archive; export fewer images at once"}',
  ]);
});
