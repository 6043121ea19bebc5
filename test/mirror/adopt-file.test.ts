// Files that lie in the store without anybody's word for them: read at once, believed when they are hashed.
import { rm, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { lyingFiles } from '../support/stored-files.ts';
import { type FillScene, name, type SceneOptions, scene, size } from './fill-scene.ts';
import { digestFor, filled, patient, readAll, readUntilCut } from './start-mirror.ts';

/** A file that a rebuilt index has found: its record is unproven, and no repository is linked to it. */
async function found(options: SceneOptions = {}): Promise<FillScene & { readonly path: string }> {
  const at = await scene(options);
  const digest = digestFor(at.blob);
  const answer = await at.open();
  if (answer) await readAll(answer.content);
  await filled(at.mirror, digest);
  at.mirror.records.deleteBlob(digest);
  at.mirror.records.putUnproven(digest, at.blob.size, Date.now());
  at.upstream.server.forget();
  return { ...at, path: at.mirror.layout.blob(digest) };
}

function link(at: FillScene): void {
  at.mirror.records.addLinks(at.mirror.source(name).repository, [
    { digest: digestFor(at.blob), size: at.blob.size, mediaType: 'application/octet-stream' },
  ]);
}

async function expectWhole(at: FillScene): Promise<string> {
  const answer = await at.open();
  if (!answer) throw new Error('there is no such blob');
  expect((await readAll(answer.content)).equals(Buffer.concat([...at.blob.read(0, at.blob.size)]))).toBe(true);
  await filled(at.mirror, digestFor(at.blob));
  expect(await lyingFiles(at.mirror.dir)).toEqual([]);
  expect(at.mirror.records.blob(digestFor(at.blob))?.proven).toBe(true);
  return answer.outcome;
}

describe('a file that is what its name says', () => {
  test('costs an upstream that gives it to the repository one byte, and is a hit from then on', async () => {
    await using at = await found();
    expect(await expectWhole(at)).toBe('miss');
    expect(await expectWhole(at)).toBe('hit');
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=0-0']);
    expect(at.upstream.bytesSent('blob')).toBe(1);
  });

  test('costs the upstream nothing where a manifest of the repository names it', async () => {
    await using at = await found();
    link(at);
    await at.upstream.close();
    expect(await expectWhole(at)).toBe('miss');
    expect(at.mirror.records.totals).toEqual({ bytes: size, blobs: 1 });
  });

  test('may be empty', async () => {
    await using at = await found({ size: 0 });
    await expectWhole(at);
    expect(await expectWhole(at)).toBe('hit');
    expect(at.upstream.count()).toBe(1);
  });

  test('is not given to a repository whose upstream does not have it', async () => {
    await using at = await found();
    at.upstream.repository(name).blobs.clear();
    expect(await at.open()).toBeUndefined();
    expect(at.mirror.records.blob(digestFor(at.blob))?.proven).toBe(false);
  });

  test('is an error, not an answer, while nobody can say whose it is', async () => {
    await using at = await found();
    await at.upstream.close();
    await expect(at.open()).rejects.toMatchObject({ name: 'UpstreamError', failure: 'unreachable' });
    expect(at.mirror.records.blob(digestFor(at.blob))?.proven).toBe(false);
  });

  test('is not what HEAD is told before it is proven', async () => {
    await using at = await found();
    const stat = () => at.mirror.mirror.statBlob(at.mirror.source(name), digestFor(at.blob), patient);
    expect(await stat()).toEqual({ size, outcome: 'miss' });
  });
});

describe('a file that is', () => {
  test('wrong in one byte never arrives whole, and is replaced by what the upstream has', async () => {
    await using at = await found();
    link(at);
    const wrong = Buffer.concat([...at.blob.read(0, size)]);
    wrong[1000] = (wrong[1000] ?? 0) ^ 1;
    await writeFile(at.path, wrong);
    const answer = await at.open();
    expect(answer && (await readUntilCut(answer.content)).received).toBe(size - 1);
    await filled(at.mirror, digestFor(at.blob));
    await expectWhole(at);
    expect(at.upstream.count()).toBe(1);
    expect(await at.failures()).toEqual([{ reason: 'digest', value: 1 }]);
  });

  test.each<[string, (path: string) => Promise<void>]>([
    ['cut short', (path) => truncate(path, size - 1)],
    ['empty', (path) => truncate(path, 0)],
    ['grown', (path) => writeFile(path, 'x', { flag: 'a' })],
    ['gone', (path) => rm(path)],
  ])('%s is a miss', async (_what, damage) => {
    await using at = await found();
    link(at);
    await damage(at.path);
    expect(await expectWhole(at)).toBe('miss');
    expect(at.upstream.bytesSent('blob')).toBe(size);
    expect(await at.failures()).toEqual([]);
    expect(at.mirror.records.totals).toEqual({ bytes: size, blobs: 1 });
  });
});
