// What is pinned, down to the last layer.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Pins } from '../../src/mirror/pins.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-types.ts';
import type { Repository } from '../../src/oci/repository.ts';
import { Records } from '../../src/store/records.ts';

const redis = { registry: 'docker.io', path: 'library/redis' };
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';

function blobOf(name: string): Digest {
  return digestOf(Buffer.from(name));
}

/** An index that knows manifests, and the files they are in. */
class Shelf {
  readonly records = new Records(':memory:');
  readonly files = new Map<Digest, Uint8Array>();
  readonly pins: Pins;
  reads = 0;
  /** What is waited for before a file is read. */
  beforeRead: () => Promise<void> = async () => {};

  constructor() {
    const readAll = async (digest: Digest) => {
      this.reads++;
      await this.beforeRead();
      return this.files.get(digest);
    };
    this.pins = new Pins({ records: this.records, store: { readAll } });
  }

  image(...layers: string[]): Digest {
    const described = layers.map((name) => ({ mediaType: layerType, digest: blobOf(name), size: name.length }));
    return this.#manifest(mediaTypes.ociManifest, { config: described[0], layers: described });
  }

  index(...children: Digest[]): Digest {
    const manifests = children.map((digest) => ({ mediaType: mediaTypes.ociManifest, digest, size: 1 }));
    return this.#manifest(mediaTypes.ociIndex, { manifests });
  }

  /** What a pull does when a manifest has come. */
  store(digest: Digest, bytes: Uint8Array, mediaType: string, repository = redis): void {
    this.files.set(digest, bytes);
    this.records.putBlob(digest, bytes.length, mediaType);
    this.records.addLinks(repository, [{ digest, size: bytes.length, mediaType }]);
  }

  lose(digest: Digest): void {
    this.records.deleteBlob(digest);
    this.files.delete(digest);
  }

  tag(tag: string, digest: Digest, repository: Repository = redis): void {
    this.records.putTag(repository, tag, { digest, checkedAt: 1 });
  }

  async pinned(...digests: Digest[]): Promise<boolean[]> {
    await this.pins.refresh();
    return digests.map((digest) => this.pins.isPinned(digest));
  }

  #manifest(mediaType: string, body: object): Digest {
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...body }));
    const digest = digestOf(bytes);
    this.store(digest, bytes, mediaType);
    return digest;
  }
}

