// Answers that may be given again: for as long as asking would bring the same, and counted as used each time.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Lasting } from '../../src/mirror/lasting.ts';
import { Siblings } from '../../src/mirror/siblings.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { Reference } from '../../src/oci/reference.ts';
import type { Content } from '../../src/store/content.ts';
import { mediaTypes } from '../support/fake-image.ts';
import type { AddedImage } from '../support/fake-upstream.ts';
import { openFiles } from '../support/open-files.ts';
import { retainedBytes } from '../support/retained-bytes.ts';
import { name, type Scene, scene } from './images/image-scene.ts';
import { digestFor, filled, patient, readAll } from './start-mirror.ts';

const hour = 3_600_000;
let at: Scene;
let image: AddedImage;

beforeEach(async () => {
  at = await scene({ siblings: true, mayShare: false });
  image = at.upstream.addImage(name, { layers: ['one layer', 'another'] });
  await at.pull();
  await at.pullBlobs(image);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await at[Symbol.asyncDispose]();
});

async function manifest(reference: Reference) {
  const { mirror, source } = at.mirror;
  return (await mirror.getManifest(source(name), reference, patient))?.lasting ?? expect.fail('no hit');
}

async function layer() {
  const { mirror, source } = at.mirror;
  const answer = await mirror.openBlob(source(name), digestFor(image.layers[0] ?? expect.fail()), patient);
  await answer?.content.close();
  return answer?.lasting ?? expect.fail('no hit');
}

const all = async () => ({
  tag: await manifest({ tag: 'latest' }),
  digest: await manifest({ digest: digestFor(image) }),
  layer: await layer(),
});

const held = (lasting: Awaited<ReturnType<typeof all>>) =>
  Object.entries(lasting).flatMap(([what, { holds }]) => (holds() ? [what] : []));

/** Lost, and then pulled from the same registry under another name. */
function backThroughAnother(digest: Digest, size: number, mediaType?: string): void {
  const { records } = at.mirror;
  records.deleteBlob(digest);
  records.putBlob(digest, size, mediaType);
  records.addOrigin(digest, { registry: 'docker.io', path: 'library/other' });
}

test('a hit holds, a miss gives nothing that could', async () => {
  expect(held(await all())).toEqual(['tag', 'digest', 'layer']);
  at.upstream.addImage(name, { tag: 'new' });
  const miss = await at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'new' }, patient);
  expect([miss?.outcome, miss?.lasting]).toEqual(['miss', undefined]);
});

describe('no longer holds', () => {
  const repository = { registry: 'docker.io', path: name };
  const tagRecord = () => at.mirror.records.tag(repository, 'latest') ?? expect.fail();

  test.each<[string, readonly string[], () => void]>([
    [
      'the tag, a ttl later',
      ['digest', 'layer'],
      () => at.mirror.records.putTag(repository, 'latest', { ...tagRecord(), checkedAt: Date.now() - hour }),
    ],
    [
      'the tag, when the clock was set back',
      ['digest', 'layer'],
      () => at.mirror.records.putTag(repository, 'latest', { ...tagRecord(), checkedAt: Date.now() + hour }),
    ],
    [
      'the tag, once it moved',
      ['digest', 'layer'],
      () =>
        at.mirror.records.putTag(repository, 'latest', {
          ...tagRecord(),
          digest: digestFor(image.layers[0] ?? expect.fail()),
        }),
    ],
    ['the tag, once it is gone', ['digest', 'layer'], () => at.mirror.records.deleteTag(repository, 'latest')],
    [
      'a manifest, once anything may be missing',
      ['layer'],
      () => at.mirror.records.deleteBlob(digestFor(image.config)),
    ],
    [
      'a manifest under another type',
      ['layer'],
      () =>
        at.mirror.records.proveLink(repository, {
          digest: digestFor(image),
          size: image.manifest.content.size,
          mediaType: mediaTypes.dockerManifest,
        }),
    ],
    ['a layer, once it is lost', [], () => at.mirror.records.deleteBlob(digestFor(image.layers[0] ?? expect.fail()))],
    [
      'a layer that is a manifest',
      ['tag', 'digest'],
      () =>
        at.mirror.records.proveLink(repository, {
          digest: digestFor(image.layers[0] ?? expect.fail()),
          size: 9,
          mediaType: mediaTypes.ociManifest,
        }),
    ],
    [
      'a layer that came back by way of another repository',
      [],
      () => backThroughAnother(digestFor(image.layers[0] ?? expect.fail()), 9),
    ],
    [
      'a layer of another length',
      ['tag', 'digest'],
      () => at.mirror.records.putBlob(digestFor(image.layers[0] ?? expect.fail()), 3),
    ],
  ])('%s', async (_what, left, change) => {
    const lasting = await all();
    change();
    expect(held(lasting)).toEqual(left);
  });

  test('a manifest that came back by way of another repository, by its digest', async () => {
    const { manifests, mirror, source } = at.mirror;
    const answer = await mirror.getManifest(source(name), { digest: digestFor(image) }, patient);
    const { manifest } = answer ?? expect.fail();
    const { descriptor } = manifest;
    const given = () => [manifests.isStored(repository, descriptor), manifests.isGiven(repository, descriptor)];
    expect(given()).toEqual([true, true]);
    backThroughAnother(digestFor(image), descriptor.size, descriptor.mediaType);
    expect(given()).toEqual([true, false]);
  });

  test('the digest for a repository whose registry has not shown it', async () => {
    const { mirror, records, source } = at.mirror;
    records.addLinks({ registry: 'docker.io', path: 'library/other' }, [
      { digest: digestFor(image), size: image.manifest.content.size, mediaType: mediaTypes.ociManifest },
    ]);
    at.upstream.repository('library/other').addManifest(image.manifest, undefined);
    const answer = await mirror.getManifest(source('library/other'), { digest: digestFor(image) }, patient);
    expect([answer?.outcome, answer?.lasting]).toEqual(['revalidated', undefined]);
  });
});

