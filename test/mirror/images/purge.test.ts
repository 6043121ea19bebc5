// A purge: what is named goes, with all that nobody else holds; everything else is as whole as it was.
import { describe, expect, test, vi } from 'vitest';
import { Pace } from '../../../src/mirror/images/pace.ts';
import { PinnedError } from '../../../src/mirror/images/purge.ts';
import { PurgePlan } from '../../../src/mirror/images/purge-plan.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import { formatRepository } from '../../../src/oci/repository.ts';
import { Gate } from '../../support/gate.ts';
import { patient } from '../start-mirror.ts';
import { blobOf, hidden, imageOf, indexOf, nginx, redis, Shelf } from './image-shelf.ts';

const tag = (name: string, repository = redis) => ({ repository, reference: { tag: name } });
const all = (repository = redis) => ({ repository, reference: undefined });
const byDigest = ({ digest }: { digest: Digest }, repository = redis) => ({ repository, reference: { digest } });
const nothing = { images: [], imageCount: 0, blobs: 0, bytes: 0, pinned: [] };

describe('a purge of a tag', () => {
  test('removes its image, and nothing that another image of the repository has', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, { layers: ['own', 'shared'] }, '7');
    const other = shelf.pull(redis, { layers: ['shared', 'other'] }, '8');
    const bytes = image.size + 'own'.length;
    expect(await shelf.run(tag('7'))).toEqual({
      ...nothing,
      images: ['docker.io/library/redis:7'],
      imageCount: 1,
      blobs: 2,
      bytes,
    });
    expect(shelf.has(image, 'own', 'shared', 'other', '{}', other)).toEqual([false, false, true, true, true, true]);
    expect(shelf.records.tags(redis, 9)).toEqual(['8']);
    expect(shelf.records.link(redis, blobOf('own'))).toBeUndefined();
    expect(shelf.records.link(redis, blobOf('shared'))).toBeDefined();
    expect(await shelf.isWhole(redis, other)).toBe(true);
  });

  test('removes nothing that another repository has, and leaves that as whole as it was', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    shelf.pull(nginx, {}, '7');
    expect(await shelf.run(tag('7'))).toMatchObject({ imageCount: 1, blobs: 0, bytes: 0 });
    expect(shelf.has(image, 'layer', '{}')).toEqual([true, true, true]);
    expect([image.digest, blobOf('layer')].map((digest) => shelf.records.link(redis, digest))).toEqual([
      undefined,
      undefined,
    ]);
    expect(await shelf.names()).toEqual(['docker.io/library/nginx:7']);
    expect(await shelf.isWhole(nginx, image)).toBe(true);
  });

  test('leaves an image that another tag means, and one that is an index’s too', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    shelf.records.putTag(redis, '7.2', { digest: image.digest, checkedAt: 1 });
    expect(await shelf.run(tag('7'))).toMatchObject({ images: ['docker.io/library/redis:7'], blobs: 0 });
    expect(await shelf.names()).toEqual(['docker.io/library/redis:7.2']);
    const index = shelf.add(redis, indexOf(image), 'latest');
    expect(await shelf.run(tag('7.2'))).toMatchObject({ imageCount: 1, blobs: 0 });
    expect(await shelf.isWhole(redis, index)).toBe(true);
    expect(await shelf.run(tag('latest'))).toMatchObject({ imageCount: 1, blobs: 4 });
    expect(shelf.records.totals).toEqual({ bytes: 0, blobs: 0 });
  });

  test('of an index removes the images of all its platforms, its attestations and its signatures', async () => {
    const shelf = new Shelf();
    const [one, two] = [shelf.pull(redis, { layers: ['one'] }), shelf.pull(redis, { layers: ['two'] })];
    const attestation = {
      ...shelf.pull(redis, { layers: ['attestation'] }),
      platform: { os: 'unknown', architecture: 'unknown' },
    };
    const index = shelf.add(redis, indexOf(indexOf(one), two, attestation), '7');
    shelf.add(redis, indexOf(one));
    const signature = shelf.pull(redis, { layers: ['signature'], subject: index });
    shelf.pull(redis, { layers: ['signature of it'], subject: signature });
    await shelf.run(tag('7'));
    expect(shelf.records.totals).toEqual({ bytes: 0, blobs: 0 });
    expect(shelf.records.repositories(9)).toEqual([]);
    expect(shelf.records.referrers(redis, index.digest, 9)).toEqual([]);
  });

  test('leaves a signature that has a tag of its own', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    const signature = imageOf({ layers: ['signature'], subject: image });
    shelf.add(redis, signature, 'sha256-0.sig');
    shelf.fill(redis, '{}', 'signature');
    await shelf.run(tag('7'));
    expect(shelf.has(image, 'layer', signature, 'signature', '{}')).toEqual([false, false, true, true, true]);
  });

  test('leaves what the tag meant before: that is an image of its own', async () => {
    const shelf = new Shelf();
    const before = shelf.pull(redis, { layers: ['before'] });
    const now = imageOf({ layers: ['now'] });
    shelf.add(redis, now, 'latest', before.digest);
    shelf.fill(redis, 'now');
    await shelf.run(tag('latest'));
    expect(await shelf.names()).toEqual([`docker.io/library/redis@${before.digest}`]);
    expect(await shelf.isWhole(redis, before)).toBe(true);
  });

  test.each([
    ['goes when what that means now is whole', ['now'], 3],
    ['stays while what that means now is here in part', [], 0],
  ])('that another tag meant before %s', async (_what, filled, blobs) => {
    const shelf = new Shelf();
    const before = shelf.pull(redis, { layers: ['before'], config: 'config of it' }, '7');
    shelf.add(redis, imageOf({ layers: ['now'] }), 'latest', before.digest);
    shelf.fill(redis, '{}', ...filled);
    expect(await shelf.run(tag('7'))).toMatchObject({ imageCount: 1, blobs });
  });

  test('is of what everybody sees and of what only some do', async () => {
    const shelf = new Shelf();
    shelf.pull(redis, { layers: ['a'] }, '7');
    shelf.pull(hidden(redis), { layers: ['b'] }, '7');
    shelf.pull(hidden(redis), { layers: ['c'] }, '8');
    const kept = shelf.pull(redis, { layers: ['c', 'd'] }, '9');
    expect(await shelf.run({ ...tag('7'), repository: hidden(redis) })).toMatchObject({
      images: ['docker.io/library/redis:7'],
      blobs: 4,
    });
    expect(await shelf.names()).toEqual(['docker.io/library/redis:8', 'docker.io/library/redis:9']);
    await shelf.run(tag('8'));
    expect(await shelf.isWhole(redis, kept)).toBe(true);
    expect(shelf.has('a', 'b', 'c', 'd')).toEqual([false, false, true, true]);
  });

  test('of which nothing is cached does nothing', async () => {
    const shelf = new Shelf();
    shelf.pull(redis, {}, '7');
    expect(await shelf.run(tag('8'))).toEqual(nothing);
    expect(await shelf.run(tag('7', nginx))).toEqual(nothing);
    expect(await shelf.names()).toHaveLength(1);
  });

  test('forgets it although its manifest is gone or damaged', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    shelf.files.set(image.digest, Buffer.from('{'));
    expect(await shelf.run(tag('7'))).toMatchObject({ imageCount: 1, blobs: 1 });
    expect(shelf.has(image)).toEqual([false]);
    expect(shelf.records.tag(redis, '7')).toBeUndefined();
  });
});

