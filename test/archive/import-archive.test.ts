// Archives that are taken in: every way in which they are written, and what can be pulled afterwards with no upstream.
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type ImportEvent, importArchive } from '../../src/archive/import-archive.ts';
import { digestFor, patient } from '../mirror/start-mirror.ts';
import { until } from '../support/until.ts';
import { ArchiveScene } from './archive-scene.ts';
import {
  described,
  dockerArchive,
  type Entry,
  inPieces,
  layoutOf,
  namedLayout,
  piece,
  type SampleImage,
  sampleImage,
  sampleIndex,
  tarOf,
  types,
} from './tar-content.ts';

const image = sampleImage('plain');
const redis = 'docker.io/library/redis:7';

async function expectPulled(scene: ArchiveScene, name: string, { manifest, blobs }: SampleImage): Promise<void> {
  const pulled = await scene.pulled(name);
  expect(pulled?.descriptor).toMatchObject({ digest: manifest.digest, mediaType: manifest.mediaType });
  expect(pulled?.bytes).toEqual(new Uint8Array(manifest.bytes));
  const repository = name.replace(/(:[^/:]*)?(@.*)?$/, '');
  for (const blob of blobs) expect(await scene.blob(repository, blob.digest)).toEqual(blob.bytes);
}

describe('an OCI image layout', () => {
  test.each([
    ['plain', (tar: Buffer) => tar],
    ['packed by gzip', (tar: Buffer) => gzipSync(tar)],
    [
      'packed by gzip in two parts',
      (tar: Buffer) => Buffer.concat([gzipSync(tar.subarray(0, 999)), gzipSync(tar.subarray(999))]),
    ],
    ['packed by zstd', (tar: Buffer) => zstdCompressSync(tar)],
  ])('%s can be pulled by tag and by digest with every upstream away', async (_how, packed) => {
    await using scene = await ArchiveScene.start();
    const imported = await scene.import(packed(await tarOf(namedLayout(image, redis))));
    const bytes = [image.manifest, ...image.blobs].reduce((sum, { size }) => sum + size, 0);
    expect(imported).toEqual([{ image: redis, digest: image.manifest.digest, bytes }]);
    await expectPulled(scene, redis, image);
    await expectPulled(scene, `docker.io/library/redis@${image.manifest.digest}`, image);
    expect(await scene.kept()).toMatchObject({ arriving: [] });
  });

  test('comes in pieces of a byte', async () => {
    await using scene = await ArchiveScene.start();
    const small: Entry[] = namedLayout(image, redis);
    await scene.import(small, { body: inPieces(gzipSync(await tarOf(small)), 1) });
    await expectPulled(scene, redis, image);
  });

  test('is read in any order', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis).reverse());
    await expectPulled(scene, redis, image);
  });

  test('may name its entries from a folder, and hold folders and what nobody asks for', async () => {
    await using scene = await ArchiveScene.start();
    const entries = namedLayout(image, redis).map((entry) => ({ ...entry, name: `./${entry.name}` }));
    const folders: Entry[] = ['./', './blobs/', './blobs/sha256/'].map((name) => ({ name, type: 'directory' }));
    await scene.import([...folders, ...entries, { name: 'notes.txt', bytes: 'nothing of it is kept' }]);
    await expectPulled(scene, redis, image);
    const { stored } = (await scene.kept()) as { stored: string[] };
    expect(stored.length).toBe(image.blobs.length + 1);
  });

  test('may have a blob as a hard link to another entry', async () => {
    await using scene = await ArchiveScene.start();
    const [config] = image.blobs;
    const entries = namedLayout(image, redis).map((entry): Entry => {
      if (entry.name !== `blobs/${config?.digest.replace(':', '/')}`) return entry;
      return { name: entry.name, type: 'link', linkname: 'kept-elsewhere' };
    });
    await scene.import([...entries, { name: 'kept-elsewhere', bytes: config?.bytes ?? '' }]);
    await expectPulled(scene, redis, image);
  });

  test('keeps an index with all its platforms', async () => {
    await using scene = await ArchiveScene.start();
    const images = [sampleImage('multi', 'amd64'), sampleImage('multi', 'arm64')];
    const index = sampleIndex(images);
    const pieces = [index, ...images.flatMap(({ manifest, blobs }) => [manifest, ...blobs])];
    const [imported] = await scene.import(layoutOf([[index, { 'io.containerd.image.name': redis }]], pieces));
    expect(imported?.digest).toBe(index.digest);
    expect((await scene.pulled(redis))?.bytes).toEqual(new Uint8Array(index.bytes));
    for (const one of images) await expectPulled(scene, `docker.io/library/redis@${one.manifest.digest}`, one);
  });

  test('keeps an index of which other platforms were left out', async () => {
    await using scene = await ArchiveScene.start();
    const [here, elsewhere] = [sampleImage('half', 'amd64'), sampleImage('half', 'arm64')];
    const index = sampleIndex([here, elsewhere]);
    const pieces = [index, here.manifest, ...here.blobs];
    await scene.import(layoutOf([[index, { 'io.containerd.image.name': redis }]], pieces));
    expect((await scene.pulled(redis))?.descriptor.digest).toBe(index.digest);
    await expectPulled(scene, `docker.io/library/redis@${here.manifest.digest}`, here);
  });

  test('gives an image to each of its names, in whichever annotation they are', async () => {
    await using scene = await ArchiveScene.start();
    const other = sampleImage('other');
    const listed = [
      [image.manifest, { 'io.containerd.image.name': 'redis:7', 'org.opencontainers.image.ref.name': '7' }],
      [image.manifest, { 'org.opencontainers.image.ref.name': 'ghcr.io/acme/redis:seven' }],
      [other.manifest, { 'io.containerd.image.name': `docker.io/library/other@${other.manifest.digest}` }],
    ] as const;
    const pieces = [image, other].flatMap(({ manifest, blobs }) => [manifest, ...blobs]);
    const imported = await scene.import(layoutOf(listed, pieces));
    expect(imported.map((one) => one.image)).toEqual([
      redis,
      'ghcr.io/acme/redis:seven',
      `docker.io/library/other@${other.manifest.digest}`,
    ]);
    await expectPulled(scene, redis, image);
    await expectPulled(scene, 'ghcr.io/acme/redis:seven', image);
    await expectPulled(scene, `docker.io/library/other@${other.manifest.digest}`, other);
    // By its digest alone: nobody has said that it is the latest.
    const repository = { registry: 'docker.io', path: 'library/other' };
    expect(scene.mirror.records.tags(repository, 10)).toEqual([]);
  });

  test.each([
    ['ghcr.io/acme/app:2', 'ghcr.io/acme/app:2'],
    ['acme/app', 'docker.io/acme/app:7'],
  ])('without a name takes the given one, %s, with its own tag where that has none', async (name, expected) => {
    await using scene = await ArchiveScene.start();
    const entries = layoutOf(
      [[image.manifest, { 'org.opencontainers.image.ref.name': '7' }]],
      [image.manifest, ...image.blobs],
    );
    expect(await scene.import(entries, { name })).toMatchObject([{ image: expected }]);
    await expectPulled(scene, expected, image);
  });

  test('has the given name instead of its own', async () => {
    await using scene = await ArchiveScene.start();
    const [imported] = await scene.import(namedLayout(image, redis), { name: 'mine' });
    expect(imported?.image).toBe('docker.io/library/mine:latest');
    expect(((await scene.kept()) as { tags: string[] }).tags.length).toBe(1);
  });

  test('makes a tag mean something else, which a pull sees at once', async () => {
    await using scene = await ArchiveScene.start();
    const newer = sampleImage('newer');
    await scene.import(namedLayout(image, redis));
    await expectPulled(scene, redis, image);
    await scene.import(namedLayout(newer, redis));
    await expectPulled(scene, redis, newer);
  });

  test('answers for what was remembered as absent', async () => {
    await using scene = await ArchiveScene.start({ negativeTtlMs: 60_000 });
    const { absences } = scene.mirror;
    const repository = scene.resolve('redis');
    for (const absent of [{ tag: '7' }, 'tags'] as const) absences.add(repository, absent);
    await scene.import(namedLayout(image, redis));
    expect(absences.has(repository, { tag: '7' })).toBe(false);
    expect(absences.has(repository, 'tags')).toBe(false);
  });

  test('that is here already changes nothing, and makes room for nothing', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis));
    const before = await scene.kept();
    await scene.import(namedLayout(image, redis));
    expect(await scene.kept()).toEqual(before);
  });

  test('of which all is here already is given to another repository as well', async () => {
    await using scene = await ArchiveScene.start({ mayShare: false });
    await scene.import(namedLayout(image, redis));
    await scene.import(namedLayout(image, 'ghcr.io/acme/redis:7'));
    await expectPulled(scene, 'ghcr.io/acme/redis:7', image);
  });

  test('is written within what was granted for it, byte for byte', async () => {
    await using scene = await ArchiveScene.start();
    const { mirror } = scene;
    const granted: { size: number; written: number }[] = [];
    const budget = {
      limit: Number.MAX_SAFE_INTEGER,
      reserve: async (size: number) => {
        const grant = { size, written: 0 };
        granted.push(grant);
        const wrote = (bytes: number) => {
          grant.written += bytes;
        };
        return { isKept: true, release: () => {}, wrote };
      },
    };
    const body = inPieces(await tarOf(namedLayout(image, redis)));
    await importArchive({ ...mirror, budget }, { body, resolve: (name) => scene.resolve(name), signal: patient });
    expect(granted.length).toBe(1 + 2 + 1 + image.blobs.length);
    for (const { size, written } of granted) expect(written).toBe(size);
  });

  test('mends a blob that rests here unproven', async () => {
    await using scene = await ArchiveScene.start();
    const { records, layout } = scene.mirror;
    const [config] = image.blobs;
    const digest = digestFor({ digest: config?.digest ?? '' });
    await mkdir(join(layout.blob(digest), '..'), { recursive: true });
    await writeFile(layout.blob(digest), 'x'.repeat(config?.size ?? 0));
    records.putUnproven(digest, config?.size ?? 0, 0);
    await scene.import(namedLayout(image, redis));
    await expectPulled(scene, redis, image);
  });

  test('tells how far it has come, and each image when it can be pulled', async () => {
    await using scene = await ArchiveScene.start();
    const events: ImportEvent[] = [];
    const tar = await tarOf([...namedLayout(image, redis), { name: 'padding', bytes: Buffer.alloc(20 * 1024 * 1024) }]);
    await scene.import(tar, { body: inPieces(tar, 64 * 1024), onEvent: (event) => events.push(event) });
    const read = events.flatMap((event) => (event.type === 'progress' ? [event.receivedBytes] : []));
    expect(read.at(-1)).toBe(tar.length);
    expect(read.length).toBe(3);
    expect(events.at(-1)).toMatchObject({ type: 'image', image: redis });
  });

  test('with a signature has it found by the digest of what was signed', async () => {
    await using scene = await ArchiveScene.start();
    const empty = piece('application/vnd.oci.empty.v1+json', '{}');
    const type = types.manifest;
    const body = {
      schemaVersion: 2,
      mediaType: type,
      config: described(empty),
      layers: [],
      subject: described(image.manifest),
    };
    const signature = piece(type, body);
    const listed = [
      [image.manifest, { 'io.containerd.image.name': redis }],
      [signature, { 'io.containerd.image.name': 'docker.io/library/redis:signature' }],
    ] as const;
    await scene.import(layoutOf(listed, [image.manifest, ...image.blobs, signature, empty]));
    const subject = digestFor(image.manifest);
    expect(scene.mirror.records.referrers(scene.resolve('redis'), subject, 10)).toEqual([signature.digest]);
  });
});

