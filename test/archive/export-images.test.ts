// Images that are written into an archive: what is in it, for whom, and what is said of those that are not here whole.
import { truncate } from 'node:fs/promises';
import { extract } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { HeldBlobs } from '../../src/archive/held-blobs.ts';
import type { Platform } from '../../src/oci/platform.ts';
import { digestFor, patient } from '../mirror/start-mirror.ts';
import { ArchiveScene } from './archive-scene.ts';
import {
  described,
  dockerArchive,
  type Entry,
  layoutOf,
  namedLayout,
  type Piece,
  piece,
  sampleImage,
  sampleIndex,
  types,
} from './tar-content.ts';

const image = sampleImage('plain');
const [amd64, arm64] = [sampleImage('multi', 'amd64'), sampleImage('multi', 'arm64')];
const index = sampleIndex([arm64, amd64]);
const redis = 'docker.io/library/redis:7';
const linux = (architecture: string): Platform => ({ os: 'linux', architecture });

function multi(pieces: readonly Piece[]): Entry[] {
  return layoutOf([[index, { 'io.containerd.image.name': redis }]], [index, ...pieces]);
}

const both = multi([arm64, amd64].flatMap(({ manifest, blobs }) => [manifest, ...blobs]));
const half = multi([amd64.manifest, ...amd64.blobs]);

async function unpack(tar: Uint8Array): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const reader = extract();
  reader.end(tar as Buffer);
  for await (const entry of reader) {
    expect({ mtime: entry.header.mtime.getTime(), uid: entry.header.uid, mode: entry.header.mode }).toEqual({
      mtime: 0,
      uid: 0,
      mode: 0o644,
    });
    files.set(entry.header.name, Buffer.concat((await Array.fromAsync(entry as AsyncIterable<unknown>)) as Buffer[]));
  }
  return files;
}

function jsonIn(files: ReadonlyMap<string, Buffer>, name: string) {
  return JSON.parse(files.get(name)?.toString() ?? 'null');
}

function nameOf({ digest }: { readonly digest: string }): string {
  return `blobs/${digest.replace(':', '/')}`;
}