describe('a purge of a digest in a repository', () => {
  test('takes all tags with it that mean it, and no others', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    shelf.records.putTag(redis, '7.2', { digest: image.digest, checkedAt: 1 });
    shelf.pull(hidden(redis), { layers: ['theirs'] }, '7');
    expect(await shelf.run(byDigest(image))).toMatchObject({
      images: ['docker.io/library/redis:7', 'docker.io/library/redis:7.2'],
      imageCount: 2,
      blobs: 2,
    });
    const { images } = await shelf.list();
    expect(images.map((each) => [each.tag, each.isPrivate, each.isComplete])).toEqual([['7', true, true]]);
  });

  test('removes an index’s child with what only that has, and leaves the others', async () => {
    const shelf = new Shelf();
    const [one, two] = [shelf.pull(redis, { layers: ['one', 'both'] }), shelf.pull(redis, { layers: ['two', 'both'] })];
    const index = shelf.add(redis, indexOf(one, two), '7');
    expect(await shelf.run(byDigest(one))).toMatchObject({
      images: [`docker.io/library/redis@${one.digest}`],
      blobs: 2,
    });
    expect(shelf.has(one, 'one', 'both', two, index)).toEqual([false, false, true, true, true]);
    expect(await shelf.isWhole(redis, index)).toBe(true);
  });

  test('does nothing for a layer, nor for what is another repository’s', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    expect(await shelf.run(byDigest({ digest: blobOf('layer') }))).toEqual(nothing);
    expect(await shelf.run(byDigest(image, nginx))).toEqual(nothing);
    expect(shelf.has(image, 'layer')).toEqual([true, true]);
  });
});

