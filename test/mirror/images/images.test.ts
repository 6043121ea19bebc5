// What is cached, as people are shown it: under which names, in which pages, and how much of it is here.
import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { ImageQueryError } from '../../../src/mirror/images/images.ts';
import { mediaTypes } from '../../../src/oci/media-types.ts';
import { patient } from '../start-mirror.ts';
import { blobOf, hidden, imageOf, indexOf, nginx, redis, Shelf } from './image-shelf.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64' };
const nobodys = { os: 'unknown', architecture: 'unknown' };

describe('the names of what is cached', () => {
  test('are tags, and digests where a manifest has no tag', async () => {
    const shelf = new Shelf();
    shelf.pull(redis, { layers: ['a'] }, '8');
    shelf.pull(redis, { layers: ['b'] }, '7');
    const old = shelf.pull(redis, { layers: ['c'] });
    shelf.pull(nginx, { layers: ['a'] }, 'latest');
    expect(await shelf.names()).toEqual([
      'docker.io/library/nginx:latest',
      'docker.io/library/redis:7',
      'docker.io/library/redis:8',
      `docker.io/library/redis@${old.digest}`,
    ]);
  });

  test('are not those of what an index names, with a tag or without one', async () => {
    const shelf = new Shelf();
    const [one, two, three] = [imageOf({ layers: ['a'] }), imageOf({ layers: ['b'] }), imageOf({ layers: ['c'] })];
    for (const child of [one, two, three]) shelf.add(redis, child);
    shelf.add(redis, indexOf(one), 'latest');
    const inner = shelf.add(redis, indexOf(two));
    const outer = shelf.add(redis, indexOf(inner, three));
    expect(await shelf.names()).toEqual(['docker.io/library/redis:latest', `docker.io/library/redis@${outer.digest}`]);
  });

  test('are those of an index’s child too once the index is gone', async () => {
    const shelf = new Shelf();
    const child = shelf.add(redis, imageOf());
    const index = shelf.add(redis, indexOf(child), 'latest');
    shelf.records.deleteBlob(index.digest);
    expect(await shelf.names()).toEqual([`docker.io/library/redis@${child.digest}`]);
  });

  test('are not those of what refers to an image that is here', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, 'latest');
    const signature = shelf.pull(redis, { layers: ['signature'], subject: image });
    expect(await shelf.names()).toEqual(['docker.io/library/redis:latest']);
    shelf.records.deleteBlob(image.digest);
    expect(await shelf.names()).toEqual([`docker.io/library/redis@${signature.digest}`]);
  });

  test('are not those of what a manifest only named', async () => {
    const shelf = new Shelf();
    const child = imageOf();
    const index = shelf.add(redis, indexOf(child), 'latest');
    shelf.add(nginx, child, 'latest');
    expect(await shelf.names({ match: '**/redis' })).toEqual(['docker.io/library/redis:latest']);
    shelf.records.deleteBlob(index.digest);
    expect(await shelf.names({ match: '**/redis' })).toEqual([]);
  });

  test('tell what only some may see from what everybody may', async () => {
    const shelf = new Shelf();
    shelf.pull(redis, { layers: ['a'] }, 'same');
    shelf.pull(hidden(redis), { layers: ['a'] }, 'same');
    shelf.pull(redis, { layers: ['a'] }, 'moved');
    shelf.pull(hidden(redis), { layers: ['b'] }, 'moved');
    shelf.pull(hidden(redis), { layers: ['c'] }, 'theirs');
    shelf.pull(hidden(redis), { layers: ['d'] });
    const { images } = await shelf.list();
    expect(images.map(({ tag, isPrivate }) => [tag, isPrivate])).toEqual([
      ['moved', false],
      ['moved', true],
      ['same', false],
      ['theirs', true],
      [undefined, true],
    ]);
  });

  test('stay those of who may see more where the bytes came for them alone', async () => {
    const shelf = new Shelf();
    const image = imageOf();
    shelf.add(hidden(redis), image);
    shelf.records.proveLink(redis, image);
    shelf.records.putTag(redis, 'latest', { digest: image.digest, checkedAt: 1 });
    const { images } = await shelf.list();
    expect(images.map(({ tag, isPrivate }) => [tag, isPrivate])).toEqual([['latest', true]]);
  });

  test('are none of what rests here from another registry, where bytes are not shared', async () => {
    const shelf = new Shelf();
    shelf.mayShare = false;
    const image = shelf.pull(redis, {}, 'latest');
    const elsewhere = { registry: 'ghcr.io', path: 'evil' };
    shelf.records.proveLink(elsewhere, image);
    shelf.records.putTag(elsewhere, 'latest', { digest: image.digest, checkedAt: 1 });
    expect(await shelf.names()).toEqual(['docker.io/library/redis:latest']);
  });

  test('are none of a tag whose manifest is gone, or is no manifest', async () => {
    const shelf = new Shelf();
    const [gone, broken] = [imageOf({ layers: ['a'] }), imageOf({ layers: ['b'] })];
    for (const image of [gone, broken]) shelf.add(redis, image, image.digest.slice(-6));
    shelf.files.delete(gone.digest);
    shelf.files.set(broken.digest, Buffer.from('{'));
    expect(await shelf.names()).toEqual([]);
  });
});

