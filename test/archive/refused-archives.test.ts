// Archives that are refused: each for its own reason, told in one line, and nothing of them stays.
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { ArchiveScene } from './archive-scene.ts';
import {
  described,
  dockerArchive,
  type Entry,
  inPieces,
  layoutOf,
  namedLayout,
  type Piece,
  piece,
  sampleImage,
  sampleIndex,
  tarOf,
  types,
} from './tar-content.ts';

const image = sampleImage('good');
const other = sampleImage('other');
const redis = 'docker.io/library/redis:7';
const whole = namedLayout(image, redis);
const layer = `blobs/${image.blobs[1]?.digest.replace(':', '/')}`;

function without(name: string, entries: readonly Entry[] = whole): Entry[] {
  return entries.filter((entry) => entry.name !== name);
}

function changed(
  name: string,
  change: (bytes: Buffer) => Uint8Array | string,
  entries: readonly Entry[] = whole,
): Entry[] {
  return entries.map((entry) =>
    entry.name === name ? { ...entry, bytes: change(Buffer.from(entry.bytes ?? '')) } : entry,
  );
}

function rooted(root: Piece, ...pieces: Piece[]): Entry[] {
  return layoutOf([[root, { 'io.containerd.image.name': redis }]], [root, ...pieces]);
}

function flipped(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(7) ^ 1, 7);
  return copy;
}

function manifestOf(body: object): Piece {
  return piece(types.manifest, { schemaVersion: 2, mediaType: types.manifest, ...body });
}

/** An index of an index of an index. */
function nested(depth: number): Piece[] {
  const pieces = [sampleIndex([image])];
  for (let at = 1; at < depth; at++) {
    const [last] = pieces;
    if (last)
      pieces.unshift(piece(types.index, { schemaVersion: 2, mediaType: types.index, manifests: [described(last)] }));
  }
  return pieces;
}

async function expectRefused(archive: Uint8Array | readonly Entry[], why: RegExp, name?: string): Promise<void> {
  await using scene = await ArchiveScene.start();
  await scene.import(namedLayout(other, 'redis:6'));
  const before = await scene.kept();
  const refusal = await scene.import(archive, { name }).catch((error: unknown) => error);
  expect(refusal).toMatchObject({ name: 'ArchiveError', message: expect.stringMatching(why) });
  expect((refusal as Error).message).not.toContain('\n');
  expect(await scene.kept()).toEqual(before);
}

const [small, large] = [image.blobs[0], image.blobs[1]].map((blob) => blob && described(blob));