describe('a pin', () => {
  test('of a tag holds the manifest, its config and its layers, and nothing else', async () => {
    const shelf = new Shelf();
    const image = shelf.image('config', 'layer');
    const other = shelf.image('config', 'other layer');
    shelf.tag('7', image);
    shelf.tag('8', other);
    shelf.records.pin(redis, '7');
    expect(await shelf.pinned(image, blobOf('config'), blobOf('layer'))).toEqual([true, true, true]);
    expect(await shelf.pinned(other, blobOf('other layer'))).toEqual([false, false]);
    shelf.records.unpin(redis, '7');
    expect(await shelf.pinned(image, blobOf('config'), blobOf('layer'))).toEqual([false, false, false]);
  });

  test('of a tag holds what it means to all, and to those who may see more', async () => {
    const shelf = new Shelf();
    const [toAll, toSome] = [shelf.image('layer for all'), shelf.image('layer for some')];
    shelf.tag('7', toAll);
    shelf.tag('7', toSome, { ...redis, isPrivate: true });
    shelf.records.pin(redis, '7');
    expect(await shelf.pinned(blobOf('layer for all'), blobOf('layer for some'))).toEqual([true, true]);
  });

  test('of a digest holds it before and after it is here', async () => {
    const shelf = new Shelf();
    const image = shelf.image('layer');
    const bytes = shelf.files.get(image) ?? Buffer.alloc(0);
    shelf.lose(image);
    shelf.records.pin(redis, image);
    expect(await shelf.pinned(image, blobOf('layer'))).toEqual([true, false]);
    shelf.store(image, bytes, mediaTypes.ociManifest);
    expect(await shelf.pinned(image, blobOf('layer'))).toEqual([true, true]);
  });

  test('of an index holds every platform that is here, and those that come', async () => {
    const shelf = new Shelf();
    const [one, two] = [shelf.image('layer one'), shelf.image('layer two')];
    const bytes = shelf.files.get(two) ?? Buffer.alloc(0);
    shelf.lose(two);
    const index = shelf.index(one, two);
    shelf.tag('latest', shelf.index(index));
    shelf.records.pin(redis, 'latest');
    expect(await shelf.pinned(index, one, two)).toEqual([true, true, true]);
    expect(await shelf.pinned(blobOf('layer one'), blobOf('layer two'))).toEqual([true, false]);
    shelf.store(two, bytes, mediaTypes.ociManifest);
    expect(await shelf.pinned(blobOf('layer one'), blobOf('layer two'))).toEqual([true, true]);
  });

  test('of a tag moves with it', async () => {
    const shelf = new Shelf();
    const [old, current] = [shelf.image('old', 'shared'), shelf.image('new', 'shared')];
    shelf.tag('latest', old);
    shelf.records.pin(redis, 'latest');
    expect(await shelf.pinned(old, blobOf('old'), blobOf('shared'))).toEqual([true, true, true]);
    shelf.tag('latest', current);
    expect(await shelf.pinned(old, blobOf('old'))).toEqual([false, false]);
    expect(await shelf.pinned(current, blobOf('new'), blobOf('shared'))).toEqual([true, true, true]);
  });

  test('of what nobody knows holds nothing', async () => {
    const shelf = new Shelf();
    shelf.records.pin(redis, 'unknown');
    expect(await shelf.pinned(shelf.image('layer'))).toEqual([false]);
  });

  test('holds the layers although the manifest itself was lost or damaged', async () => {
    const shelf = new Shelf();
    const image = shelf.image('layer');
    shelf.records.pin(redis, image);
    expect(await shelf.pinned(blobOf('layer'))).toEqual([true]);
    shelf.lose(image);
    shelf.records.pin(redis, 'another');
    expect(await shelf.pinned(image, blobOf('layer'))).toEqual([true, true]);
  });

  test.each([
    ['is no manifest', Buffer.from('{"schemaVersion":')],
    ['is another kind than its record says', Buffer.from('{"manifests":[]}')],
    ['is gone', undefined],
  ])('of a manifest whose file %s holds that alone, and keeps no other from being held', async (_, bytes) => {
    const shelf = new Shelf();
    const [broken, whole] = [shelf.image('layer'), shelf.image('other')];
    if (bytes) shelf.files.set(broken, bytes);
    else shelf.files.delete(broken);
    for (const digest of [broken, whole]) shelf.records.pin(redis, digest);
    expect(await shelf.pinned(broken, whole)).toEqual([true, true]);
    expect(await shelf.pinned(blobOf('layer'), blobOf('other'))).toEqual([false, true]);
  });

  test('of a manifest that cannot be read keeps no other from being held', async () => {
    const shelf = new Shelf();
    const image = shelf.image('layer');
    shelf.records.pin(redis, image);
    shelf.beforeRead = () => Promise.reject(new Error('EIO'));
    expect(await shelf.pinned(image, blobOf('layer'))).toEqual([true, false]);
  });
});

