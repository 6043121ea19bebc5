// Images on their way into the store: what else happens meanwhile, and what stays when the disk or the index fails.
import { setImmediate as othersTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { type ArchiveParts, importArchive } from '../../src/archive/import-archive.ts';
import { linkBlob } from '../../src/mirror/links.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { BlobStore } from '../../src/store/blob-store.ts';
import { digestFor, patient } from '../mirror/start-mirror.ts';
import { Gate } from '../support/gate.ts';
import { ScratchDisk } from '../support/scratch-disk.ts';
import { requireRoot } from '../support/tool.ts';
import { until } from '../support/until.ts';
import { ArchiveScene } from './archive-scene.ts';
import {
  described,
  type Entry,
  inPieces,
  layoutOf,
  namedLayout,
  piece,
  type SampleImage,
  sampleImage,
  tarOf,
  types,
} from './tar-content.ts';

const image = sampleImage('kept');
const redis = 'docker.io/library/redis:7';

interface Importing {
  readonly archive?: readonly Entry[];
  readonly signal?: AbortSignal;
  /** All of it has been read. */
  readonly onRead?: () => void;
  readonly parts?: Partial<ArchiveParts>;
}

/** An import through a store that does something of its own before each blob or manifest is taken over. */
async function importWith(
  scene: ArchiveScene,
  before: (digest: Digest) => Promise<void> | void,
  { archive = namedLayout(image, redis), signal = patient, onRead = () => {}, parts = {} }: Importing = {},
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
  const body = inPieces(await tarOf(archive));
  const resolve = (text: string) => {
    onRead();
    return scene.resolve(text);
  };
  return importArchive({ ...scene.mirror, ...parts, store }, { body, resolve, signal });
}

function rowsOf(one: SampleImage) {
  return [...one.blobs, one.manifest].map((each) => ({ ...described(each), digest: digestFor(each) }));
}

const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });

