// A tag that moved to an image which is not here, while the one before it is: nobody loses what was cached.
import { describe, expect, test } from 'vitest';
import type { AddedImage } from '../support/fake-upstream.ts';
import { cached, name } from './images/image-scene.ts';
import { patient } from './start-mirror.ts';

type At = Awaited<ReturnType<typeof cached>>['at'];

/** The tag means `image`, whole; then somebody looks at what it means now, and takes none of its blobs. */
async function moved(options?: Parameters<typeof cached>[1]) {
  const { at, image } = await cached({ isWhole: true }, { ttlMs: 0, ...options });
  const next = await lookAt(at, 'the next layer');
  return { at, image, next };
}

async function lookAt(at: At, layer: string): Promise<AddedImage> {
  const next = at.upstream.addImage(name, { layers: [layer] });
  await at.pull();
  return next;
}

async function digestNow(at: At): Promise<string | undefined> {
  const answer = await at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, patient);
  return answer && `${answer.outcome} ${answer.manifest.descriptor.digest}`;
}

describe('a tag that moved', () => {
  test('means what it meant before when the upstream goes away before the new image came', async () => {
    const { at, image } = await moved();
    await using _ = at;
    await at.upstream.close();
    expect(await digestNow(at)).toBe(`stale ${image.digest}`);
    expect(at.mirror.logLines.filter(({ msg }) => msg === 'stale')).not.toEqual([]);
  });

  test('means the new image as soon as that is whole', async () => {
    const { at, next } = await moved();
    await using _ = at;
    await at.pullBlobs(next);
    await at.upstream.close();
    expect(await digestNow(at)).toBe(`stale ${next.digest}`);
  });

  test('means the last image that was whole, however often it moved since', async () => {
    const { at, image } = await moved();
    await using _ = at;
    for (const layer of ['a third layer', 'a fourth layer']) await lookAt(at, layer);
    await at.pull();
    await at.upstream.close();
    expect(await digestNow(at)).toBe(`stale ${image.digest}`);
  });

  test('means neither when what was before is no longer whole', async () => {
    const { at, image } = await moved();
    await using _ = at;
    const { records } = at.mirror;
    records.deleteBlob(image.layers[0]?.digest as Parameters<typeof records.deleteBlob>[0]);
    await at.upstream.close();
    await expect(digestNow(at)).rejects.toThrow(/is here in part only/);
  });

  test('means neither past the time that an old answer may be used', async () => {
    const { at } = await moved({ staleIfErrorMs: 0 });
    await using _ = at;
    await at.upstream.close();
    await expect(digestNow(at)).rejects.toThrow();
  });

  test('is gone, earlier meaning and all, when the upstream proves it', async () => {
    const { at } = await moved();
    await using _ = at;
    at.upstream.repository(name).tags.delete('latest');
    expect(await digestNow(at)).toBeUndefined();
    await at.upstream.close();
    await expect(digestNow(at)).rejects.toThrow();
  });
});
