// Purges under a mirror that serves: who reads reads on, who was promised an answer is asked to come again, who pulls gets it.
import { describe, expect, test } from 'vitest';
import { Images } from '../../../src/mirror/images/images.ts';
import { Purge } from '../../../src/mirror/images/purge.ts';
import type { Lasting } from '../../../src/mirror/lasting.ts';
import { usableOf } from '../../../src/mirror/links.ts';
import { Gate } from '../../support/gate.ts';
import { digestFor, filled, patient, readAll } from '../start-mirror.ts';
import { cached, name, type Scene, scene } from './image-scene.ts';

function over({ mirror }: Pick<Scene, 'mirror'>) {
  const parts = { ...mirror, mayUse: usableOf(mirror.records, () => true) };
  return { images: new Images(parts), purge: new Purge(parts) };
}

const repository = { registry: 'docker.io', path: name };
const target = { repository, reference: { tag: 'latest' } };

describe('after a purge', () => {
  test('a pull is a miss, comes from the upstream, and is here again', async () => {
    const { at, image } = await cached({ isWhole: true });
    await using _ = at;
    const { images, purge } = over(at);
    const shown = { tag: 'latest', isComplete: true, platforms: [{ platform: 'linux/amd64' }] };
    expect(await images.find(repository, undefined, patient)).toMatchObject([shown]);
    expect(await purge.run(target, patient)).toMatchObject({ imageCount: 1, blobs: 3 });
    expect(at.mirror.records.totals).toEqual({ bytes: 0, blobs: 0 });
    expect(at.asked()).toEqual([]);
    expect(await at.pull()).toBe('miss');
    await at.pullBlobs(image);
    expect(at.asked()).toContain('GET blob');
    expect(await images.find(repository, undefined, patient)).toMatchObject([shown]);
  });

  test.each([
    ['removes it', false],
    ['leaves it to another repository', true],
  ])('that %s, nothing of it is a lasting hit for this one', async (_what, isShared) => {
    const { at, image } = await cached({ isWhole: true });
    await using _ = at;
    if (isShared) {
      at.upstream.addImage('library/other', { layers: [...image.layers] });
      await at.pull('latest', 'library/other');
      for (const layer of image.layers)
        await (
          await at.mirror.mirror.openBlob(at.mirror.source('library/other'), digestFor(layer), patient)
        )?.content.close();
    }
    const source = at.mirror.source(name);
    const lasting: (Lasting | undefined)[] = [];
    for (const reference of [{ tag: 'latest' }, { digest: digestFor(image) }])
      lasting.push((await at.mirror.mirror.getManifest(source, reference, patient))?.lasting);
    const [layer] = image.layers;
    const answer = layer && (await at.mirror.mirror.openBlob(source, digestFor(layer), patient));
    await answer?.content.close();
    lasting.push(answer?.lasting);
    expect(lasting.map((each) => each?.holds())).toEqual([true, true, true]);
    await over(at).purge.run(target, patient);
    expect(at.mirror.records.blob(digestFor(layer as never)) !== undefined).toBe(isShared);
    expect(lasting.map((each) => each?.holds())).toEqual([false, false, false]);
  });

  test('whoever reads a layer reads it to its end', async () => {
    await using at = await scene();
    const bytes = Buffer.alloc(300_000, 'layer');
    const image = at.upstream.addImage(name, { layers: [bytes] });
    await at.pull();
    await at.pullBlobs(image);
    const [layer] = image.layers;
    const answer = layer && (await at.mirror.mirror.openBlob(at.mirror.source(name), digestFor(layer), patient));
    expect(answer?.outcome).toBe('hit');
    await over(at).purge.run(target, patient);
    expect(answer && (await readAll(answer.content)).equals(bytes)).toBe(true);
    expect(at.mirror.records.totals.blobs).toBe(0);
  });
});

test('a fill that runs goes on, its reader has all of it, and it is kept for the repository that asked', async () => {
  await using at = await scene();
  const bytes = Buffer.alloc(300_000, 'layer');
  const image = at.upstream.addImage(name, { layers: [bytes] });
  await at.pull();
  const [layer] = image.layers as [(typeof image.layers)[number]];
  const gate = new Gate();
  at.upstream.faults.add({ kind: 'blob', path: layer.digest }, { holdBody: { after: 1000, gate } });
  const answer = await at.mirror.mirror.openBlob(at.mirror.source(name), digestFor(layer), patient);
  await gate.reached;
  await over(at).purge.run({ repository, reference: undefined }, patient);
  gate.open();
  expect(answer && (await readAll(answer.content)).equals(bytes)).toBe(true);
  await filled(at.mirror, digestFor(layer));
  expect(at.mirror.records.totals).toEqual({ bytes: bytes.length, blobs: 1 });
  const again = await at.mirror.mirror.openBlob(at.mirror.source(name), digestFor(layer), patient);
  expect(again?.outcome).toBe('hit');
  await again?.content.close();
});

describe('an image is called complete', () => {
  test.each([
    ['all of it is here', () => {}, true],
    [
      'a layer is gone',
      (at: Scene, image: Awaited<ReturnType<typeof cached>>['image']) =>
        at.mirror.records.deleteBlob(digestFor(image.layers[0] as never)),
      false,
    ],
    [
      'its config is gone',
      (at: Scene, image: Awaited<ReturnType<typeof cached>>['image']) =>
        at.mirror.records.deleteBlob(digestFor(image.config)),
      false,
    ],
    [
      'its layer only lies there',
      (at: Scene, image: Awaited<ReturnType<typeof cached>>['image']) => {
        const { records } = at.mirror;
        const digest = digestFor(image.layers[0] as never);
        const size = records.blob(digest)?.size ?? 0;
        records.deleteBlob(digest);
        records.putUnproven(digest, size, 1);
      },
      false,
    ],
  ])('as a pull finds it with the upstream away, when %s', async (_what, harm, expected) => {
    const { at, image } = await cached({ isWhole: true });
    await using _ = at;
    harm(at, image);
    const [shown] = await over(at).images.find(repository, { tag: 'latest' }, patient);
    await at.upstream.close();
    const isServed = await at.pull().then(
      () => true,
      () => false,
    );
    expect([shown?.isComplete, isServed]).toEqual([expected, expected]);
    await at.upstream.reopen();
  });
});
