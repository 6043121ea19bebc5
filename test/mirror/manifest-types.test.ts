// What a manifest is called where its bytes do not say it: by each registry for itself.
import { describe, expect, test } from 'vitest';
import type { Source } from '../../src/upstream/upstreams.ts';
import { indexManifest, mediaTypes } from '../support/fake-image.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import { digestFor, patient, readAll } from './start-mirror.ts';
import { path, type Theft, theft } from './theft-scene.ts';

const otherPath = 'acme/other';
const platform = { architecture: 'amd64', os: 'linux' };

test('what a registry gives as a blob is no manifest to it, though it rests here as one', async () => {
  await using at = await theft({ mayShare: false, isPrivate: true });
  await at.pull();
  const { content } = at.image.manifest;
  at.evil.addBlob('evil/app', content);
  const answer = await at.open(at.thief, content);
  expect(answer && (await readAll(answer.content)).length).toBe(content.size);
  await at.mirror.fills.drained();
  expect(await at.mirror.mirror.getManifest(at.thief, { digest: digestFor(content) }, patient)).toBeUndefined();
});

test('what rests here as a manifest of the registry is no blob to another repository of it', async () => {
  await using at = await theft({ mayShare: false, isPrivate: false });
  await at.pull();
  at.home.addBlob(otherPath, at.image.manifest.content);
  expect(await at.open(at.mirror.source(otherPath), at.image.manifest.content)).toBeUndefined();
});

describe.each([true, false])('a manifest that does not say what it is (with what is public shared: %s)', (mayShare) => {
  const bare = ({ manifest }: Theft['image']): ServedContent => {
    const { mediaType: _, ...body } = JSON.parse(
      Buffer.concat([...manifest.content.read(0, manifest.content.size)]).toString(),
    );
    return contentOf(JSON.stringify(body));
  };

  test.each(['tag', 'digest'])('is to each registry what that calls it (asked for by its %s)', async (by) => {
    await using at = await theft({ mayShare, isPrivate: false });
    const content = bare(at.image);
    at.evil.repository('evil/app').addManifest({ content, mediaType: mediaTypes.dockerManifest }, 'bare');
    at.home.repository(path).addManifest({ content, mediaType: mediaTypes.ociManifest }, 'bare');
    const reference = by === 'tag' ? { tag: 'bare' } : { digest: digestFor(content) };
    const typeFor = async (source: Source) =>
      (await at.mirror.mirror.getManifest(source, reference, patient))?.manifest.descriptor.mediaType;
    for (let times = 0; times < 2; times++) {
      expect(await typeFor(at.thief)).toBe(mediaTypes.dockerManifest);
      expect(await typeFor(at.victim)).toBe(mediaTypes.ociManifest);
    }
  });

  test('is not what an index calls it that names it', async () => {
    await using at = await theft({ mayShare, isPrivate: false });
    const content = bare(at.image);
    const reference = { digest: digestFor(content) };
    at.home.repository(path).addManifest({ content, mediaType: mediaTypes.ociManifest });
    await at.mirror.mirror.getManifest(at.victim, reference, patient);
    const other = at.mirror.source(otherPath);
    const named = { content, mediaType: mediaTypes.dockerManifest };
    at.home.addManifest(otherPath, 'multi', indexManifest([{ manifest: named, platform }]));
    at.home.repository(otherPath).addManifest({ content, mediaType: mediaTypes.ociManifest });
    await at.mirror.mirror.getManifest(other, { tag: 'multi' }, patient);
    const answer = await at.mirror.mirror.getManifest(other, reference, patient);
    expect(answer?.manifest.descriptor.mediaType).toBe(mediaTypes.ociManifest);
  });

  test('is not kept back for a HEAD that calls it what it cannot be', async () => {
    await using at = await theft({ mayShare, isPrivate: false });
    const content = bare(at.image);
    const manifest = { content, mediaType: mediaTypes.ociManifest };
    at.home.repository(path).addManifest(manifest, 'bare');
    await at.mirror.mirror.getManifest(at.victim, { tag: 'bare' }, patient);
    at.home.repository(otherPath).addManifest({ content, mediaType: mediaTypes.ociIndex }, 'bare');
    const other = at.mirror.source(otherPath);
    const answer = await at.mirror.mirror.getManifest(other, { tag: 'bare' }, patient);
    expect(answer?.manifest.descriptor.mediaType).toBe(mediaTypes.ociManifest);
  });
});
