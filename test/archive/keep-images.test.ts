// Images on their way into the store: what else happens meanwhile, and what stays when the disk or the index fails.
import { describe, expect, test } from 'vitest';
import { importArchive } from '../../src/archive/import-archive.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { BlobStore } from '../../src/store/blob-store.ts';
import { digestFor } from '../mirror/start-mirror.ts';
import { ArchiveScene } from './archive-scene.ts';
import { inPieces, layoutOf, namedLayout, sampleImage, tarOf } from './tar-content.ts';

const image = sampleImage('kept');
const redis = 'docker.io/library/redis:7';

/** An import through a store that does something of its own before each blob or manifest is taken over. */
async function importWith(
  scene: ArchiveScene,
  before: (digest: Digest) => Promise<void> | void,
  name = redis,
): Promise<unknown> {
  const store: BlobStore = Object.create(scene.mirror.store);
  store.commit = async (digest, file, path) => {
    await before(digest);
    await scene.mirror.store.commit(digest, file, path);
  };
  store.put = async (digest, bytes) => {
    await before(digest);
    await scene.mirror.store.put(digest, bytes);
  };
  const { mirror } = scene;
  const parts = {
    ...{ store, records: mirror.records, spools: mirror.spools, layout: mirror.layout },
    ...{ budget: mirror.budget, disk: mirror.disk, absences: mirror.absences },
  };
  const body = inPieces(await tarOf(namedLayout(image, name)));
  const resolve = (text: string) => scene.resolve(text);
  store.remove = (digest) => scene.mirror.store.remove(digest);
  return importArchive(parts, { body, resolve, signal: new AbortController().signal });
}

describe('an import that fails on the way into the store', () => {
  test.each([1, 2, 3, 4])('at piece %i leaves nothing behind', async (failing) => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(sampleImage('other'), 'redis:6'));
    const before = await scene.kept();
    let pieces = 0;
    const failed = importWith(scene, () => {
      if (++pieces === failing) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    });
    await expect(failed).rejects.toThrow(/^the archive could not be taken in: no space left on device$/);
    expect(scene.mirror.disk.problem).toContain('no space left');
    expect(await scene.kept()).toEqual(before);
  });

  test('leaves the tag as it was, and what rested here before', async () => {
    await using scene = await ArchiveScene.start();
    const old = sampleImage('old');
    await scene.import(namedLayout(old, redis));
    await scene.import(namedLayout({ ...image, blobs: image.blobs.slice(0, 0) }, redis)).catch(() => {});
    const shared = layoutOf([[old.manifest, { 'io.containerd.image.name': 'redis:6' }]], [old.manifest, ...old.blobs]);
    await scene.import(shared);
    const before = await scene.kept();
    const { records } = scene.mirror;
    const putTag = records.putTag.bind(records);
    records.putTag = () => {
      throw new Error('the index is away');
    };
    await expect(scene.import(namedLayout(image, redis))).rejects.toThrow('the index is away');
    await expect(scene.import(namedLayout(old, 'ghcr.io/acme/redis:7'))).rejects.toThrow('the index is away');
    records.putTag = putTag;
    expect(await scene.kept()).toEqual(before);
    expect(records.link({ registry: 'ghcr.io', path: 'acme/redis' }, digestFor(old.manifest))).toBeUndefined();
    expect((await scene.pulled(redis))?.descriptor.digest).toBe(old.manifest.digest);
  });
});

test('a blob that was here and is evicted meanwhile is taken in after all', async () => {
  await using scene = await ArchiveScene.start();
  await scene.import(namedLayout(image, 'redis:6'));
  const { records, store } = scene.mirror;
  const [config] = image.blobs;
  const evicted = digestFor(config ?? image.manifest);
  const touchBlob = records.touchBlob.bind(records);
  let isGone = false;
  records.touchBlob = (digest) => {
    touchBlob(digest);
    if (isGone || digest !== evicted) return;
    isGone = true;
    setImmediate(() => {
      records.deleteBlob(evicted);
      void store.remove(evicted);
    });
  };
  await importWith(scene, () => {}, 'ghcr.io/acme/redis:7');
  expect(isGone).toBe(true);
  expect(await scene.blob('ghcr.io/acme/redis', evicted)).toEqual(config?.bytes);
});

test('what was taken in and is evicted before its tag is set refuses the whole', async () => {
  await using scene = await ArchiveScene.start();
  const before = await scene.kept();
  const { records, store } = scene.mirror;
  const batch = records.batch.bind(records);
  let depth = 0;
  records.batch = (work) => {
    depth++;
    const result = batch(work);
    if (--depth > 0) return result;
    for (const { digest } of image.blobs.slice(1))
      if (records.blob(digestFor({ digest }))) {
        records.deleteBlob(digestFor({ digest }));
        void store.remove(digestFor({ digest }));
      }
    return result;
  };
  await expect(importWith(scene, () => {})).rejects.toThrow(
    /had to make room for others while it was taken in; give the cache more room/,
  );
  records.batch = batch;
  expect(await scene.kept()).toEqual(before);
});

test('a fill of the same blob and an import do not disturb each other', async () => {
  await using scene = await ArchiveScene.start();
  await Promise.all([
    scene.import(namedLayout(image, redis)),
    scene.import(namedLayout(image, 'ghcr.io/acme/redis:7')),
    scene.import(namedLayout(image, redis)),
  ]);
  for (const name of [redis, 'ghcr.io/acme/redis:7'])
    expect((await scene.pulled(name))?.descriptor.digest).toBe(image.manifest.digest);
  expect(await scene.kept()).toMatchObject({ arriving: [] });
});

test('nobody is kept waiting by the records of a large archive', async () => {
  await using scene = await ArchiveScene.start();
  const images = Array.from({ length: 60 }, (_, at) => sampleImage(`many ${at}`));
  const listed = images.map(({ manifest }, at) => [manifest, { 'io.containerd.image.name': `many:${at}` }] as const);
  const tar = await tarOf(
    layoutOf(
      listed,
      images.flatMap(({ manifest, blobs }) => [manifest, ...blobs]),
    ),
  );
  const { records } = scene.mirror;
  const batch = records.batch.bind(records);
  let [depth, puts, most] = [0, 0, 0];
  const putBlob = records.putBlob.bind(records);
  records.putBlob = (...row) => {
    puts++;
    putBlob(...row);
  };
  records.batch = (work) => {
    if (depth === 0) puts = 0;
    depth++;
    try {
      return batch(work);
    } finally {
      depth--;
      most = Math.max(most, puts);
    }
  };
  await scene.import(tar);
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(64);
});