test.each<readonly [what: string, entries: readonly Entry[], why: RegExp]>([
  ['nothing at all', [], /^the archive is neither an OCI image layout \(oci-layout, index.json\) nor .* docker save/],
  ['an image layout without an index', without('index.json'), /has oci-layout, and no index.json/],
  ['an index without the image layout', without('oci-layout'), /neither an OCI image layout/],
  ['a newer image layout', changed('oci-layout', () => '{"imageLayoutVersion":"2.0.0"}'), /version "2.0.0", not 1.0.0/],
  ['an image layout that does not say of which version', changed('oci-layout', () => 'null'), /version undefined/],
  ['an index that is no JSON', changed('index.json', () => '{'), /^index.json: .*not JSON/],
  ['an index that is a list', changed('index.json', () => '[]'), /^index.json: .*not a JSON object/],
  [
    'an index of four million bytes more',
    changed('index.json', () => ' '.repeat(2 ** 22 + 1)),
    /index.json has 4194305 bytes/,
  ],
  ['an index that lists nothing', changed('index.json', () => '{}'), /lists no image/],
  [
    'an index that names what is not in it',
    without(`blobs/${image.manifest.digest.replace(':', '/')}`),
    /not whole: index.json names sha256:/,
  ],
  ['a manifest whose layer is not in it', without(layer), /not whole: sha256:\w+ names sha256:\w+, which is not in it/],
  ['a layer that is damaged', changed(layer, flipped), /^blobs\/sha256\/\w+ is damaged: its bytes hash to sha256:/],
  ['a layer that is cut short', changed(layer, (bytes) => bytes.subarray(1)), /is damaged/],
  [
    'a damaged blob that nobody names',
    [...whole, { name: `blobs/sha256/${'0'.repeat(64)}`, bytes: 'x' }],
    /is damaged/,
  ],
  [
    'a layer of another length than its manifest says',
    rooted(manifestOf({ config: small, layers: [{ ...large, size: 1 }] }), ...image.blobs),
    /has \d+ bytes, and is named as having 1$/,
  ],
  [
    'a manifest that is none',
    rooted(manifestOf({ config: small, layers: 'many' }), ...image.blobs),
    /^sha256:\w+: the manifest cannot be used: layers is not a list/,
  ],
  [
    'a manifest that is both image and index',
    rooted(manifestOf({ config: small, layers: [], manifests: [] }), ...image.blobs),
    /ambiguous/,
  ],
  [
    'a digest by a way that is not known',
    rooted(manifestOf({ config: { ...small, digest: 'md5:00' }, layers: [] })),
    /config\[0\] is not a descriptor/,
  ],
  [
    'an index of which no image is in it',
    rooted(sampleIndex([image, other])),
    /is an index, and none of its images is in it/,
  ],
  ['an index of nothing', rooted(sampleIndex([])), /none of its images is in it/],
  [
    'an index in an index, without end',
    rooted(...(nested(6) as [Piece, ...Piece[]]), image.manifest, ...image.blobs),
    /too deep to follow/,
  ],
  [
    'a blob that is a link to another',
    [...without(layer), { name: layer, type: 'symlink', linkname: '../../oci-layout' }],
    /is a link to oci-layout, which is sha256:/,
  ],
  ['a link without end', [...without(layer), { name: layer, type: 'link', linkname: layer }], /not whole/],
  [
    'a link out of it',
    [...whole, { name: 'a/b', type: 'symlink', linkname: '../../etc/passwd' }],
    /a\/b is a link that leads out of the archive/,
  ],
  ['a link to the root', [...whole, { name: 'a', type: 'symlink', linkname: '/etc/passwd' }], /leads out/],
  ['a hard link out of it', [...whole, { name: 'a', type: 'link', linkname: '../passwd' }], /leads out/],
  [
    'a name out of it',
    [...whole, { name: '../passwd', bytes: 'x' }],
    /an entry has a name that it cannot have: "..\/passwd"/,
  ],
  ['a name that goes out and comes back', [...whole, { name: 'a/../b', bytes: 'x' }], /cannot have/],
  ['a name from the root', [...whole, { name: '/etc/passwd', bytes: 'x' }], /cannot have/],
  ['a name of two lines', [...whole, { name: 'a\nb', bytes: 'x' }], /cannot have: "a\\nb"/],
  ['a name without end', [...whole, { name: 'a'.repeat(2000), bytes: 'x' }], /cannot have/],
  ['a file in place of its folder', [...whole, { name: '.', bytes: 'x' }], /cannot have/],
  ['an entry twice', [...whole, ...whole.slice(0, 1)], /^oci-layout is in the archive twice$/],
  [
    'an entry twice, once by another name',
    [...whole, { name: './oci-layout', bytes: '{}' }],
    /is in the archive twice/,
  ],
  ['an entry and a link of its name', [...whole, { name: 'index.json', type: 'symlink', linkname: 'b' }], /twice/],
  ['a pipe', [...whole, { name: 'a', type: 'fifo' }], /a is neither a file nor a link/],
  ['a device', [...whole, { name: 'a', type: 'character-device' }], /neither a file nor a link/],
  [
    'an image without a name',
    layoutOf([[image.manifest, {}]], [image.manifest, ...image.blobs]),
    /does not say the name of its image sha256:\w+: give it one \(--name REPO:TAG\)$/,
  ],
  [
    'an image with no more than a tag',
    layoutOf([[image.manifest, { 'org.opencontainers.image.ref.name': '7' }]], [image.manifest, ...image.blobs]),
    /\(tag 7\): give it one/,
  ],
  [
    'a name of no registry that is known',
    namedLayout(image, 'localhost/redis:7'),
    /"localhost\/redis:7" cannot be named so: .*localhost is not configured/,
  ],
  ['a name that is none', namedLayout(image, 'redis:not a tag'), /not a tag/],
  ['a path that is none', namedLayout(image, 'REDIS:7'), /not a repository name/],
  [
    'two images under one name',
    layoutOf(
      [image, other].map(({ manifest }) => [manifest, { 'io.containerd.image.name': redis }] as const),
      [image, other].flatMap(({ manifest, blobs }) => [manifest, ...blobs]),
    ),
    /docker.io\/library\/redis:7 is in the archive twice, as sha256:\w+ and as sha256:/,
  ],
])('refuses %s', async (_what, entries, why) => {
  await expectRefused(entries, why);
});

