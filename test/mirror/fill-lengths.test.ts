// How long a blob is: what its manifest says, what its upstream says, and what comes.
import { describe, expect, test } from 'vitest';
import { manifestOf, mediaTypes } from '../support/fake-image.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import { committedFiles } from '../support/stored-files.ts';
import { name, scene, size } from './fill-scene.ts';
import { digestFor, filled, patient, readAll, readUntilCut } from './start-mirror.ts';

describe('a length', () => {
  function manifestThatSays(size: number, layer: ServedContent) {
    const config = { mediaType: mediaTypes.ociConfig, digest: contentOf('{}').digest, size: 2 };
    const layers = [{ mediaType: mediaTypes.ociLayer, digest: layer.digest, size }];
    return manifestOf(mediaTypes.ociManifest, { schemaVersion: 2, config, layers });
  }

  test('other than the manifest’s refuses the transfer', async () => {
    await using at = await scene();
    at.upstream.addManifest(name, 'latest', manifestThatSays(size + 1, at.blob));
    await at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, patient);
    await expect(at.open()).rejects.toMatchObject({ failure: 'protocol', message: expect.stringContaining('200001') });
    expect(await committedFiles(at.mirror.dir)).toHaveLength(1);
  });

  test('that the upstream does not tell is taken from the manifest', async () => {
    await using at = await scene();
    at.upstream.addManifest(name, 'latest', manifestThatSays(size, at.blob));
    at.upstream.faults.add({ kind: 'blob' }, { chunked: true });
    await at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, patient);
    const answer = await at.open();
    expect(answer && (await readAll(answer.content)).length).toBe(size);
  });

  test('that nobody tells refuses the transfer', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'blob' }, { chunked: true, noRanges: true });
    await expect(at.open()).rejects.toMatchObject({ failure: 'protocol' });
  });

  test('that only Content-Range tells is taken from there', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'blob' }, { chunked: true });
    const answer = await at.open();
    expect(answer && (await readAll(answer.content)).length).toBe(size);
  });

  test('that is passed by what arrives ends the transfer as the upstream’s fault', async () => {
    await using at = await scene();
    at.upstream.addManifest(name, 'latest', manifestThatSays(100_000, at.blob));
    at.upstream.faults.add({ kind: 'blob' }, { chunked: true });
    await at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, patient);
    const answer = await at.open();
    const fill = filled(at.mirror, digestFor(at.blob));
    expect(answer && (await readUntilCut(answer.content)).received).toBeLessThan(100_000);
    expect(await fill).toBeInstanceOf(Error);
    expect(await committedFiles(at.mirror.dir)).toHaveLength(1);
  });
});