describe('a purge of a repository', () => {
  test('removes every image of it, with and without a tag, seen by all or by some, and every link', async () => {
    const shelf = new Shelf();
    shelf.pull(redis, { layers: ['a'] }, '7');
    shelf.pull(redis, { layers: ['b'] });
    shelf.pull(hidden(redis), { layers: ['c'] }, '9');
    shelf.fill(redis, 'of no image');
    const other = shelf.pull(nginx, { layers: ['b', 'd'] }, '1');
    expect(await shelf.run(all())).toMatchObject({ imageCount: 3, pinned: [] });
    expect(shelf.records.repositories(9)).toEqual(['docker.io/library/nginx']);
    expect(shelf.has('a', 'b', 'c', 'of no image')).toEqual([false, true, false, false]);
    expect(shelf.records.totals.blobs).toBe(4);
    expect(await shelf.isWhole(nginx, other)).toBe(true);
  });

  test('of very many images takes many turns, in which others have theirs', async () => {
    const shelf = new Shelf();
    shelf.records.batch(() => {
      for (let at = 0; at < 300; at++) shelf.pull(redis, { layers: [`layer ${at}`] }, `v${at}`);
    });
    let turns = 0;
    let isDone = false;
    const count = () => {
      turns++;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    // What awaits nothing but promises would keep the loop.
    shelf.afterRemove = () => new Promise((resolve) => setImmediate(resolve));
    expect(await shelf.run(all())).toMatchObject({ imageCount: 300, blobs: 601 });
    isDone = true;
    expect(turns).toBeGreaterThan(18);
    expect(shelf.records.totals).toEqual({ bytes: 0, blobs: 0 });
  });
});

describe('a purge of what matches', () => {
  test('takes whole repositories or, with a tag, images of them', async () => {
    const shelf = new Shelf();
    for (const repository of [redis, nginx, { registry: 'ghcr.io', path: 'library/redis' }]) {
      for (const name of ['7', '7-alpine', '8'])
        shelf.pull(repository, { layers: [formatRepository(repository), name] }, name);
      shelf.pull(repository, { layers: ['untagged'] });
    }
    expect(await shelf.run({ match: 'docker.io/**:7*' })).toMatchObject({ imageCount: 4 });
    expect(await shelf.names({ match: 'docker.io/**:*' })).toEqual([
      'docker.io/library/nginx:8',
      'docker.io/library/redis:8',
    ]);
    expect(await shelf.run({ match: '**/redis' })).toMatchObject({ imageCount: 6 });
    expect((await shelf.names()).map((name) => name.split(/[:@]/)[0])).toEqual([
      'docker.io/library/nginx',
      'docker.io/library/nginx',
    ]);
    expect(await shelf.run({ match: 'quay.io/**' })).toEqual(nothing);
    expect(await shelf.run({ match: '**' })).toMatchObject({ imageCount: 2 });
    expect(shelf.records.totals).toEqual({ bytes: 0, blobs: 0 });
  });

  test('goes through more repositories than one look at the index gives, and tells the first of many names', async () => {
    const shelf = new Shelf();
    shelf.records.batch(() => {
      for (let at = 0; at < 450; at++)
        for (const name of ['a', 'b', 'c'])
          shelf.pull({ registry: 'docker.io', path: `team/app-${at}` }, { layers: [`${at}`] }, name);
    });
    const purged = await shelf.run({ match: 'docker.io/team/**' });
    expect(purged).toMatchObject({ imageCount: 1350, blobs: 901 });
    expect(purged.images).toHaveLength(1000);
    expect(shelf.records.totals).toEqual({ bytes: 0, blobs: 0 });
  });
});

describe('a purge of a bare digest', () => {
  test('removes a blob wherever it is, and leaves the images that have it in part', async () => {
    const shelf = new Shelf();
    const images = [redis, nginx].map((repository) => shelf.pull(repository, { layers: ['damaged', 'b'] }, '7'));
    expect(await shelf.run({ digest: blobOf('damaged') })).toEqual({ ...nothing, blobs: 1, bytes: 'damaged'.length });
    expect(shelf.has('damaged', 'b')).toEqual([false, true]);
    expect(await Promise.all(images.map((image) => shelf.isWhole(redis, image)))).toEqual([false, false]);
    expect(await shelf.names()).toHaveLength(2);
  });

  test('removes a manifest from every repository, with its tags and what only it has', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, { layers: ['a', 'b'] }, '7');
    shelf.pull(nginx, { layers: ['a', 'b'] }, '1');
    const other = shelf.pull(nginx, { layers: ['b'] }, '2');
    expect(await shelf.run({ digest: image.digest })).toMatchObject({
      images: ['docker.io/library/redis:7', 'docker.io/library/nginx:1'],
      blobs: 2,
    });
    expect(shelf.has(image, 'a', 'b', other)).toEqual([false, false, true, true]);
    expect(await shelf.names()).toEqual(['docker.io/library/nginx:2']);
  });

  test('removes what no repository has, and does nothing where nothing is', async () => {
    const shelf = new Shelf();
    shelf.records.putUnproven(blobOf('found'), 5, 1);
    shelf.files.set(blobOf('found'), Buffer.from('found'));
    expect(await shelf.run({ digest: blobOf('found') })).toEqual({ ...nothing, blobs: 1, bytes: 5 });
    expect(await shelf.run({ digest: blobOf('found') })).toEqual(nothing);
  });
});