describe('a cached image', () => {
  test('of an index says what is here of each platform whose manifest is', async () => {
    const shelf = new Shelf();
    const image = (layer: string) => imageOf({ layers: [layer, 'shared'] });
    const [one, two, three] = [image('one'), image('two'), image('three')];
    const attestation = imageOf({ layers: ['attestation'] });
    const index = shelf.add(
      redis,
      indexOf(
        { ...one, platform: amd64 },
        { ...two, platform: arm64 },
        { ...three, platform: arm64 },
        { ...attestation, platform: nobodys },
      ),
      '7',
    );
    for (const each of [one, two, attestation]) shelf.add(redis, each);
    shelf.fill(redis, '{}', 'one', 'shared', 'attestation');
    const { images } = await shelf.list();
    expect(images).toEqual([
      {
        repository: 'docker.io/library/redis',
        tag: '7',
        digest: index.digest,
        mediaType: mediaTypes.ociIndex,
        platforms: [
          {
            platform: 'linux/amd64',
            digest: one.digest,
            sizeBytes: one.size + 2 + 3 + 6,
            storedBytes: one.size + 2 + 3 + 6,
            isComplete: true,
          },
          {
            platform: 'linux/arm64',
            digest: two.digest,
            sizeBytes: two.size + 2 + 3 + 6,
            storedBytes: two.size + 2 + 6,
            isComplete: false,
          },
        ],
        storedBytes: index.size + one.size + two.size + attestation.size + 2 + 3 + 6 + 11,
        isComplete: true,
        isPinned: false,
        isPrivate: false,
        lastUsedAt: shelf.records.lastUse(index.digest),
        checkedAt: 1000,
      },
    ]);
  });

  test.each([
    ['its config says', '{"os":"linux","architecture":"arm64","variant":"v8"}', 'linux/arm64/v8'],
    ['nobody says where the config is that of a chart', '{"name":"chart"}', undefined],
    ['nobody says where the config is no JSON', 'linux/amd64', undefined],
    [
      'nobody says where the config is very large',
      `{"os":"linux","architecture":"arm64","x":"${'x'.repeat(2 ** 20)}"}`,
      undefined,
    ],
  ])('alone is of the platform that %s', async (_who, config, platform) => {
    const shelf = new Shelf();
    shelf.pull(redis, { config }, '7');
    const { images } = await shelf.list();
    expect(images.map(({ platforms }) => platforms.map((each) => each.platform))).toEqual([[platform]]);
  });

  test('is of no platform that anybody knows while its config is not here', async () => {
    const shelf = new Shelf();
    const config = JSON.stringify(amd64);
    shelf.add(redis, imageOf({ config }), '7');
    expect((await shelf.list()).images[0]?.platforms).toMatchObject([{ platform: undefined, isComplete: false }]);
    shelf.fill(redis, config);
    expect((await shelf.list()).images[0]?.platforms).toMatchObject([{ platform: 'linux/amd64', isComplete: false }]);
    shelf.fill(redis, 'layer');
    expect((await shelf.list()).images[0]).toMatchObject({ isComplete: true, platforms: [{ isComplete: true }] });
  });

  test('is whole without the layers that are had elsewhere', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, { foreign: 'windows' }, '7');
    const [shown] = (await shelf.list()).images;
    const sizeBytes = image.size + '{}'.length + 'layer'.length;
    expect(shown).toMatchObject({
      isComplete: true,
      platforms: [{ sizeBytes, storedBytes: sizeBytes, isComplete: true }],
    });
  });

  test('counts what it could not be served with as not here', async () => {
    const shelf = new Shelf();
    shelf.mayShare = false;
    const image = shelf.add(redis, imageOf(), '7');
    shelf.fill({ registry: 'ghcr.io', path: 'other' }, '{}', 'layer');
    expect((await shelf.list()).images[0]).toMatchObject({ isComplete: false, storedBytes: image.size });
    shelf.records.deleteBlob(blobOf('layer'));
    shelf.records.putUnproven(blobOf('layer'), 5, 1);
    shelf.mayShare = true;
    expect((await shelf.list()).images[0]).toMatchObject({ isComplete: false, storedBytes: image.size + 2 });
  });

  test('counts a blob once, and its signature too', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, { layers: ['twice', 'twice'] }, '7');
    const signature = shelf.pull(redis, { layers: ['signature'], subject: image });
    const [shown] = (await shelf.list()).images;
    expect(shown?.storedBytes).toBe(image.size + 2 + 5 + signature.size + 9);
    expect(shown?.platforms[0]?.storedBytes).toBe(image.size + 2 + 5);
  });

  test('is pinned by its tag or its digest, and not by another name of it', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    shelf.pull(redis, {}, '7.2');
    shelf.pull(nginx, {}, '7');
    const pinned = async () =>
      (await shelf.list()).images
        .filter(({ isPinned }) => isPinned)
        .map(({ repository, tag }) => `${repository}:${tag}`);
    shelf.records.pin(redis, '7');
    expect(await pinned()).toEqual(['docker.io/library/redis:7']);
    const [byDigest] = await shelf.images.find(redis, image, patient);
    expect(byDigest?.isPinned).toBe(true);
    shelf.records.unpin(redis, '7');
    shelf.records.pin(redis, image.digest);
    expect(await pinned()).toEqual(['docker.io/library/redis:7', 'docker.io/library/redis:7.2']);
  });

  test('is not used by being listed', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    const before = shelf.records.oldest(9);
    await shelf.list();
    await shelf.list({ sort: 'size' });
    await shelf.images.find(redis, image, patient);
    expect(shelf.records.oldest(9)).toEqual(before);
    shelf.records.touchBlob(image.digest);
    expect(shelf.records.oldest(9)).not.toEqual(before);
  });
});

