// Complete or not at all, for indexes: one image that is here and whole is enough, for nobody knows yet which is wanted.
import { describe, expect, test } from 'vitest';
import { indexManifest } from '../support/fake-image.ts';
import type { AddedImage } from '../support/fake-upstream.ts';
import { name, scene } from './images/image-scene.ts';
import { digestFor } from './start-mirror.ts';

const linux = { architecture: 'amd64', os: 'linux' };
const arm = { architecture: 'arm64', os: 'linux' };

function tagOf(at: Awaited<ReturnType<typeof scene>>) {
  const record = at.mirror.records.tag(at.mirror.source(name).repository, 'latest');
  if (!record) throw new Error('the tag is not known');
  return record;
}

describe('an index', () => {
  async function withIndex() {
    const at = await scene();
    const images = [linux, arm].map((platform) =>
      at.upstream.addImage(name, { tag: platform.architecture, platform, layers: [platform.architecture] }),
    );
    const [one, other] = images as [AddedImage, AddedImage];
    const children = [
      { manifest: one.manifest, platform: linux },
      { manifest: other.manifest, platform: arm },
    ];
    at.upstream.addManifest(name, 'latest', indexManifest(children));
    await at.pull();
    at.asked();
    return { at, one, other };
  }

  test('goes out when one of its images is whole', async () => {
    const { at, other } = await withIndex();
    await using _ = at;
    await at.pull(other);
    await at.pullBlobs(other);
    await at.upstream.close();
    expect([await at.pull(), await at.pull(other)]).toEqual(['hit', 'hit']);
  });

  test('gives the image whose manifest came back by way of another repository', async () => {
    const { at, other } = await withIndex();
    await using _ = at;
    await at.pull(other);
    await at.pullBlobs(other);
    at.mirror.records.deleteBlob(digestFor(other));
    at.upstream.addManifest('library/other', undefined, other.manifest);
    await at.pull(other, 'library/other');
    await at.upstream.close();
    expect([await at.pull(), await at.pull(other)]).toEqual(['hit', 'hit']);
  });

  test('stays in when none of its images is here', async () => {
    const { at, one } = await withIndex();
    await using _ = at;
    await at.upstream.close();
    await expect(at.pull()).rejects.toThrow(`${one.digest} is missing`);
  });

  test('stays in when its images are here in part only', async () => {
    const { at, one } = await withIndex();
    await using _ = at;
    await at.pull(one);
    await at.upstream.close();
    await expect(at.pull()).rejects.toThrow(`${one.config.digest} is missing`);
  });

  test('stays in while manifests are limited and none of its images is here, confirmed just now or not', async () => {
    const { at, one } = await withIndex();
    await using _ = at;
    Object.assign(at.changes, { mayAsk: (kind: string) => kind === 'blob', lastAnswerAt: performance.now() });
    await expect(at.pull()).rejects.toThrow(`${one.digest} is missing`);
    at.mirror.records.putTag(at.mirror.source(name).repository, 'latest', { ...tagOf(at), checkedAt: 0 });
    await expect(at.pull()).rejects.toThrow(`${one.digest} is missing`);
    expect(at.asked()).toContain('HEAD manifest');
  });

  test('goes out while manifests are limited when only blobs of one of its images are missing', async () => {
    const { at, other } = await withIndex();
    await using _ = at;
    await at.pull(other);
    Object.assign(at.changes, { mayAsk: (kind: string) => kind === 'blob', lastAnswerAt: performance.now() });
    expect(await at.pull()).toBe('hit');
  });

  test('stays in when of all its images only an attestation is here', async () => {
    await using at = await scene();
    const image = at.upstream.addImage(name, { tag: 'image' });
    const attestation = at.upstream.addImage(name, { tag: 'attestation', layers: ['a statement'] });
    const children = [
      { manifest: attestation.manifest, platform: { architecture: 'unknown', os: 'unknown' } },
      { manifest: image.manifest, platform: linux },
    ];
    at.upstream.addManifest(name, 'latest', indexManifest(children));
    await at.pull();
    await at.pull(attestation);
    await at.pullBlobs(attestation);
    await at.upstream.close();
    await expect(at.pull()).rejects.toThrow(`${image.digest} is missing`);
  });

  test('of nothing is whole', async () => {
    await using at = await scene();
    at.upstream.addManifest(name, 'latest', indexManifest([]));
    await at.pull();
    await at.upstream.close();
    expect(await at.pull()).toBe('hit');
  });

  test('within indexes is followed a few levels down', async () => {
    await using at = await scene();
    let manifest = at.upstream.addImage(name).manifest;
    for (let level = 0; level < 6; level++) {
      manifest = at.upstream.addManifest(name, `level${level}`, indexManifest([{ manifest, platform: linux }]));
      await at.pull(`level${level}`);
    }
    const image = at.upstream.addImage(name);
    await at.pull();
    await at.pullBlobs(image);
    await at.upstream.close();
    expect(await at.pull('level3')).toBe('hit');
    await expect(at.pull('level5')).rejects.toMatchObject({ failure: 'away' });
  });
});