describe('what is pinned', () => {
  test.each([
    ['by its tag', 'docker.io/library/redis:7 is pinned; unpin it first', () => tag('7')],
    [
      'by its digest',
      /redis@sha256:\S+ is kept by the pin on docker.io\/library\/redis:7; unpin that first$/,
      byDigest,
    ],
    ['as what an index names', /is kept by the pin on docker.io\/library\/redis:index; unpin that first$/, byDigest],
    [
      'as a digest everywhere',
      /is kept by the pin on docker.io\/library\/redis:7; unpin that first$/,
      ({ digest }: { digest: Digest }) => ({ digest }),
    ],
    [
      'as a layer everywhere',
      /is kept by the pin on docker.io\/library\/redis:7; unpin that first$/,
      () => ({ digest: blobOf('layer') }),
    ],
  ])('and named alone %s is refused, and nothing is done', async (how, message, target) => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, how.includes('index') ? undefined : '7');
    shelf.add(redis, indexOf(image), 'index');
    shelf.records.pin(redis, how.includes('index') ? 'index' : '7');
    const before = shelf.records.totals;
    const failure = await shelf.run(target(image)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PinnedError);
    expect((failure as Error).message).toMatch(message);
    expect(shelf.records.totals).toEqual(before);
    expect(shelf.records.tags(redis, 9)).toContain('index');
  });

  test('by its digest keeps every tag that means it', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    shelf.records.pin(redis, image.digest);
    await expect(shelf.run(tag('7'))).rejects.toThrow(
      `redis:7 is kept by the pin on docker.io/library/redis@${image.digest}`,
    );
    await expect(shelf.run(byDigest(image))).rejects.toThrow(PinnedError);
  });

  test('does not keep another tag of it, which goes alone', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    shelf.records.putTag(redis, '7.2', { digest: image.digest, checkedAt: 1 });
    shelf.records.pin(redis, '7');
    expect(await shelf.run(tag('7.2'))).toMatchObject({ imageCount: 1, blobs: 0 });
    expect(await shelf.isWhole(redis, image)).toBe(true);
  });

  test.each([
    ['of its repository', all()],
    ['of what matches', { match: '**' }],
    ['of tags that match', { match: '**:*' }],
  ])('is left whole by a purge %s, which says so', async (_how, target) => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, { layers: ['pinned', 'shared'] });
    const index = shelf.add(redis, indexOf(image), '7');
    shelf.pull(redis, { layers: ['other', 'shared'] }, '8');
    shelf.records.pin(redis, '7');
    expect(await shelf.run(target)).toMatchObject({
      imageCount: 1,
      images: ['docker.io/library/redis:8'],
      pinned: ['docker.io/library/redis:7'],
    });
    expect(await shelf.names()).toEqual(['docker.io/library/redis:7']);
    expect(shelf.has('pinned', 'shared', '{}', 'other')).toEqual([true, true, true, false]);
    expect(await shelf.isWhole(redis, index)).toBe(true);
  });

  test('by its digest is left whole by a purge of its repository, which says so', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {});
    shelf.records.pin(redis, image.digest);
    expect(await shelf.run(all())).toMatchObject({
      imageCount: 0,
      pinned: [`docker.io/library/redis@${image.digest}`],
    });
    expect(await shelf.isWhole(redis, image)).toBe(true);
  });

  test('elsewhere keeps its blobs, and not the name that was purged', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    shelf.pull(nginx, {}, '7');
    shelf.records.pin(nginx, '7');
    expect(await shelf.run(tag('7'))).toMatchObject({ imageCount: 1, blobs: 0, pinned: [] });
    expect(shelf.records.repositories(9)).toEqual(['docker.io/library/nginx']);
    expect(await shelf.isWhole(nginx, image)).toBe(true);
  });

  test('while a purge looks around stays', async () => {
    const shelf = new Shelf();
    const image = shelf.pull(redis, {}, '7');
    const gate = new Gate();
    shelf.beforeRead = () => gate.pass();
    const purged = shelf.run({ match: '**:7' });
    await gate.reached;
    shelf.records.pin(redis, '7');
    gate.open();
    expect(await purged).toMatchObject({ blobs: 0 });
    expect(await shelf.names()).toEqual(['docker.io/library/redis:7']);
    expect(await shelf.isWhole(redis, image)).toBe(true);
  });
});