describe('a list', () => {
  function stocked(): Shelf {
    const shelf = new Shelf();
    const names = [
      'docker.io/library/redis',
      'docker.io/library/redis-stack',
      'docker.io/bitnami/redis',
      'ghcr.io/acme/app',
      'ghcr.io/acme/app/web',
    ];
    for (const name of names) {
      const slash = name.indexOf('/');
      const repository = { registry: name.slice(0, slash), path: name.slice(slash + 1) };
      for (const tag of ['latest', 'v1', 'v1-alpine']) shelf.pull(repository, { layers: [`${name}:${tag}`] }, tag);
      shelf.pull(repository, { layers: [name] });
    }
    return shelf;
  }

  test.each([
    ['docker.io/library/redis', 4],
    ['docker.io/library/redis:v1', 1],
    ['docker.io/library/redis*', 8],
    ['docker.io/library/redis*:v1*', 4],
    ['docker.io/*', 0],
    ['docker.io/*/redis', 8],
    ['ghcr.io/**', 8],
    ['ghcr.io/acme/*:latest', 1],
    ['**:latest', 5],
    ['**:*', 15],
    ['**', 20],
    ['quay.io/**', 0],
  ])('of what matches %s has %i images', async (match, count) => {
    const shelf = stocked();
    expect(await shelf.names({ match })).toHaveLength(count);
    expect(await shelf.names({ match, sort: 'size' })).toHaveLength(count);
  });

  test('takes a port for no tag', async () => {
    const shelf = new Shelf();
    shelf.pull({ registry: 'localhost:5000', path: 'app' }, {}, '1');
    expect(await shelf.names({ match: 'localhost:5000/app' })).toEqual(['localhost:5000/app:1']);
    expect(await shelf.names({ match: 'localhost:5000/*:2' })).toEqual([]);
  });

  test('is sorted by size and by use, what is most of it first', async () => {
    const shelf = new Shelf();
    for (const [tag, size] of [
      ['a', 10],
      ['b', 3000],
      ['c', 200],
    ] as const)
      shelf.pull(redis, { layers: [tag.repeat(size)] }, tag);
    const tags = async (sort: 'size' | 'used') => (await shelf.list({ sort })).images.map(({ tag }) => tag);
    expect(await tags('size')).toEqual(['b', 'c', 'a']);
    expect(await tags('used')).toEqual(['c', 'b', 'a']);
    shelf.records.touchBlob(shelf.records.tag(redis, 'a')?.digest ?? blobOf(''));
    expect(await tags('used')).toEqual(['a', 'c', 'b']);
  });

  test('in pages shows everything once, in the order of the whole, whatever its order and its pages', async () => {
    const image = fc.record({
      repository: fc.constantFrom(redis, hidden(redis), nginx, { registry: 'docker.io', path: 'library/redis-stack' }),
      layers: fc.array(fc.constantFrom('a', 'bb', 'ccc', 'dddd'), { minLength: 1, maxLength: 3 }),
      tag: fc.option(fc.constantFrom('1', '1-a', '1.2', 'A', 'latest', '_'), { nil: undefined }),
    });
    const query = fc.record({
      limit: fc.integer({ min: 1, max: 4 }),
      sort: fc.constantFrom('name' as const, 'size' as const, 'used' as const),
      match: fc.constantFrom(undefined, 'docker.io/library/redis*', '**:1*'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(image, { maxLength: 12 }), query, async (images, { limit, sort, match }) => {
        const shelf = new Shelf();
        for (const { repository, layers, tag } of images) shelf.pull(repository, { layers }, tag);
        const whole = await shelf.images.list({ limit: 1000, sort, match }, patient);
        expect(whole.cursor).toBeUndefined();
        const paged: unknown[] = [];
        for (let cursor: string | undefined, isFirst = true; isFirst || cursor; isFirst = false) {
          const page = await shelf.images.list({ limit, sort, match, cursor }, patient);
          expect(page.images.length).toBeLessThanOrEqual(limit);
          paged.push(...page.images);
          cursor = page.cursor;
        }
        expect(paged).toEqual(whole.images);
      }),
      { numRuns: 60 },
    );
  });

  test('by name reads no manifest of a repository that it does not show', async () => {
    const shelf = stocked();
    const readsOf = async (query: Parameters<Shelf['list']>[0]) => {
      shelf.reads = 0;
      await shelf.list(query);
      return shelf.reads;
    };
    const whole = await readsOf({});
    expect(await readsOf({ limit: 3 })).toBeLessThan(whole / 4);
    expect(await readsOf({ match: 'ghcr.io/acme/app/*' })).toBeLessThan(whole / 4);
    expect(await readsOf({ match: '**/web' })).toBeLessThan(whole / 4);
  });

  test('by name goes on where it was: neither names nor tags of what is shown already are read', async () => {
    const shelf = new Shelf();
    shelf.records.batch(() => {
      for (let at = 0; at < 450; at++) shelf.pull({ registry: 'docker.io', path: `team/app-${at}` }, {}, 'latest');
    });
    for (const layer of ['a', 'b']) shelf.pull(redis, { layers: [layer] });
    const { cursor } = await shelf.list({ limit: 1, match: 'docker.io/library/**' });
    const [names, tags] = [vi.spyOn(shelf.records, 'repositoriesFrom'), vi.spyOn(shelf.records, 'tagsFrom')];
    expect((await shelf.list({ match: 'docker.io/library/**', cursor })).images).toHaveLength(1);
    expect([names.mock.calls.length, tags.mock.calls.length]).toEqual([1, 0]);
    names.mockClear();
    await shelf.list({ match: 'docker.io/team/app-10*' });
    expect(names).toHaveBeenCalledTimes(1);
    const last = (await shelf.list({ limit: 440, match: '**/app-*' })).cursor;
    names.mockClear();
    await shelf.list({ match: '**/app-*', cursor: last });
    expect(names).toHaveBeenCalledTimes(1);
  });

  test.each([0, -1, 1001, 1.5, Number.NaN])('of %d images is refused', async (limit) => {
    await expect(new Shelf().list({ limit })).rejects.toThrow(ImageQueryError);
  });

  test.each(['', 'nonsense', Buffer.from('x docker.io/a tlatest 0').toString('base64url')])(
    'after %j is refused',
    async (cursor) => {
      await expect(new Shelf().list({ cursor })).rejects.toThrow(
        'not a cursor: take the one that the page before gave',
      );
    },
  );

  test('of very many is not sorted, and goes by name', async () => {
    const shelf = new Shelf();
    const { digest } = shelf.pull(redis, {}, 'latest');
    shelf.records.batch(() => {
      for (let at = 0; at < 20_000; at++) shelf.records.putTag(redis, `v${at}`, { digest, checkedAt: 1 });
    });
    await expect(shelf.list({ sort: 'used' })).rejects.toThrow(
      /^too many images to sort: .* narrow them down with match/,
    );
    expect((await shelf.list({ sort: 'used', match: '**:v1*', limit: 5 })).images).toHaveLength(5);
    expect((await shelf.list({ limit: 5 })).images).toHaveLength(5);
    await expect(shelf.images.find(redis, undefined, patient)).rejects.toThrow(
      /^too many images: docker.io\/library\/redis/,
    );
  });

  test('ends when nobody waits for it any more', async () => {
    const shelf = stocked();
    const leaving = new AbortController();
    shelf.beforeRead = async () => leaving.abort(new Error('gone'));
    await expect(shelf.images.list({ limit: 1000 }, leaving.signal)).rejects.toThrow('gone');
    expect(shelf.reads).toBeLessThan(5);
  });
});

describe('looking for an image', () => {
  test('finds a tag, a digest with or without one, an index’s child, and all of a repository', async () => {
    const shelf = new Shelf();
    const child = shelf.pull(redis, { layers: ['child'] });
    const index = shelf.add(redis, indexOf(child), '7');
    const old = shelf.pull(redis, { layers: ['old'] });
    shelf.pull(nginx, { layers: ['old'] }, '7');
    const found = async (reference?: { tag: string } | { digest: typeof child.digest }) =>
      (await shelf.images.find({ ...redis, isPrivate: true }, reference, patient)).map(({ tag, digest }) => [
        tag,
        digest,
      ]);
    expect(await found({ tag: '7' })).toEqual([['7', index.digest]]);
    expect(await found({ tag: '8' })).toEqual([]);
    for (const { digest } of [index, old, child]) expect(await found({ digest })).toEqual([[undefined, digest]]);
    expect(await found({ digest: blobOf('child') })).toEqual([]);
    expect(await found()).toEqual([
      ['7', index.digest],
      [undefined, old.digest],
    ]);
    expect(await shelf.images.find({ registry: 'ghcr.io', path: 'a' }, undefined, patient)).toEqual([]);
  });

  test('finds what its tag means to everybody and to those who may see more', async () => {
    const shelf = new Shelf();
    shelf.pull(redis, { layers: ['a'] }, '7');
    shelf.pull(hidden(redis), { layers: ['b'] }, '7');
    const found = await shelf.images.find(redis, { tag: '7' }, patient);
    expect(found.map(({ isPrivate }) => isPrivate)).toEqual([false, true]);
  });
});