test('bytes that are in memory are given, and a file that is open', async () => {
  const lasting = await all();
  expect(Buffer.from(lasting.layer.body() as Uint8Array).toString()).toBe('one layer');
  expect(lasting.tag.body()).toHaveLength(image.manifest.content.size);
  await at.mirror.store.remove(digestFor(image));
  expect(lasting.tag.body()).toBeUndefined();
  const large = digestFor(at.upstream.addBlob(name, Buffer.alloc(100_000, 'a')));
  for (const _ of ['from the upstream', 'from here']) {
    const answer = await at.mirror.mirror.openBlob(at.mirror.source(name), large, patient);
    await (answer && readAll(answer.content));
    await filled(at.mirror, large);
  }
  const { lasting: open } = (await at.mirror.mirror.statBlob(at.mirror.source(name), large, patient)) ?? {};
  expect(await readAll(open?.body() as Content)).toEqual(Buffer.alloc(100_000, 'a'));
});

async function closed(body: ReturnType<Lasting['body']>): Promise<void> {
  if (!body || body instanceof Uint8Array) return expect.fail('not open');
  await body.close();
}

test('the size of a stored blob is asked of nobody again, and leaves its file open for who comes next', async () => {
  const large = digestFor(at.upstream.addBlob(name, Buffer.alloc(100_000, 'a')));
  const stat = () => at.mirror.mirror.statBlob(at.mirror.source(name), large, patient);
  expect(await stat()).toEqual({ size: 100_000, outcome: 'miss' });
  const answer = await at.mirror.mirror.openBlob(at.mirror.source(name), large, patient);
  await (answer && readAll(answer.content));
  await filled(at.mirror, large);
  expect(at.mirror.store.openNow(large, 100_000)).toBeUndefined();
  const { lasting } = (await stat()) ?? {};
  expect(lasting?.holds()).toBe(true);
  await closed(lasting?.body());
  at.mirror.records.deleteBlob(large);
  expect(lasting?.holds()).toBe(false);
  await at.mirror.store.remove(large);
  expect([lasting?.body(), openFiles(at.mirror.dir)]).toEqual([undefined, []]);
});

test('holds no bytes: of many answers as little is left as of one', async () => {
  const { store } = at.mirror;
  const annotations = { padding: 'x'.repeat(900_000) };
  const { content } = at.upstream.addManifest(
    name,
    'padded',
    { schemaVersion: 2, manifests: [], annotations },
    mediaTypes.ociIndex,
  );
  const digest = digestFor(content);
  const bytes = Buffer.concat([...content.read(0, content.size)]);
  await at.mirror.mirror.getManifest(at.mirror.source(name), { digest }, patient);
  const before = retainedBytes();
  const kept: Lasting[] = [];
  for (let round = 0; round < 40; round++) {
    await store.put(digest, new Uint8Array(bytes));
    kept.push(await manifest({ digest }));
  }
  for (const lasting of kept) lasting.used();
  expect(retainedBytes() - before).toBeLessThan(3 * content.size);
  expect(kept[0]?.body()).toHaveLength(content.size);
});

test('each use makes it the last that goes, and a manifest is one whose layers will be wanted', async () => {
  const remembered = vi.spyOn(Siblings.prototype, 'remember');
  const { records } = at.mirror;
  const last = () => records.oldest(100).at(-1)?.digest;
  const { tag, digest, layer: blob } = await all();
  blob.used();
  expect(last()).toBe(image.layers[0]?.digest as Digest);
  tag.used();
  expect(last()).toBe(image.digest as Digest);
  blob.used();
  digest.used();
  expect(last()).toBe(image.digest as Digest);
  // Two for the pulls of `all`.
  expect(remembered).toHaveBeenCalledTimes(4);
});