describe('an import that fails on the way into the store', () => {
  test.each([1, 2, 3, 4])('at piece %i leaves nothing behind', async (failing) => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(sampleImage('other'), 'redis:6'));
    const before = await scene.kept();
    let pieces = 0;
    const failed = importWith(scene, () => {
      if (++pieces === failing) throw full;
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
  await importWith(scene, () => {}, { archive: namedLayout(image, 'ghcr.io/acme/redis:7') });
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
    /^the archive could not be taken in: sha256:\w+ left the cache meanwhile: it was purged, or had to make room for others; import it again$/,
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

test('nothing of it is anybody’s before all of it is here', async () => {
  await using scene = await ArchiveScene.start();
  const { records } = scene.mirror;
  // More than go into one turn.
  const layers = Array.from({ length: 70 }, (_, at) => piece(types.layer, `layer ${at}`));
  const body = { schemaVersion: 2, mediaType: types.manifest, layers: layers.map(described) };
  const wide = { ...image, manifest: piece(types.manifest, body), blobs: layers };
  let rested = 0;
  await importWith(
    scene,
    () => {
      for (const { digest } of rowsOf(wide)) {
        rested = Math.max(rested, records.totals.blobs);
        expect([records.holders(digest, 1), records.hasOrigin(digest)]).toEqual([[], false]);
      }
    },
    { archive: namedLayout(wide, redis) },
  );
  expect(rested).toBe(64);
  for (const { digest } of rowsOf(wide)) {
    expect(records.link(scene.resolve('redis'), digest)?.proven).toBe(true);
    expect(records.isFrom(scene.resolve('redis'), digest)).toBe(true);
  }
});

describe('an import that is taken back', () => {
  const [config, layer] = rowsOf(image);

  test('leaves what others have come to hold meanwhile, and nothing else', async () => {
    await using scene = await ArchiveScene.start();
    const { records } = scene.mirror;
    const other = scene.resolve('ghcr.io/acme/other');
    const before = (await scene.kept()) as { stored: string[] };
    let pieces = 0;
    const failed = importWith(scene, () => {
      if (++pieces < 4) return;
      // As a pull does.
      if (config) linkBlob(records, other, config);
      records.putTag(other, '1', { digest: config?.digest ?? digestFor(image.manifest), checkedAt: 0 });
      throw full;
    });
    await expect(failed).rejects.toThrow('no space left');
    const after = (await scene.kept()) as { stored: string[] };
    expect(before.stored).toEqual([]);
    expect(after.stored).toEqual(config ? [config.digest] : []);
    expect(records.link(other, config?.digest ?? digestFor(image.manifest))?.proven).toBe(true);
    expect(records.tag(other, '1')?.digest).toBe(config?.digest);
  });

  test.each<readonly [how: string, parts: (scene: ArchiveScene) => Partial<ArchiveParts>]>([
    [
      'is pinned',
      () => ({ pins: { isCurrent: true, refresh: async () => {}, isPinned: (digest) => digest === layer?.digest } }),
    ],
    [
      'a fill is bringing',
      () => ({ fills: { find: (digest) => (digest === layer?.digest ? ({} as never) : undefined) } }),
    ],
  ])('leaves what %s', async (_how, parts) => {
    await using scene = await ArchiveScene.start();
    let pieces = 0;
    const failed = importWith(
      scene,
      () => {
        if (++pieces === 4) throw full;
      },
      { parts: parts(scene) },
    );
    await expect(failed).rejects.toThrow('no space left');
    expect(await scene.kept()).toMatchObject({ stored: layer ? [layer.digest] : [] });
  });

  test('takes nothing from another import of the same layers', async () => {
    await using scene = await ArchiveScene.start();
    const gate = new Gate();
    const seen: string[] = [];
    let pieces = 0;
    const failed = importWith(scene, async () => {
      seen.push('first');
      if (++pieces < 4) return;
      await gate.pass();
      seen.push('first fails');
      throw new Error('the index is away');
    });
    failed.catch(() => {});
    await gate.reached;
    const read = new Gate();
    const second = importWith(scene, () => void seen.push('second'), {
      archive: namedLayout(image, 'ghcr.io/acme/redis:7'),
      onRead: () => void read.pass(),
    });
    await read.reached;
    // Whatever it does before the first is over.
    for (let turns = 0; turns < 2000; turns++) await othersTurn();
    gate.open();
    await expect(failed).rejects.toThrow('the index is away');
    await second;
    expect(seen).toEqual([...Array(4).fill('first'), 'first fails', ...Array(4).fill('second')]);
    expect((await scene.pulled('ghcr.io/acme/redis:7'))?.descriptor.digest).toBe(image.manifest.digest);
    for (const blob of image.blobs) expect(await scene.blob('ghcr.io/acme/redis', blob.digest)).toEqual(blob.bytes);
    expect(await scene.kept()).toMatchObject({ tags: [`ghcr.io/acme/redis:7 ${image.manifest.digest}`], arriving: [] });
  });

  test('is not waited for by one that is given up', async () => {
    await using scene = await ArchiveScene.start();
    const gate = new Gate();
    const first = importWith(scene, () => gate.pass());
    await gate.reached;
    const leaving = new AbortController();
    const second = importWith(scene, () => {}, { signal: leaving.signal });
    leaving.abort(new Error('the client has left'));
    await expect(second).rejects.toThrow(/^the client has left$/);
    gate.open();
    await first;
    expect((await scene.pulled(redis))?.descriptor.digest).toBe(image.manifest.digest);
  });

  test('leaves every answer as it was: what was whole is whole, and what is gone is not given', async () => {
    await using scene = await ArchiveScene.start();
    const { mirror, images } = scene.mirror;
    const old = sampleImage('old');
    await scene.import(namedLayout(old, 'redis:6'));
    const source = scene.mirror.source('redis');
    const digest = digestFor(image.blobs[1] ?? image.manifest);
    const archive = layoutOf(
      [old, image].map((one, at) => [one.manifest, { 'io.containerd.image.name': `redis:new${at}` }] as const),
      [old, image].flatMap(({ manifest, blobs }) => [manifest, ...blobs]),
    );
    const lasting = (await mirror.getManifest(source, { tag: '6' }, patient))?.lasting;
    expect(lasting?.holds()).toBe(true);
    let pieces = 0;
    const failed = importWith(
      scene,
      async () => {
        if (++pieces < 4) return;
        await expect(scene.blob('redis', digest)).rejects.toThrow();
        throw new Error('the index is away');
      },
      { archive },
    );
    await expect(failed).rejects.toThrow('the index is away');
    expect(await images.find(source.repository, undefined, patient)).toMatchObject([{ tag: '6', isComplete: true }]);
    expect((await scene.pulled('redis:6'))?.descriptor.digest).toBe(old.manifest.digest);
    expect((await mirror.getManifest(source, { tag: '6' }, patient))?.lasting?.holds()).toBe(true);
    await expect(scene.blob('redis', digest)).rejects.toThrow();
    await scene.import(archive);
    expect(await scene.blob('redis', digest)).toEqual(image.blobs[1]?.bytes);
  });
});

describe('a purge in the middle of an import', () => {
  const old = sampleImage('old');
  const both = layoutOf(
    [
      [old.manifest, { 'io.containerd.image.name': redis }],
      [image.manifest, { 'io.containerd.image.name': 'docker.io/library/redis:8' }],
    ],
    [old, image].flatMap(({ manifest, blobs }) => [manifest, ...blobs]),
  );

  test.each([
    ['whose layers nobody has', []],
    ['whose layers another repository has', ['ghcr.io/acme/other:1']],
    ['of what is here already', [redis]],
    ['of what is here already, and another repository has', [redis, 'ghcr.io/acme/other:1']],
  ])('%s takes no part of it', async (_what, here) => {
    await using scene = await ArchiveScene.start({ mayShare: false });
    const { records, purge } = scene.mirror;
    for (const name of here) await scene.import(namedLayout(old, name));
    const repository = scene.resolve('redis');
    let pieces = 0;
    await importWith(
      scene,
      async () => {
        if (++pieces === (here.length === 0 ? 8 : 4)) await purge.run({ repository, reference: undefined }, patient);
      },
      { archive: both },
    );
    for (const one of [old, image]) {
      for (const { digest } of rowsOf(one)) expect(records.link(repository, digest)?.proven).toBe(true);
      for (const blob of one.blobs) expect(await scene.blob('redis', blob.digest)).toEqual(blob.bytes);
    }
    expect((await scene.pulled(redis))?.descriptor.digest).toBe(old.manifest.digest);
    expect((await scene.pulled('redis:8'))?.descriptor.digest).toBe(image.manifest.digest);
  });
});

test('what is lost again and again is not brought for ever', async () => {
  await using scene = await ArchiveScene.start();
  const { records, evictor } = scene.mirror;
  const { digest, size } = image.manifest;
  let times = 0;
  const failed = importWith(scene, (piece) => {
    if (piece !== digest) return;
    times++;
    // Behind the turn in which its record is put.
    const putBlob = records.putBlob.bind(records);
    records.putBlob = (...row) => {
      putBlob(...row);
      if (row[0] !== digest) return;
      records.putBlob = putBlob;
      queueMicrotask(() => void evictor.remove([{ digest: digestFor(image.manifest), size }]));
    };
  });
  await expect(failed).rejects.toThrow(/left the cache meanwhile/);
  expect(times).toBe(6);
  expect(await scene.kept()).toMatchObject({ stored: [], tags: [], arriving: [] });
});

test('what is pinned before it is imported is evicted by nobody, from its first moment', async () => {
  await using scene = await ArchiveScene.start();
  const { records, evictor, purge } = scene.mirror;
  const repository = scene.resolve('redis');
  records.pin(repository, '7');
  await Promise.all([
    scene.import(namedLayout(image, redis)).then(() => evictor.evict(Number.MAX_SAFE_INTEGER)),
    scene.import(namedLayout(sampleImage('other'), 'redis:6')),
  ]);
  await evictor.evict(Number.MAX_SAFE_INTEGER);
  await expect(purge.run({ repository, reference: { tag: '7' } }, patient)).rejects.toThrow(/pinned/);
  expect((await purge.run({ repository, reference: undefined }, patient)).pinned).toEqual([redis]);
  for (const blob of image.blobs) expect(await scene.blob('redis', blob.digest)).toEqual(blob.bytes);
  expect(await scene.kept()).toMatchObject({ tags: [`${redis} ${image.manifest.digest}`] });
});

test.skipIf(!requireRoot())(
  'a disk that is full refuses it in one line, with nothing kept, and takes it later',
  async () => {
    await using disk = await ScratchDisk.mount(16 * 1024 * 1024);
    await using scene = await ArchiveScene.start({ dir: disk.path });
    await scene.import(namedLayout(sampleImage('other'), 'redis:6'));
    const before = await scene.kept();
    let release = async () => {};
    const failed = importWith(scene, async (digest) => {
      if (digest === image.manifest.digest) release = await disk.fill();
    });
    const failure = await failed.catch((error: unknown) => error);
    expect((failure as Error).message).toMatch(/^the archive could not be taken in: [^\n]*ENOSPC[^\n]*$/);
    expect(scene.mirror.disk.problem).toBeDefined();
    await release();
    expect(await scene.kept()).toEqual(before);
    await until('the disk takes bytes again', () => scene.mirror.disk.problem === undefined);
    await scene.import(namedLayout(image, redis));
    expect((await scene.pulled(redis))?.descriptor.digest).toBe(image.manifest.digest);
  },
);