describe('what docker save wrote', () => {
  test('before version 25 is made an image of the same config and layers, always the same', async () => {
    const saved = await dockerArchive(['redis:7', 'ghcr.io/acme/redis:7']);
    const digests = new Set<string>();
    for (const entries of [saved.entries, [...saved.entries].reverse()]) {
      await using scene = await ArchiveScene.start();
      const imported = await scene.import(entries);
      expect(imported.map((one) => one.image)).toEqual([redis, 'ghcr.io/acme/redis:7']);
      for (const name of [redis, 'ghcr.io/acme/redis:7']) {
        const pulled = await scene.pulled(name);
        const { config, layers } = JSON.parse(Buffer.from(pulled?.bytes ?? []).toString());
        const repository = name.slice(0, name.lastIndexOf(':'));
        expect(await scene.blob(repository, config.digest)).toEqual(saved.config.bytes);
        expect(layers.map(({ mediaType }: { mediaType: string }) => mediaType)).toEqual(
          Array(3).fill('application/vnd.oci.image.layer.v1.tar'),
        );
        expect(layers[2]).toEqual(layers[0]);
        expect(await scene.blob(repository, layers[1].digest)).toEqual(saved.layers[1]);
        digests.add(pulled?.descriptor.digest ?? '');
      }
    }
    expect(digests.size).toBe(1);
  });

  test('may have its layers packed, as other programs write them', async () => {
    await using scene = await ArchiveScene.start();
    const saved = await dockerArchive(['redis:7']);
    const packed = saved.entries.map((entry, at) => {
      if (!entry.name.endsWith('layer.tar') || entry.bytes === undefined) return entry;
      return { ...entry, bytes: at < 5 ? gzipSync(entry.bytes) : zstdCompressSync(entry.bytes) };
    });
    await scene.import(packed);
    const pulled = await scene.pulled(redis);
    const { layers } = JSON.parse(Buffer.from(pulled?.bytes ?? []).toString());
    const types = layers.map(({ mediaType }: { mediaType: string }) => mediaType.split('+')[1]);
    expect(types).toEqual(['gzip', 'zstd', 'gzip']);
  });

  test('and is an image layout as well is taken for that', async () => {
    await using scene = await ArchiveScene.start();
    const saved = await dockerArchive(['redis:7']);
    const imported = await scene.import([...saved.entries, ...namedLayout(image, redis)]);
    expect(imported).toMatchObject([{ image: redis, digest: image.manifest.digest }]);
  });

  test('without a tag takes the given name', async () => {
    await using scene = await ArchiveScene.start();
    const { entries } = await dockerArchive(null);
    expect(await scene.import(entries, { name: 'redis:7' })).toMatchObject([{ image: redis }]);
  });
});

