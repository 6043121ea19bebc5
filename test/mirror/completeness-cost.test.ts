// What it costs to see whether an image is whole, however its manifests are made, and what counts while it arrives.
import { describe, expect, test, vi } from 'vitest';
import { type FakeManifest, imageManifest, indexManifest } from '../support/fake-image.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import { cached, name, scene } from './images/image-scene.ts';
import { digestFor, filled, patient } from './start-mirror.ts';

const platform = { architecture: 'amd64', os: 'linux' };
const childOf = (manifest: FakeManifest) => ({ manifest, platform });

/** An index of these, here as `latest` with all of them, and what reads of manifests a pull of it costs. */
async function withIndex(levels: readonly FakeManifest[], children: readonly FakeManifest[]) {
  const at = await scene();
  for (const manifest of levels) {
    const { digest } = at.upstream.addManifest(name, undefined, manifest).content;
    await at.mirror.mirror.getManifest(at.mirror.source(name), { digest: digestFor({ digest }) }, patient);
  }
  at.upstream.addManifest(name, 'latest', indexManifest(children.map(childOf)));
  await at.pull();
  await at.upstream.close();
  const reads = vi.spyOn(at.mirror.store, 'readAll');
  return { at, reads };
}

describe('an index', () => {
  test('that names the same children again and again, on every level, is read through once', async () => {
    const levels = [imageManifest(contentOf('not here'), [])];
    for (let level = 0; level < 3; level++)
      levels.push(indexManifest(Array.from({ length: 20 }, () => childOf(levels[level] as FakeManifest))));
    const { at, reads } = await withIndex(levels, Array(20).fill(levels.at(-1)));
    await using _ = at;
    await expect(at.pull()).rejects.toThrow(`${contentOf('not here').digest} is missing`);
    // Itself, and each of the four below it.
    expect(reads).toHaveBeenCalledTimes(5);
  });

  test('of more images than anybody builds is not read to its end, and so not whole', async () => {
    const images = Array.from({ length: 250 }, (_, number) => imageManifest(contentOf(`config ${number}`), []));
    const { at, reads } = await withIndex(images, images);
    await using _ = at;
    await expect(at.pull()).rejects.toThrow(`${contentOf('config 0').digest} is missing`);
    expect(reads).toHaveBeenCalledTimes(1 + 200);
  });

  test('of images as large as manifests may be is not read to its end either', async () => {
    const images = Array.from({ length: 6 }, (_, number) =>
      imageManifest(contentOf(`config ${number}`), Array(14_000).fill(contentOf(`layer ${number}`))),
    );
    const { at, reads } = await withIndex(images, images);
    await using _ = at;
    await expect(at.pull()).rejects.toThrow(`${contentOf('config 0').digest} is missing`);
    expect(reads.mock.calls.length).toBeLessThan(1 + images.length);
  });

  test('that is wanted by many at once is looked through once', async () => {
    const images = Array.from({ length: 10 }, (_, number) => imageManifest(contentOf(`config ${number}`), []));
    const { at, reads } = await withIndex(images, images);
    await using _ = at;
    await Promise.allSettled(Array.from({ length: 20 }, () => at.pull()));
    expect(reads).toHaveBeenCalledTimes(20 + 10);
  });
});

describe('an image that is not whole', () => {
  test('is not looked through again until something is stored or lost', async () => {
    const { at, image } = await cached({ isWhole: false });
    await using _ = at;
    await at.upstream.close();
    const looks = vi.spyOn(at.mirror.records, 'blob');
    const cost = async () => {
      looks.mockClear();
      await expect(at.pull()).rejects.toThrow(`${image.config.digest} is missing`);
      return looks.mock.calls.length;
    };
    const first = await cost();
    const again = await cost();
    expect(again).toBeLessThan(first);
    const other = digestFor(contentOf('other'));
    at.mirror.records.putBlob(other, 1);
    expect([await cost(), await cost()]).toEqual([first, again]);
    at.mirror.records.deleteBlob(other);
    expect([await cost(), await cost()]).toEqual([first, again]);
  });

  test('is whole at once when the last of it is stored', async () => {
    const { at, image } = await cached({ isWhole: false });
    await using _ = at;
    at.changes.mayAsk = () => false;
    await expect(at.pull()).rejects.toMatchObject({ failure: 'away' });
    await at.pullBlobs(image);
    await at.upstream.close();
    expect(await at.pull()).toBe('hit');
  });
});

describe('a blob that is arriving', () => {
  /** One layer of the image: half of it is here, and its commit is held as well. */
  async function arriving(from = name) {
    const { at, image } = await cached({ isWhole: false });
    const [layer] = image.layers;
    if (!layer) throw new Error('an image without layers');
    await at.pullBlobs({ ...image, layers: [] });
    const [body, commit] = [new Gate(), new Gate()];
    at.upstream.faults.add({ path: layer.digest }, { holdBody: { after: 3, gate: body } });
    const store = at.mirror.store.commit.bind(at.mirror.store);
    vi.spyOn(at.mirror.store, 'commit').mockImplementation(async (...file) => {
      await commit.pass();
      await store(...file);
    });
    const answer = await at.mirror.mirror.openBlob(at.mirror.source(from), digestFor(layer), patient);
    await body.reached;
    at.changes.mayAsk = () => false;
    const fill = filled(at.mirror, digestFor(layer));
    return {
      ...{ at, layer, body, commit },
      end: async () => {
        commit.open();
        await fill;
        await answer?.content.close();
      },
    };
  }

  test('is here as soon as its last byte is, and missing until then', async () => {
    const { at, layer, body, commit, end } = await arriving();
    await using _ = at;
    await expect(at.pull()).rejects.toThrow(`${layer.digest} is missing`);
    body.open();
    await commit.reached;
    expect(await at.pull()).toBe('hit');
    await end();
    await at.upstream.close();
    expect(await at.pull()).toBe('hit');
  });

  test('is not here when it does not come to be stored', async () => {
    const { at, layer, body, commit, end } = await arriving();
    await using _ = at;
    body.open();
    await commit.reached;
    expect(await at.pull()).toBe('hit');
    vi.spyOn(at.mirror.records, 'putBlob').mockImplementation(() => {
      throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    });
    await end();
    await expect(at.pull()).rejects.toThrow(`${layer.digest} is missing`);
  });

  test('from another registry is not: this one’s upstream would have to prove it', async () => {
    const { at, layer, body, commit, end } = await arriving(`ghcr.io/${name}`);
    await using _ = at;
    body.open();
    await commit.reached;
    await expect(at.pull()).rejects.toThrow(`${layer.digest} is missing`);
    await end();
    expect(await at.pull()).toBe('hit');
  });
});