test('refuses one name for two images', async () => {
  const both = [image, other].flatMap(({ manifest, blobs }) => [manifest, ...blobs]);
  const names = ['redis:1', 'redis:2'].map(
    (name, at) => [[image, other][at]?.manifest ?? image.manifest, { 'io.containerd.image.name': name }] as const,
  );
  await expectRefused(layoutOf(names, both), /has 2 images, and a name can be given to a single one/, 'redis:3');
});

describe('of what docker save wrote, refuses', () => {
  test.each<readonly [what: string, change: (entry: Entry) => Entry | undefined, why: RegExp]>([
    [
      'a list that is none',
      (entry) => (entry.name === 'manifest.json' ? { ...entry, bytes: '{}' } : entry),
      /manifest.json is not a list/,
    ],
    [
      'an image that does not say what it is made of',
      (entry) => (entry.name === 'manifest.json' ? { ...entry, bytes: '[{"Config":1}]' } : entry),
      /manifest.json\[0\] does not say what/,
    ],
    [
      'tags that are no text',
      (entry) =>
        entry.name === 'manifest.json' ? { ...entry, bytes: '[{"Config":"a","Layers":[],"RepoTags":[1]}]' } : entry,
      /manifest.json\[0\]/,
    ],
    [
      'a config that is not in it',
      (entry) => (/^\w{64}\.json$/.test(entry.name) ? undefined : entry),
      /manifest.json names "\w+.json", which is not in it/,
    ],
    [
      'a damaged config',
      (entry) => (/^\w{64}\.json$/.test(entry.name) ? { ...entry, bytes: `${entry.bytes} ` } : entry),
      /\.json is damaged: its bytes hash to/,
    ],
    [
      'a damaged layer',
      (entry) =>
        entry.name.endsWith('layer.tar') && entry.type === undefined
          ? { ...entry, bytes: flipped(Buffer.from(entry.bytes ?? '')) }
          : entry,
      /layer.tar is damaged, or another layer/,
    ],
    [
      'a packed layer that is cut short',
      (entry) =>
        entry.name.endsWith('layer.tar') && entry.type === undefined
          ? { ...entry, bytes: gzipSync(entry.bytes ?? '').subarray(0, -9) }
          : entry,
      /layer.tar cannot be unpacked: /,
    ],
    [
      'a layer that is not in it',
      (entry) => (entry.name.endsWith('layer.tar') && entry.type === undefined ? undefined : entry),
      /manifest.json names .*layer.tar", which is not in it/,
    ],
    [
      'fewer layers than the config has',
      (entry) =>
        entry.name === 'manifest.json'
          ? {
              ...entry,
              bytes: JSON.stringify(
                JSON.parse(String(entry.bytes)).map((one: { Layers: string[] }) => ({
                  ...one,
                  Layers: one.Layers.slice(1),
                })),
              ),
            }
          : entry,
      /has 3 layers, manifest.json names 2/,
    ],
  ])('%s', async (_what, change, why) => {
    const { entries } = await dockerArchive(['redis:7']);
    await expectRefused(
      entries.flatMap((entry) => change(entry) ?? []),
      why,
    );
  });

  test('a config that is no image’s', async () => {
    const config = piece('', '{"rootfs":{"diff_ids":[1]}}');
    const list = JSON.stringify([{ Config: 'config', RepoTags: ['redis:7'], Layers: [] }]);
    await expectRefused(
      [
        { name: 'config', bytes: config.bytes },
        { name: 'manifest.json', bytes: list },
      ],
      /config is no image's config/,
    );
  });
});

test('asks for nothing more of what is refused', async () => {
  await using scene = await ArchiveScene.start();
  const ended = Promise.withResolvers<number>();
  let asked = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      const start = await tarOf([{ name: '../out', bytes: 'x' }]);
      for (;;) {
        asked++;
        yield asked === 1 ? start.subarray(0, 1024) : Buffer.alloc(512);
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      ended.resolve(asked);
    }
  }
  await expect(scene.import([], { body: endless() })).rejects.toThrow('cannot have');
  expect(await ended.promise).toBeLessThan(100);
});

test('refuses more manifests than any image has', async () => {
  const some = { mediaType: types.manifest, size: 2 };
  const digests = Array.from({ length: 10_001 }, (_, at) => `sha256:${at.toString(16).padStart(64, '0')}`);
  const manifests = digests.map((digest) => ({ ...some, digest }));
  const root = piece(types.index, { schemaVersion: 2, mediaType: types.index, manifests });
  await expectRefused(rooted(root), /^more than 10000 manifests are named$/);
});

