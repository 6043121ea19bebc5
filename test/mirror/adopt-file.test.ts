// Files that lie in the store without anybody's word for them: read at once, believed when they are hashed.
import { rm, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, test, vi } from 'vitest';
import { Spool } from '../../src/store/spool.ts';
import { unlisted } from '../../src/upstream/upstream.ts';
import { Gate } from '../support/gate.ts';
import { lyingFiles } from '../support/stored-files.ts';
import { tempDir } from '../support/temp-dir.ts';
import { type FillScene, name, type SceneOptions, scene, size } from './fill-scene.ts';
import { altered, digestFor, filled, patient, readAll, readUntilCut, startMirror } from './start-mirror.ts';

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

/** A file without any record, as a lost index leaves it until the pass over the disk comes by. */
async function unknown(options: SceneOptions = {}): ReturnType<typeof found> {
  const at = await found(options);
  at.mirror.records.deleteBlob(digestFor(at.blob));
  return at;
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

  test('costs the upstream as much where a manifest of the repository names it', async () => {
    await using at = await found();
    link(at);
    expect(await expectWhole(at)).toBe('miss');
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=0-0']);
    expect(at.mirror.records.totals).toEqual({ bytes: size, blobs: 1 });
  });

  test('may be empty', async () => {
    await using at = await found({ size: 0 });
    await expectWhole(at);
    expect(await expectWhole(at)).toBe('hit');
    expect(at.upstream.count()).toBe(1);
  });

  test.each([false, true])(
    'is not given to a repository whose upstream does not have it (named: %s)',
    async (isNamed) => {
      await using at = await found();
      if (isNamed) link(at);
      at.upstream.repository(name).blobs.clear();
      expect(await at.open()).toBeUndefined();
      expect(at.mirror.records.blob(digestFor(at.blob))?.proven).toBe(false);
    },
  );

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
    expect(at.upstream.bytesSent('blob')).toBe(1 + size);
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
    expect(at.upstream.bytesSent('blob')).toBe(1 + size);
    expect(await at.failures()).toEqual([]);
    expect(at.mirror.records.totals).toEqual({ bytes: size, blobs: 1 });
  });
});

describe('a file without any record', () => {
  test('is adopted for one byte of the upstream, recorded and proven', async () => {
    await using at = await unknown();
    expect(await expectWhole(at)).toBe('miss');
    expect(await expectWhole(at)).toBe('hit');
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=0-0']);
    expect(at.mirror.records.link(at.mirror.source(name).repository, digestFor(at.blob))?.size).toBe(size);
    expect(at.mirror.records.totals).toEqual({ bytes: size, blobs: 1 });
  });

  test('is adopted for no less where a manifest of the repository names it', async () => {
    await using at = await unknown();
    link(at);
    expect(await expectWhole(at)).toBe('miss');
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=0-0']);
  });

  test('never arrives whole when it lies, and is replaced by what the upstream has', async () => {
    await using at = await unknown();
    await writeFile(at.path, Buffer.alloc(size));
    const answer = await at.open();
    expect(answer && (await readUntilCut(answer.content)).received).toBe(size - 1);
    await filled(at.mirror, digestFor(at.blob));
    await expectWhole(at);
    expect(at.upstream.bytesSent('blob')).toBe(1 + size);
    expect(await at.failures()).toEqual([{ reason: 'digest', value: 1 }]);
  });

  test('shorter than the manifest says goes before the whole is fetched', async () => {
    await using at = await unknown();
    link(at);
    await truncate(at.path, size - 1);
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 2, gate } });
    const whole = expectWhole(at);
    await gate.reached;
    expect(await at.mirror.store.sizeOf(digestFor(at.blob))).toBeUndefined();
    gate.open();
    expect(await whole).toBe('miss');
    expect(at.upstream.bytesSent('blob')).toBe(1 + size);
    expect(await at.failures()).toEqual([]);
  });

  test('stays where it is when an upstream does not have it: another may', async () => {
    await using at = await unknown();
    const other = 'library/other';
    at.upstream.addBlob(other, at.blob);
    at.upstream.repository(name).blobs.clear();
    expect(await at.open()).toBeUndefined();
    expect(await at.mirror.store.sizeOf(digestFor(at.blob))).toBe(size);
    at.upstream.server.forget();
    const answer = await at.mirror.mirror.openBlob(at.mirror.source(other), digestFor(at.blob), patient);
    expect(answer && (await readAll(answer.content)).length).toBe(size);
    expect(at.upstream.bytesSent('blob')).toBe(1);
  });
});

describe('a file that nobody vouches for', () => {
  test('is replaced by what a registry sends that anybody can set up', async () => {
    await using at = await found({ wrap: (upstream) => altered(upstream, { label: unlisted }) });
    link(at);
    await expectWhole(at);
    expect(at.upstream.bytesSent('blob')).toBe(size);
  });

  test('costs one byte, whatever a manifest names, where not all may pull everything', async () => {
    await using at = await found({ mayShare: false });
    link(at);
    await expectWhole(at);
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=0-0']);
  });

  test('is replaced where another registry is known to have given it', async () => {
    await using at = await found({ mayShare: false });
    at.mirror.records.addOrigin(digestFor(at.blob), { registry: 'ghcr.io', path: 'acme/app' });
    await expectWhole(at);
    expect(at.upstream.bytesSent('blob')).toBe(size);
  });

  test('costs one byte, too, when it was hashed before anybody asked for it', async () => {
    await using at = await found({ mayShare: false });
    at.mirror.records.prove(digestFor(at.blob));
    expect(await expectWhole(at)).toBe('hit');
    expect(await expectWhole(at)).toBe('hit');
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=0-0']);
  });

  test('and was hashed is still replaced by what a registry sends that anybody can set up', async () => {
    await using at = await found({ wrap: (upstream) => altered(upstream, { label: unlisted }) });
    at.mirror.records.prove(digestFor(at.blob));
    await expectWhole(at);
    expect(at.upstream.bytesSent('blob')).toBe(size);
  });

  test('is from then on what its registry gave, to those who asked', async () => {
    await using at = await found();
    const some = at.mirror.source(name, { isPrivate: true });
    const answer = await at.mirror.mirror.openBlob(some, digestFor(at.blob), patient);
    expect(answer && (await readAll(answer.content)).length).toBe(size);
    await filled(at.mirror, digestFor(at.blob));
    const isFrom = (isPrivate: boolean) =>
      at.mirror.records.isFrom({ ...some.repository, isPrivate }, digestFor(at.blob));
    expect([isFrom(true), isFrom(false)]).toEqual([true, false]);
  });
});

test('a stop in the middle of the proof leaves the file and its record to the next start', async () => {
  await using dir = await tempDir('mirror');
  await using at = await found({ dir: dir.path });
  link(at);
  const gate = new Gate();
  const proving = vi.spyOn(Spool.prototype, 'verify').mockImplementationOnce(() => gate.pass());
  const answer = await at.open();
  await gate.reached;
  await at.mirror.stop();
  proving.mockRestore();
  gate.open();
  await answer?.content.close();
  await using again = await startMirror({ upstreams: { 'docker.io': at.upstream }, dir: dir.path });
  expect(again.records.blob(digestFor(at.blob))).toMatchObject({ size, proven: false });
  expect(await lyingFiles(dir.path)).toEqual([]);
  at.upstream.server.forget();
  const next = await again.mirror.openBlob(again.source(name), digestFor(at.blob), patient);
  expect(next && (await readAll(next.content)).length).toBe(size);
  expect(at.upstream.bytesSent('blob')).toBe(1);
});