describe('what comes while a purge looks around', () => {
  async function during(act: (shelf: Shelf) => void, target = tag('7')): Promise<Shelf> {
    const shelf = new Shelf();
    shelf.pull(redis, { layers: ['one', 'two'] }, '7');
    const gate = new Gate();
    shelf.beforeRead = () => gate.pass();
    const purged = shelf.run(target);
    await gate.reached;
    act(shelf);
    gate.open();
    await purged;
    return shelf;
  }

  test('stays, with the layers that it shares with what goes', async () => {
    const shelf = await during((at) => at.pull(redis, { layers: ['two', 'three'] }, '8'));
    expect(shelf.has('one', 'two', 'three', '{}')).toEqual([false, true, true, true]);
    expect(await shelf.isWhole(redis, imageOf({ layers: ['two', 'three'] }))).toBe(true);
  });

  test('stays as whole as it is where it is an index of what goes', async () => {
    const index = indexOf(imageOf({ layers: ['one', 'two'] }));
    const shelf = await during((at) => at.add(redis, index, '8'));
    expect(await shelf.isWhole(redis, index)).toBe(true);
    expect(await shelf.names()).toEqual(['docker.io/library/redis:8']);
  });

  test('is the same image again, and stays with its tag', async () => {
    const shelf = await during((at) =>
      at.records.putTag(redis, '7', { digest: imageOf({ layers: ['one', 'two'] }).digest, checkedAt: 2000 }),
    );
    expect(await shelf.names()).toEqual(['docker.io/library/redis:7']);
    expect(shelf.has('one', 'two')).toEqual([true, true]);
  });

  test('is another meaning of the tag, which stays', async () => {
    const shelf = await during((at) => at.pull(redis, { layers: ['new'] }, '7'));
    expect(await shelf.names()).toEqual(['docker.io/library/redis:7']);
    expect(shelf.has('one', 'two', 'new')).toEqual([false, false, true]);
  });

  test('stays although its digest is what was named', async () => {
    const image = imageOf({ layers: ['one', 'two'] });
    const shelf = await during((at) => at.pull(redis, { layers: ['one', 'two'] }, '8'), byDigest(image) as never);
    expect(await shelf.isWhole(redis, image)).toBe(true);
  });

  test('for another repository keeps its blobs', async () => {
    const shelf = await during((at) => at.pull(nginx, { layers: ['two'] }, '1'));
    expect(shelf.has('one', 'two')).toEqual([false, true]);
    expect(await shelf.names()).toEqual(['docker.io/library/nginx:1']);
  });
});