test('what an import that was killed has left is gone at the next start', async () => {
  await using scene = await ArchiveScene.start();
  const { layout, dir } = scene.mirror;
  await scene.mirror.stop();
  await mkdir(join(layout.spools, 'import-of-a-dead-process'));
  await writeFile(join(layout.spools, 'import-of-a-dead-process', '0'), 'half a layer');
  await using next = await ArchiveScene.start({ dir });
  expect(await next.kept()).toMatchObject({ arriving: [] });
});

test('whoever sends nothing more of it is not waited for when that is given up', async () => {
  await using scene = await ArchiveScene.start();
  const before = await scene.kept();
  const { layout } = scene.mirror;
  const stopping = new AbortController();
  const tar = await tarOf([{ name: 'half', bytes: Buffer.alloc(100_000) }]);
  const sent = 512 + 50_000;
  const written = async () => {
    const [folder = ''] = await readdir(layout.spools);
    const file = await stat(join(layout.spools, folder, '0')).catch(() => undefined);
    return 512 + (file?.size ?? 0);
  };
  async function* stalled(): AsyncGenerator<Uint8Array> {
    yield tar.subarray(0, sent);
    await new Promise(() => {});
  }
  const given = scene.import(tar, { body: stalled(), signal: stopping.signal });
  given.catch(() => {});
  await until('all that was sent to be written', async () => (await written()) === sent);
  stopping.abort(new Error('the mirror is stopping'));
  await expect(given).rejects.toThrow(/^the mirror is stopping$/);
  expect(await scene.kept()).toEqual(before);
});

test('whoever gives up while it is read leaves nothing behind', async () => {
  await using scene = await ArchiveScene.start();
  const before = await scene.kept();
  const leaving = new AbortController();
  const tar = await tarOf(namedLayout(image, redis));
  async function* left(): AsyncGenerator<Uint8Array> {
    yield tar.subarray(0, 5000);
    leaving.abort(new Error('the client has left'));
    yield tar.subarray(5000);
  }
  await expect(scene.import(tar, { body: left(), signal: leaving.signal })).rejects.toThrow(/^the client has left$/);
  expect(await scene.kept()).toEqual(before);
  expect(patient.aborted).toBe(false);
});