describe('refuses indexes in indexes', () => {
  /** The innermost first. */
  const chain = [...nested(20)].reverse();
  const listed = chain.map((one, at) => [one, { 'io.containerd.image.name': `docker.io/library/deep:${at}` }] as const);

  test.each([
    ['innermost first', listed],
    ['outermost first', [...listed].reverse()],
  ])('that are too deep, listed %s', async (_how, roots) => {
    await expectRefused(layoutOf(roots, [...chain, image.manifest, ...image.blobs]), /too deep to follow$/);
  });

  test('that name the same again and again, more than anybody looks through', async () => {
    const manifests = Array.from({ length: 5000 }, (_, at) => ({
      ...{ mediaType: types.manifest, size: 2 },
      digest: `sha256:${at.toString(16).padStart(64, '0')}`,
    }));
    const many = piece(types.index, {
      ...{ schemaVersion: 2, mediaType: types.index },
      manifests: [described(image.manifest), ...manifests],
    });
    const roots = Array.from({ length: 120 }, (_, at) =>
      piece(types.index, {
        schemaVersion: 2,
        mediaType: types.index,
        manifests: [described(many)],
        annotations: { at },
      }),
    );
    const each = roots.map((root, at) => [root, { 'io.containerd.image.name': `docker.io/library/a:${at}` }] as const);
    await expectRefused(layoutOf(each, [...roots, many, image.manifest, ...image.blobs]), /name too much to be looked/);
  });
});

test('refuses more names than are taken in at once', async () => {
  const names = Array.from(
    { length: 4097 },
    (_, at) => [image.manifest, { 'io.containerd.image.name': `a:${at}` }] as const,
  );
  await expectRefused(layoutOf(names, [image.manifest, ...image.blobs]), /^index.json lists more than 4096 images; /);
  const { entries } = await dockerArchive(names.map((_, at) => `a:${at}`));
  await expectRefused(entries, /^manifest.json lists more than 4096 images; /);
});

test('refuses more parts of repositories than go into one turn', async () => {
  const layers = Array.from({ length: 200 }, (_, at) => piece(types.layer, `layer ${at}`));
  const manifest = manifestOf({ config: small, layers: layers.map(described) });
  const names = Array.from({ length: 90 }, (_, at) => [manifest, { 'io.containerd.image.name': `a${at}:1` }] as const);
  const archive = (count: number) => layoutOf(names.slice(0, count), [manifest, ...image.blobs, ...layers]);
  await expectRefused(archive(90), /have more than 16384 parts; save fewer of them at once$/);
  await using scene = await ArchiveScene.start();
  expect((await scene.import(archive(80))).length).toBe(80);
});

test('refuses more bytes of manifests than are read into memory', async () => {
  const padding = Buffer.alloc(4 * 1024 * 1024 - 4096, ' ');
  const pieces = Array.from({ length: 9 }, (_, at) => {
    const body = { schemaVersion: 2, config: small, layers: [], annotations: { at } };
    return piece(types.manifest, Buffer.concat([Buffer.from(JSON.stringify(body)), padding]));
  });
  const manifests = pieces.map(described);
  const root = piece(types.index, { schemaVersion: 2, mediaType: types.index, manifests });
  await expectRefused(rooted(root, ...pieces, ...image.blobs), /^the manifests have more than 33554432 bytes$/);
});