describe('what comes between two turns of a purge', () => {
  /** Some layers have gone by then, and all are older than what comes. */
  async function between(act: (shelf: Shelf, left: string) => void): Promise<{ shelf: Shelf; left: string }> {
    const shelf = new Shelf();
    const layers = Array.from({ length: 100 }, (_, at) => `layer ${at}`);
    shelf.pull(redis, { layers }, '7');
    let left = '';
    shelf.afterRemove = async () => {
      if (left !== '') return;
      left = layers.findLast((layer) => shelf.records.blob(blobOf(layer))) ?? '';
      act(shelf, left);
    };
    await shelf.run(all());
    expect(shelf.has(layers[0] ?? '')).toEqual([false]);
    return { shelf, left };
  }

  test('stays, with the layers that it shares with what goes', async () => {
    const { shelf, left } = await between((at, layer) => at.pull(redis, { layers: [layer] }, '8'));
    expect(await shelf.names()).toEqual(['docker.io/library/redis:8']);
    expect(await shelf.isWhole(redis, imageOf({ layers: [left] }))).toBe(true);
    expect(shelf.records.totals.blobs).toBe(3);
  });

  test('is a pin, and keeps what is left with its links, whoever has looked at the pins meanwhile', async () => {
    const shelf = new Shelf();
    const images = Array.from({ length: 100 }, (_, at) => shelf.pull(redis, { layers: [`layer ${at}`] }));
    let kept = -1;
    shelf.afterRemove = async () => {
      if (kept !== -1) return;
      kept = images.findLastIndex(
        (image, at) => shelf.records.blob(image.digest) && shelf.records.blob(blobOf(`layer ${at}`)),
      );
      shelf.records.pin(redis, images[kept]?.digest ?? '');
      await shelf.pins.refresh();
    };
    await shelf.run(all());
    expect(await shelf.names()).toEqual([`docker.io/library/redis@${images[kept]?.digest}`]);
    expect(shelf.records.link(redis, blobOf(`layer ${kept}`))).toBeDefined();
    expect(shelf.records.totals.blobs).toBeLessThan(4);
  });
});

test('what is pinned elsewhere stays although that repository lost its link', async () => {
  const shelf = new Shelf();
  const image = shelf.pull(nginx, {}, '7');
  shelf.pull(redis, {}, '7');
  shelf.records.pin(nginx, '7');
  shelf.records.letGo(nginx, { tags: [], digests: [blobOf('layer')] });
  await shelf.run(all());
  expect(await shelf.isWhole(nginx, image)).toBe(true);
});

test('one that removes no file ends between two turns as well', async () => {
  const shelf = new Shelf();
  const layers = Array.from({ length: 100 }, (_, at) => `layer ${at}`);
  for (const repository of [redis, nginx]) shelf.pull(repository, { layers }, '7');
  const leaving = new AbortController();
  const letGo = vi.spyOn(shelf.records, 'letGo').mockImplementationOnce(() => leaving.abort(new Error('gone')));
  await expect(shelf.purge.run(all(), leaving.signal)).rejects.toThrow('gone');
  await new Promise((resolve) => setImmediate(resolve));
  // One a view, in the first turn.
  expect(letGo).toHaveBeenCalledTimes(2);
});