describe('an exported image', () => {
  test('is in both layouts, under its own digests and all of its names', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis));
    await scene.import(namedLayout(image, 'ghcr.io/acme/redis:seven'));
    const files = await unpack(await scene.export(['redis:7', 'ghcr.io/acme/redis:seven', 'redis:7']));
    const blobs = [image.manifest, ...image.blobs].map(nameOf).sort();
    expect([...files.keys()]).toEqual([...blobs, 'index.json', 'manifest.json', 'oci-layout']);
    for (const one of [image.manifest, ...image.blobs]) expect(files.get(nameOf(one))).toEqual(one.bytes);
    expect(jsonIn(files, 'oci-layout')).toEqual({ imageLayoutVersion: '1.0.0' });
    const root = described(image.manifest);
    expect(jsonIn(files, 'index.json')).toEqual({
      schemaVersion: 2,
      mediaType: types.index,
      manifests: [
        { ...root, annotations: { 'io.containerd.image.name': redis, 'org.opencontainers.image.ref.name': '7' } },
        {
          ...root,
          annotations: {
            'io.containerd.image.name': 'ghcr.io/acme/redis:seven',
            'org.opencontainers.image.ref.name': 'seven',
          },
        },
      ],
    });
    const [config, ...layers] = image.blobs;
    expect(jsonIn(files, 'manifest.json')).toEqual([
      {
        Config: nameOf(config ?? image.manifest),
        RepoTags: [redis, 'ghcr.io/acme/redis:seven'],
        Layers: layers.map(nameOf),
      },
    ]);
  });

  test('is the same bytes each time, and as many as were announced', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(both);
    const { sizeBytes, files } = await scene.openExport(['redis:7']);
    const tar = await scene.export(['redis:7']);
    expect(tar.length).toBe(sizeBytes);
    expect(files.map(({ name }) => name)).toEqual([...(await unpack(tar)).keys()]);
    await using other = await ArchiveScene.start();
    await other.import([...both].reverse());
    expect((await other.export(['redis:7'])).equals(tar)).toBe(true);
  });

  test('can be taken in by another mirror, with the same digests under the same names', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(both);
    await scene.import((await dockerArchive(['saved:1'])).entries);
    await using other = await ArchiveScene.start();
    await other.import(await scene.export(['redis:7', 'saved:1']));
    expect(await other.kept()).toEqual(await scene.kept());
  });

  test('with the tag of another has its whole name where tags are told apart', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis));
    await scene.import(namedLayout(sampleImage('other'), 'ghcr.io/acme/other:7'));
    const { manifests } = jsonIn(await unpack(await scene.export([redis, 'ghcr.io/acme/other:7'])), 'index.json');
    expect(manifests.map((one: { annotations: object }) => Object.values(one.annotations))).toEqual([
      [redis, redis],
      ['ghcr.io/acme/other:7', 'ghcr.io/acme/other:7'],
    ]);
  });

  test('that is named by its digest has no tag, and keeps its repository', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis));
    const tar = await scene.export([`redis@${image.manifest.digest}`]);
    const files = await unpack(tar);
    expect(jsonIn(files, 'manifest.json')[0].RepoTags).toBeNull();
    await using other = await ArchiveScene.start();
    expect(await other.import(tar)).toMatchObject([{ image: `docker.io/library/redis@${image.manifest.digest}` }]);
  });

  test('that only some may see can be exported by whoever runs the mirror', async () => {
    await using scene = await ArchiveScene.start();
    const resolve = (name: string) => ({ ...scene.resolve(name), isPrivate: true });
    await scene.import(namedLayout(image, redis), { resolve });
    expect((await unpack(await scene.export([redis]))).has(nameOf(image.manifest))).toBe(true);
  });

  test('that Docker cannot run is in the image layout alone', async () => {
    await using scene = await ArchiveScene.start();
    const config = piece('application/vnd.cncf.helm.config.v1+json', '{}');
    const chart = piece(types.manifest, {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: described(config),
      layers: [],
    });
    await scene.import(layoutOf([[chart, { 'io.containerd.image.name': redis }]], [chart, config]));
    const files = await unpack(await scene.export([redis]));
    expect(files.has(nameOf(chart))).toBe(true);
    expect(files.has('manifest.json')).toBe(false);
  });

  test('with a layer that must come from elsewhere goes without it, and not to Docker', async () => {
    await using scene = await ArchiveScene.start();
    const [config] = image.blobs;
    const foreign = piece('application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', 'elsewhere');
    const layers = [described(foreign)];
    const body = { schemaVersion: 2, mediaType: types.manifest, config: config && described(config), layers };
    const windows = piece(types.manifest, body);
    await scene.import(layoutOf([[windows, { 'io.containerd.image.name': redis }]], [windows, ...image.blobs]));
    const files = await unpack(await scene.export([redis]));
    expect([...files.keys()].filter((name) => name.startsWith('blobs/')).length).toBe(2);
    expect(files.has('manifest.json')).toBe(false);
  });

  test('with a layer twice has it once, and twice for Docker', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import((await dockerArchive([redis])).entries);
    const files = await unpack(await scene.export([redis]));
    const [{ Layers: layers }] = jsonIn(files, 'manifest.json');
    expect(layers.length).toBe(3);
    expect(layers[2]).toBe(layers[0]);
    expect([...files.keys()].length).toBe(4 + 3);
  });

  test('with blobs by sha512 is announced by as many bytes as it has', async () => {
    await using scene = await ArchiveScene.start();
    const { createHash } = await import('node:crypto');
    const bytes = Buffer.from('{}');
    const digest = `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
    const config: Piece = { mediaType: types.config, digest, size: bytes.length, bytes };
    const root = piece(types.manifest, {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: described(config),
      layers: [],
    });
    await scene.import(layoutOf([[root, { 'io.containerd.image.name': redis }]], [root, config]));
    const { sizeBytes } = await scene.openExport([redis]);
    const tar = await scene.export([redis]);
    expect(tar.length).toBe(sizeBytes);
    expect((await unpack(tar)).get(nameOf(config))).toEqual(bytes);
  });
});

describe('of an image of many platforms', () => {
  const blobsOf = (files: ReadonlyMap<string, Buffer>) => [...files.keys()].filter((name) => name.startsWith('blobs/'));
  const piecesOf = (...roots: (typeof amd64)[]) =>
    [...new Set([index, ...roots.flatMap(({ manifest, blobs }) => [manifest, ...blobs])].map(nameOf))].sort();

  test.each([
    ['all go along', both, 'all', [amd64, arm64]],
    ['those that are here go along', both, undefined, [amd64, arm64]],
    ['an empty wish is none', both, [], [amd64, arm64]],
    ['only what is here whole goes along', half, undefined, [amd64]],
    ['one that is wished for goes along', both, [linux('arm64')], [arm64]],
    ['one that is wished for and here goes along', half, [linux('amd64')], [amd64]],
    ['two that are wished for go along', both, [linux('arm64'), linux('amd64')], [amd64, arm64]],
  ] as const)('%s, under the index as it is', async (_what, entries, platforms, expected) => {
    await using scene = await ArchiveScene.start();
    await scene.import(entries);
    const files = await unpack(await scene.export([redis], platforms));
    expect(blobsOf(files)).toEqual(piecesOf(...expected));
    expect(jsonIn(files, 'index.json').manifests).toMatchObject([described(index)]);
    const [{ Config: config }] = jsonIn(files, 'manifest.json');
    expect(expected.map(({ blobs }) => nameOf(blobs[0] ?? index))).toContain(config);
    await using other = await ArchiveScene.start();
    expect(await other.import(await scene.export([redis], platforms))).toMatchObject([{ digest: index.digest }]);
  });

  test.each([
    [
      'of which not all are here',
      half,
      'all',
      /^docker.io\/library\/redis:7 for linux\/arm64 is not here whole: sha256:\w+ is missing; stillwater prefetch docker.io\/library\/redis:7 --all-platforms brings it$/,
    ],
    [
      'of which that one is not here',
      half,
      [linux('arm64')],
      /for linux\/arm64 is not here whole: .* prefetch docker.io\/library\/redis:7 --platform linux\/arm64 brings it$/,
    ],
    [
      'of which there is no such one',
      both,
      [linux('s390x')],
      /^docker.io\/library\/redis:7 is not for linux\/s390x: it is for linux\/arm64, linux\/amd64$/,
    ],
  ] as const)('refuses one %s', async (_what, entries, platforms, why) => {
    await using scene = await ArchiveScene.start();
    await scene.import(entries);
    await expect(scene.export([redis], platforms)).rejects.toThrow(why);
  });

  test('one without an index is known by its config', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis));
    expect(await scene.export([redis], [linux('amd64')])).toEqual(await scene.export([redis]));
    await expect(scene.export([redis], [linux('arm64')])).rejects.toThrow(
      /is not for linux\/arm64: it is for linux\/amd64$/,
    );
  });

  test('attestations go along as far as they are here', async () => {
    const attestation = piece(types.manifest, {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: described(amd64.blobs[0] ?? index),
      layers: [],
    });
    const nobody = { os: 'unknown', architecture: 'unknown' };
    const manifests = [
      { ...described(amd64.manifest), platform: amd64.platform },
      { ...described(attestation), platform: nobody },
      { ...described(arm64.manifest), platform: nobody },
    ];
    const root = piece(types.index, { schemaVersion: 2, mediaType: types.index, manifests });
    await using scene = await ArchiveScene.start();
    const pieces = [root, attestation, amd64.manifest, ...amd64.blobs];
    await scene.import(layoutOf([[root, { 'io.containerd.image.name': redis }]], pieces));
    const files = await unpack(await scene.export([redis], 'all'));
    expect(files.has(nameOf(attestation))).toBe(true);
    expect(files.has(nameOf(arm64.manifest))).toBe(false);
  });
});

describe('refuses', () => {
  test.each([
    [
      'what was never here',
      'redis:8',
      /^nothing is cached as docker.io\/library\/redis:8; stillwater prefetch docker.io\/library\/redis:8 brings it$/,
    ],
    [
      'a digest that was never here',
      `redis@sha256:${'0'.repeat(64)}`,
      /nothing is cached as docker.io\/library\/redis@sha256:0+;/,
    ],
    ['what is another repository’s', `ghcr.io/acme/redis@${image.manifest.digest}`, /nothing is cached as ghcr.io/],
  ])('%s', async (_what, name, why) => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis));
    const refusal = await scene.export([redis, name]).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ name: 'OciError', code: 'NAME_UNKNOWN', message: expect.stringMatching(why) });
  });

  test('an image with a layer that nobody has proven', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis));
    const { records } = scene.mirror;
    const [, layer = image.manifest] = image.blobs;
    records.deleteBlob(digestFor(layer));
    records.putUnproven(digestFor(layer), layer.size, 0);
    await expect(scene.export([redis])).rejects.toThrow(`${layer.digest} is missing; stillwater prefetch`);
  });

  test.each(['a layer', 'a manifest', 'a file under a record'])('an image that has lost %s', async (what) => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis));
    const { records, store } = scene.mirror;
    const lost = digestFor(what === 'a manifest' ? image.manifest : (image.blobs[1] ?? image.manifest));
    if (what !== 'a file under a record') records.deleteBlob(lost);
    await store.remove(lost);
    const why = what === 'a manifest' ? 'nothing is cached as' : `${lost} is missing; stillwater prefetch`;
    await expect(scene.export([redis])).rejects.toThrow(why);
  });
});

/** redis:7 with a layer of 16 MiB. */
async function withLarge(scene: ArchiveScene): Promise<{ readonly large: Piece }> {
  const large = piece(types.layer, Buffer.alloc(16 * 1024 * 1024, 7));
  const config = described(image.blobs[0] ?? large);
  const root = piece(types.manifest, {
    schemaVersion: 2,
    mediaType: types.manifest,
    config,
    layers: [described(large)],
  });
  await scene.import(layoutOf([[root, { 'io.containerd.image.name': redis }]], [root, large, ...image.blobs]));
  return { large };
}

test('more blobs than can be held open go into no archive', () => {
  const one = described(image.manifest);
  const digests = Array.from({ length: 4097 }, (_, at) => `sha256:${at.toString(16).padStart(64, '0')}`);
  const blobs = digests.map((digest) => ({ ...one, digest: digestFor({ digest }) }));
  const store = { open: async () => undefined, has: async () => true };
  expect(() => new HeldBlobs(store, blobs)).toThrow(
    /more than 4096 blobs go into no archive; export fewer images at once/,
  );
  expect(() => new HeldBlobs(store, [...blobs.slice(1), ...blobs.slice(1)])).not.toThrow();
});

describe('while it is written', () => {
  test('an eviction takes nothing out of it', async () => {
    await using scene = await ArchiveScene.start();
    await withLarge(scene);
    const whole = await scene.export([redis]);
    const { body } = await scene.openExport([redis]);
    const read: Uint8Array[] = [];
    for await (const chunk of body) {
      if (read.length === 0) await scene.mirror.evictor.evict(Number.POSITIVE_INFINITY);
      read.push(chunk);
    }
    expect(scene.mirror.records.totals.blobs).toBe(0);
    expect(Buffer.concat(read).equals(whole)).toBe(true);
  });

  test('what left the cache before its first byte ends it there', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis));
    const { body } = await scene.openExport([redis]);
    await scene.mirror.evictor.evict(Number.POSITIVE_INFINITY);
    await expect(Array.fromAsync(body)).rejects.toThrow(/left the cache before the archive was begun; export it again/);
  });

  test('it is read no faster than it is taken, and whoever leaves lets go of it', async () => {
    await using scene = await ArchiveScene.start();
    await withLarge(scene);
    const { store } = scene.mirror;
    let [read, open] = [0, 0];
    const openBlob = store.open.bind(store);
    store.open = async (...blob) => {
      const content = await openBlob(...blob);
      if (!content) return content;
      open++;
      return {
        ...{ size: content.size, fd: undefined },
        waitFor: (position, signal) => content.waitFor(position, signal),
        read: async (buffer, position) => {
          const bytes = await content.read(buffer, position);
          read += bytes;
          return bytes;
        },
        close: async () => {
          open--;
          await content.close();
        },
      };
    };
    const { body } = await scene.openExport([redis]);
    expect(open).toBe(0);
    let taken = 0;
    for await (const chunk of body) {
      taken += chunk.length;
      // As many turns as a reader that is not held back needs for much more than this.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(read - taken).toBeLessThan(1024 * 1024);
      if (taken > 8 * 1024 * 1024) break;
    }
    expect(open).toBe(0);
    expect(read).toBeLessThan(10 * 1024 * 1024);
  });

  test('a file that is cut short under it ends it there', async () => {
    await using scene = await ArchiveScene.start();
    const { large } = await withLarge(scene);
    const { body } = await scene.openExport([redis]);
    const read = async () => {
      for await (const chunk of body)
        if (chunk.length > 0) await truncate(scene.mirror.layout.blob(digestFor(large)), 1024 * 1024);
    };
    await expect(read()).rejects.toThrow(`the file of ${large.digest} was cut short at byte`);
  });

  test('the signal ends it where it is', async () => {
    await using scene = await ArchiveScene.start();
    await withLarge(scene);
    const leaving = new AbortController();
    const { body } = await scene.openExport([redis], undefined, leaving.signal);
    const read = async () => {
      for await (const chunk of body) if (chunk.length > 100_000) leaving.abort(new Error('the client has left'));
    };
    await expect(read()).rejects.toThrow(/^the client has left$/);
  });

  test('the signal ends it before it begins', async () => {
    await using scene = await ArchiveScene.start();
    await scene.import(namedLayout(image, redis));
    const leaving = new AbortController();
    const { body } = await scene.openExport([redis], undefined, leaving.signal);
    leaving.abort(new Error('the client has left'));
    await expect(Array.fromAsync(body)).rejects.toThrow('the client has left');
    await expect(scene.openExport([redis], undefined, leaving.signal)).rejects.toThrow('the client has left');
    expect(patient.aborted).toBe(false);
  });
});