describe('refuses bytes that are', () => {
  test.each([
    [
      'in a file',
      (tar: Buffer) => tar.subarray(0, 520),
      /^the archive is damaged or cut short at "oci-layout": it ends too early$/,
    ],
    [
      'before a file',
      (tar: Buffer) => tar.subarray(0, 512),
      /^the archive is damaged or cut short at "oci-layout": it ends too early$/,
    ],
    [
      'in a header',
      (tar: Buffer) => tar.subarray(0, 1200),
      /^the archive is damaged or cut short at "oci-layout": it ends too early$/,
    ],
    ['packed', (tar: Buffer) => gzipSync(tar).subarray(0, -20), /^the archive's gzip is damaged or cut short: /],
  ])('cut short and come byte by byte, %s', async (_how, cut, why) => {
    await using scene = await ArchiveScene.start();
    const bytes = cut(await tarOf(whole));
    await expect(scene.import(bytes, { body: inPieces(bytes, 1) })).rejects.toThrow(why);
  });

  test.each<readonly [what: string, damage: (tar: Buffer) => Uint8Array, why: RegExp]>([
    ['no tar', () => Buffer.from('not a tar '.repeat(100)), /^the archive is not a tar, or damaged: /],
    ['too few for a tar', () => Buffer.from('x'), /^the archive is not a tar, or damaged/],
    ['cut short', (tar) => tar.subarray(0, 4000), /^the archive is damaged or cut short at "blobs\/sha256\/\w+": /],
    ['packed, and cut short', (tar) => gzipSync(tar).subarray(0, -100), /^the archive's gzip is damaged or cut short/],
    [
      'packed, and damaged',
      (tar) => {
        const packed = gzipSync(tar);
        packed.fill(0, 200, 220);
        return packed;
      },
      /gzip is damaged|^the archive|^blobs/,
    ],
  ])('%s', async (_what, damage, why) => {
    await expectRefused(damage(await tarOf(whole)), why);
  });
});

const folder = (await tarOf([{ name: 'a/', type: 'directory' }])).subarray(0, 512);

describe('without room', () => {
  const mebibyte = 1024 * 1024;
  const bulk: Entry = { name: 'bulk', bytes: Buffer.alloc(2 * mebibyte) };

  test('refuses what is larger than the cache may be, and evicts nothing for it', async () => {
    await using scene = await ArchiveScene.start({ maxSize: { bytes: 1024 * 1024 } });
    await scene.import(namedLayout(other, 'redis:6'));
    const before = await scene.kept();
    await expect(scene.import([bulk, ...whole])).rejects.toThrow(
      /^there is no room for the archive: with bulk its files have 2097152 bytes, and cache.maxSize, cache.minFree and what is pinned leave 1048576; /,
    );
    expect(await scene.kept()).toEqual(before);
    await scene.import(whole);
  });

  test.each([
    ['plain', (tar: Buffer) => tar],
    ['packed', (tar: Buffer) => gzipSync(tar, { level: 0 })],
  ])('refuses what is longer than that, %s, before it reads any of it', async (_how, packed) => {
    await using scene = await ArchiveScene.start({ maxSize: { bytes: 4 * mebibyte } });
    await scene.import([bulk, ...namedLayout(other, 'redis:6')]);
    const before = await scene.kept();
    const tar = packed(await tarOf([{ name: 'large', bytes: Buffer.alloc(8 * mebibyte) }, ...whole]));
    let isRead = false;
    async function* body(): AsyncGenerator<Uint8Array> {
      isRead = true;
      yield tar;
    }
    await expect(scene.import(tar, { body: body(), sizeBytes: tar.length })).rejects.toThrow(
      /^there is no room for the archive: it has \d+ bytes, and cache.maxSize, cache.minFree and what is pinned leave 4194304; /,
    );
    expect(isRead).toBe(false);
    expect(await scene.kept()).toEqual(before);
  });

  test('takes what just fits, whatever its length', async () => {
    await using scene = await ArchiveScene.start({ maxSize: { bytes: 4 * mebibyte } });
    // Folders and names, that count for nothing.
    const folders = Array.from({ length: 900 }, (_, at): Entry => ({ name: `folder ${at}/`, type: 'directory' }));
    const tar = await tarOf([...folders, { name: 'large', bytes: Buffer.alloc(4 * mebibyte - 65_536) }, ...whole]);
    expect(tar.length).toBeGreaterThan(4 * mebibyte);
    await scene.import(tar, { sizeBytes: tar.length });
    expect(await scene.pulled(redis)).toBeDefined();
  });

  test('refuses the file with which it is too much, before anything makes room for that', async () => {
    await using scene = await ArchiveScene.start({ maxSize: { bytes: 4 * mebibyte } });
    const parts = Array.from({ length: 5 }, (_, at): Entry => ({ name: `part ${at}`, bytes: Buffer.alloc(mebibyte) }));
    const asked: number[] = [];
    const { budget } = scene.mirror;
    const reserve = budget.reserve.bind(budget);
    budget.reserve = (...args) => {
      asked.push(args[0]);
      return reserve(...args);
    };
    await expect(scene.import([...parts, ...whole])).rejects.toThrow(/with part 4 its files have 5242880 bytes/);
    expect(asked).toEqual([0, ...Array(4).fill(mebibyte)]);
  });

  test('counts what is pinned as taken', async () => {
    await using scene = await ArchiveScene.start({ maxSize: { bytes: 4 * mebibyte } });
    const layers = [piece(types.layer, Buffer.alloc(3 * mebibyte))];
    const manifest = manifestOf({ config: small, layers: layers.map(described) });
    await scene.import(rooted(manifest, ...layers, ...image.blobs));
    scene.mirror.records.pin(scene.resolve('redis'), '7');
    const before = await scene.kept();
    await expect(scene.import([bulk, ...namedLayout(other, 'redis:6')])).rejects.toThrow(
      /what is pinned leave 10\d{5};/,
    );
    expect(await scene.kept()).toEqual(before);
  });

  test.each([
    [
      'unpacks to more than there could ever be room for',
      Buffer.alloc(512),
      /^the archive unpacks to more than the \d+ bytes/,
    ],
    ['has entries without end', folder, /^the archive has more than 100000 entries/],
  ])('refuses what %s, though none of it counts for the budget', async (_what, block, why) => {
    await using scene = await ArchiveScene.start({ maxSize: { bytes: 1024 * 1024 } });
    const before = await scene.kept();
    async function* endless(): AsyncGenerator<Uint8Array> {
      const blocks = Buffer.concat(Array(2000).fill(block));
      for (let given = 0; given < 200 * 1024 * 1024; given += blocks.length) yield blocks;
    }
    await expect(scene.import(whole, { body: endless() })).rejects.toThrow(why);
    expect(await scene.kept()).toEqual(before);
  });

  test('refuses a disk that takes no bytes, by its own words', async () => {
    await using scene = await ArchiveScene.start();
    const before = await scene.kept();
    scene.mirror.disk.report(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
    await expect(scene.import(whole)).rejects.toThrow(
      /^the archive could not be taken in: the cache's disk takes no bytes now: .*no space left/,
    );
    expect(await scene.kept()).toEqual(before);
  });

  test('gives back all the room that it had taken', async () => {
    await using scene = await ArchiveScene.start({ maxSize: { bytes: 3 * 1024 * 1024 } });
    for (let round = 0; round < 3; round++)
      await expect(scene.import([bulk, ...without(layer)])).rejects.toThrow('not whole');
    await scene.import([bulk, ...whole]);
    await scene.import([bulk, ...namedLayout(other, 'redis:8')], {
      body: inPieces(await tarOf([bulk, ...namedLayout(other, 'redis:8')])),
    });
    expect(await scene.pulled(redis)).toBeDefined();
  });
});

describe('what stands aside of an entry', () => {
  /** A tar of one pax header and its empty file, without the end. */
  async function withPax(pax: Readonly<Record<string, string>>, isForAll = false): Promise<Buffer> {
    const writer = pack();
    const entry = { name: 'noted', mtime: new Date(0), pax };
    writer.entry(entry, '');
    writer.finalize();
    const tar = Buffer.concat((await Array.fromAsync(writer)) as Buffer[]).subarray(0, -1024);
    if (!isForAll) return tar;
    const header = tar.subarray(0, 512);
    header.write('g', 156);
    header.fill(' ', 148, 156);
    const sum = header.reduce((before, byte) => before + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    return tar;
  }
  const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']));

  test.each([
    ['one', false],
    ['all', true],
  ])('may be no more than is needed: records of more bytes, for %s', async (_whom, isForAll) => {
    const start = await withPax(keys(100_000), isForAll);
    const each = await withPax({ comment: 'small' });
    const tar = Buffer.concat([start, ...Array(500).fill(each), await tarOf(whole)]);
    await expectRefused(tar, /^the archive has more than 16384 bytes of pax records or of a name at once$/);
  });

  test('may be no more than is needed: keys', async () => {
    const tar = await tarOf(whole);
    await expectRefused(
      Buffer.concat([await withPax(keys(64)), tar]),
      /^the archive has more than 64 pax records for one/,
    );
    await using scene = await ArchiveScene.start();
    // The name is one of them.
    await scene.import(Buffer.concat([await withPax(keys(63)), tar]));
    expect(await scene.pulled(redis)).toBeDefined();
  });

  test('may be no more than is needed: a name', async () => {
    const name = Buffer.alloc(20_480, 'a');
    const header = (await tarOf([{ name: 'long', bytes: name }])).subarray(0, -1024);
    header.write('L', 156);
    header.fill(' ', 148, 156);
    const sum = header.subarray(0, 512).reduce((before, byte) => before + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    await expectRefused(Buffer.concat([header, await tarOf(whole)]), /^the archive has more than 16384 bytes of pax/);
  });
});