describe('looking at the pins again', () => {
  test('costs nothing while none has changed, and reads only manifests that are new', async () => {
    const shelf = new Shelf();
    const images = Array.from({ length: 10 }, (_, index) => shelf.image(`layer ${index}`));
    shelf.tag('latest', shelf.index(...images));
    shelf.records.pin(redis, 'latest');
    await shelf.pins.refresh();
    expect(shelf.reads).toBe(11);
    await shelf.pins.refresh();
    await shelf.pinned(shelf.image('unrelated, but of this repository'));
    expect(shelf.reads).toBe(11);
    shelf.records.pin(redis, shelf.image('new'));
    await shelf.pins.refresh();
    expect(shelf.reads).toBe(12);
  });

  test('is one piece of work for all who ask', async () => {
    const shelf = new Shelf();
    shelf.records.pin(redis, shelf.image('layer'));
    await Promise.all(Array.from({ length: 8 }, () => shelf.pins.refresh()));
    expect(shelf.reads).toBe(1);
  });

  test('does not call itself current when a pin came meanwhile', async () => {
    const shelf = new Shelf();
    const [one, two] = [shelf.image('one'), shelf.image('two')];
    shelf.records.pin(redis, one);
    const reading = Promise.withResolvers<void>();
    shelf.beforeRead = () => reading.promise;
    const refreshed = shelf.pins.refresh();
    shelf.records.pin(redis, two);
    reading.resolve();
    await refreshed;
    expect(shelf.pins.isCurrent).toBe(false);
    expect(await shelf.pinned(blobOf('two'))).toEqual([true]);
    expect(shelf.pins.isCurrent).toBe(true);
  });

  test('lets others have their turn, however many there are', async () => {
    const shelf = new Shelf();
    const images = Array.from({ length: 1000 }, (_, index) => shelf.image(`layer ${index}`));
    for (const image of images) shelf.records.pin(redis, image);
    await shelf.pins.refresh();
    shelf.records.pin(redis, 'unknown');
    let turns = 0;
    const count = () => {
      turns++;
      if (!shelf.pins.isCurrent) setImmediate(count);
    };
    setImmediate(count);
    await shelf.pins.refresh();
    expect(turns).toBeGreaterThanOrEqual(4);
  });
});

test('the bytes of what is pinned and here are known, each blob counted once', async () => {
  const shelf = new Shelf();
  const image = shelf.image('twelve bytes', 'not here');
  const size = shelf.files.get(image)?.length ?? 0;
  shelf.records.putBlob(blobOf('twelve bytes'), 12);
  shelf.records.putBlob(blobOf('free'), 1000);
  shelf.tag('latest', image);
  await shelf.pins.refresh();
  expect(await shelf.pins.storedBytes()).toBe(0);
  shelf.records.pin(redis, 'latest');
  shelf.records.pin(redis, image);
  await shelf.pins.refresh();
  expect(await shelf.pins.storedBytes()).toBe(12 + size);
});

test('what is held is what can be reached from the pins over the manifests that are here', async () => {
  const graph = fc.record({
    images: fc.array(fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 6,
    }),
    indexes: fc.array(fc.array(fc.nat(5), { maxLength: 4 }), { maxLength: 4 }),
    pinned: fc.array(fc.nat(9), { maxLength: 4 }),
    lost: fc.array(fc.nat(9), { maxLength: 3 }),
  });
  await fc.assert(
    fc.asyncProperty(graph, async ({ images, indexes, pinned, lost }) => {
      const shelf = new Shelf();
      const manifests: { digest: Digest; below: Digest[]; children: Digest[] }[] = images.map((layers) => ({
        digest: shelf.image(...layers.map(String)),
        below: layers.map((layer) => blobOf(String(layer))),
        children: [],
      }));
      for (const members of indexes) {
        const children = members.map((member) => manifests[member % images.length]?.digest ?? blobOf('0'));
        manifests.push({ digest: shelf.index(...children), below: [], children });
      }
      const pick = (at: number) => manifests[at % manifests.length]?.digest ?? blobOf('0');
      const gone = new Set(lost.map(pick));
      for (const digest of gone) shelf.lose(digest);
      for (const at of pinned) shelf.records.pin(redis, pick(at));

      const expected = new Set<Digest>();
      const reach = (digest: Digest) => {
        expected.add(digest);
        const manifest = gone.has(digest) ? undefined : manifests.find((other) => other.digest === digest);
        for (const blob of manifest?.below ?? []) expected.add(blob);
        for (const child of manifest?.children ?? []) reach(child);
      };
      for (const at of pinned) reach(pick(at));
      const all = [...manifests.map(({ digest }) => digest), ...Array.from({ length: 10 }, (_, at) => blobOf(`${at}`))];
      expect(await shelf.pinned(...all)).toEqual(all.map((digest) => expected.has(digest)));
    }),
    { numRuns: 100 },
  );
});