test('what stays is passed over in turns too', async () => {
  const shelf = new Shelf();
  const layers = Array.from({ length: 1000 }, (_, at) => `layer ${at}`);
  shelf.pull(redis, { layers }, '7');
  shelf.records.pin(redis, '7');
  using watch = shelf.records.watch(redis);
  const { records, reader } = shelf;
  const parts = { records, reader, watch, repository: redis, signal: patient, pace: new Pace(patient) };
  const plan = await PurgePlan.make(parts, 'all');
  const steps: number[] = [];
  for (let step = plan.next(32); step; step = plan.next(32)) steps.push(step.digests.length);
  expect(steps).toEqual([0, 0, 0, 0, 0, 0]);
});

test('only the repositories that a glob can mean, and that have a manifest, are looked at', async () => {
  const shelf = new Shelf();
  shelf.records.batch(() => {
    for (let at = 0; at < 450; at++)
      shelf.pull({ registry: 'docker.io', path: `team/app-${at}` }, { layers: ['layer'] }, '1');
  });
  const [names, watches] = [vi.spyOn(shelf.records, 'repositoriesFrom'), vi.spyOn(shelf.records, 'watch')];
  await shelf.run({ match: 'docker.io/team/app-10*:2' });
  expect([names.mock.calls.length, watches.mock.calls.length]).toEqual([1, 11]);
  watches.mockClear();
  await shelf.run({ digest: blobOf('layer') });
  expect(watches).not.toHaveBeenCalled();
});

test('a blob whose fill runs is left to that', async () => {
  const shelf = new Shelf();
  shelf.pull(redis, { layers: ['arriving', 'layer'] }, '7');
  shelf.filling.add(blobOf('arriving'));
  await shelf.run(tag('7'));
  expect(shelf.has('arriving', 'layer')).toEqual([true, false]);
  expect(await shelf.run({ digest: blobOf('arriving') })).toEqual(nothing);
  shelf.filling.clear();
  expect(await shelf.run({ digest: blobOf('arriving') })).toMatchObject({ blobs: 1 });
});

test('whoever remembered that something was here hears that it may be gone', async () => {
  const shelf = new Shelf();
  shelf.pull(redis, {}, '7');
  shelf.pull(nginx, {}, '7');
  const before = shelf.records.losses;
  await shelf.run(tag('7'));
  expect(shelf.records.losses).toBeGreaterThan(before);
});

test('purges go one after another: what two of them hold goes with the second', async () => {
  const shelf = new Shelf();
  for (const name of ['7', '8', '9']) shelf.pull(redis, { layers: ['shared', name] }, name);
  await Promise.all(['7', '8', '9'].map((name) => shelf.run(tag(name))));
  expect(shelf.records.totals).toEqual({ bytes: 0, blobs: 0 });
});

test('one whose caller leaves ends, and the next does the rest', async () => {
  const shelf = new Shelf();
  shelf.records.batch(() => {
    for (let at = 0; at < 100; at++) shelf.pull(redis, { layers: [`layer ${at}`] }, `v${at}`);
  });
  const leaving = new AbortController();
  shelf.afterRemove = async () => leaving.abort(new Error('gone'));
  await expect(shelf.purge.run(all(), leaving.signal)).rejects.toThrow('gone');
  expect(shelf.records.totals.blobs).toBeGreaterThan(0);
  shelf.afterRemove = async () => {};
  await shelf.purge.run(all(), patient);
  expect(shelf.records.totals).toEqual({ bytes: 0, blobs: 0 });
  await expect(shelf.purge.run(all(), AbortSignal.abort(new Error('never came')))).rejects.toThrow('never came');
});

test('a manifest that cannot be read ends it before anything is taken from it', async () => {
  const shelf = new Shelf();
  shelf.pull(redis, { layers: ['shared', 'a'] }, '7');
  const other = shelf.pull(redis, { layers: ['shared', 'b'] }, '8');
  const before = shelf.records.totals;
  shelf.beforeRead = async (digest) => {
    if (digest === other.digest) throw new Error('EIO');
  };
  await expect(shelf.run(tag('7'))).rejects.toThrow('EIO');
  expect(shelf.records.totals).toEqual(before);
  expect(shelf.records.tags(redis, 9)).toEqual(['7', '8']);
});
