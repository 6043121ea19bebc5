// A disk that refuses in the middle of everything: pulls go on past it, and nothing half-done stays.
import { describe, expect, test, vi } from 'vitest';
import { wantedRange } from '../../src/oci/byte-range.ts';
import { Spool } from '../../src/store/spool.ts';
import { Gate } from '../support/gate.ts';
import { committedFiles } from '../support/stored-files.ts';
import { type FillScene, name, scene, size } from './fill-scene.ts';
import { digestFor, filled, patient, readAll, spoolFiles } from './start-mirror.ts';

const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
const indexFull = Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });

const bytesOf = (at: FillScene) => Buffer.concat([...at.blob.read(0, size)]);

async function expectPassed(at: FillScene): Promise<void> {
  const answer = await at.open();
  expect(answer?.outcome).toBe('miss');
  expect(answer && (await readAll(answer.content)).equals(bytesOf(at))).toBe(true);
  await at.mirror.fills.drained();
}

async function expectNothingKept(at: FillScene): Promise<void> {
  expect(await committedFiles(at.mirror.dir)).toEqual([]);
  expect(await spoolFiles(at.mirror)).toEqual([]);
  expect(at.mirror.records.totals).toEqual({ bytes: 0, blobs: 0 });
}

/** Refuses what would lie behind so many bytes. */
function refuseBehind(position: number): Disposable {
  const { write } = Spool.prototype;
  return vi.spyOn(Spool.prototype, 'write').mockImplementation(async function (this: Spool, chunk, at) {
    if (at + chunk.length > position) throw full;
    await write.call(this, chunk, at);
  });
}

describe('a disk that becomes full', () => {
  test('in the middle of a blob costs no reader a byte', async () => {
    await using at = await scene();
    using _ = refuseBehind(100_000);
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob', times: 1 }, { holdBody: { after: 50_000, gate } });
    const whole = [await at.open(), await at.open()];
    const tail = await at.open(at.blob, wantedRange('bytes=150000-'));
    const fill = filled(at.mirror, digestFor(at.blob));
    gate.open();
    for (const answer of whole) expect(answer && (await readAll(answer.content)).equals(bytesOf(at))).toBe(true);
    const read = tail && (await readAll(tail.content, 150_000));
    expect(read?.equals(bytesOf(at).subarray(150_000))).toBe(true);
    expect(await fill).toBe(full);
    await at.mirror.fills.drained();
    expect(at.mirror.disk.problem).toContain('no space left');
    expect((await at.mirror.metrics.cacheWritable.get()).values[0]?.value).toBe(0);
    expect(await at.failures()).toEqual([{ reason: 'disk', value: 1 }]);
    await expectNothingKept(at);
    await expectPassed(at);
    await expectNothingKept(at);
  });

  test('when the whole blob is there costs its readers nothing', async () => {
    await using at = await scene();
    vi.spyOn(at.mirror.store, 'commit').mockRejectedValue(full);
    await expectPassed(at);
    await expectNothingKept(at);
    expect(at.upstream.count()).toBe(1);
  });

  test('when the index is to learn of the blob leaves no file that nobody knows', async () => {
    await using at = await scene();
    vi.spyOn(at.mirror.records, 'putBlob').mockImplementation(() => {
      throw indexFull;
    });
    await expectPassed(at);
    await expectNothingKept(at);
    expect(at.mirror.disk.problem).toBeDefined();
  });

  test('before the blob begins has it streamed past', async () => {
    await using at = await scene();
    vi.spyOn(at.mirror.spools, 'open').mockRejectedValue(full);
    await expectPassed(at);
    await expectNothingKept(at);
  });

  test('has a repository’s link forgotten, not its blob refused', async () => {
    await using at = await scene();
    vi.spyOn(at.mirror.records, 'addLinks').mockImplementation(() => {
      throw indexFull;
    });
    await expectPassed(at);
    await expectPassed(at);
    await expectNothingKept(at);
  });

  test.each<[string, number | undefined]>([
    ['rests here', undefined],
    ['is arriving', 100_000],
  ])(
    'has a blob that %s proven once to another repository, although that cannot be written down',
    async (_what, held) => {
      await using at = await scene();
      const other = at.mirror.source('library/other');
      at.upstream.addBlob('library/other', at.blob);
      const gate = new Gate();
      if (held !== undefined) at.upstream.faults.add({ kind: 'blob', times: 1 }, { holdBody: { after: held, gate } });
      const first = await at.open();
      if (held === undefined) await filled(at.mirror, digestFor(at.blob));
      vi.spyOn(at.mirror.records, 'addLinks').mockImplementation(() => {
        throw indexFull;
      });
      const answer = await at.mirror.mirror.openBlob(other, digestFor(at.blob), patient);
      expect(answer?.outcome).toBe(held === undefined ? 'hit' : 'joined');
      gate.open();
      expect(answer && (await readAll(answer.content)).equals(bytesOf(at))).toBe(true);
      await first?.content.close();
      const proofs = at.upstream.server.find({ path: 'library/other' });
      expect(proofs.map(({ headers }) => headers.range)).toEqual(['bytes=0-0']);
    },
  );
});

test('no room for a blob has it streamed past for everyone, and is no fault of the disk', async () => {
  await using at = await scene();
  vi.spyOn(at.mirror.budget, 'reserve').mockResolvedValue(undefined);
  await Promise.all([expectPassed(at), at.open().then((answer) => answer && readAll(answer.content))]);
  await at.mirror.fills.drained();
  expect(at.mirror.disk.problem).toBeUndefined();
  await expectNothingKept(at);
});

describe('a manifest', () => {
  test('is answered by tag and by digest although nothing can be written', async () => {
    await using at = await scene();
    const digest = digestFor(at.upstream.addImage(name, { layers: [at.blob] }));
    vi.spyOn(at.mirror.store, 'put').mockRejectedValue(full);
    vi.spyOn(at.mirror.records, 'putTag').mockImplementation(() => {
      throw indexFull;
    });
    const source = at.mirror.source(name);
    for (const reference of [{ tag: 'latest' }, { digest }, { tag: 'latest' }]) {
      const answer = await at.mirror.mirror.getManifest(source, reference, patient);
      expect(answer?.manifest.descriptor.digest).toBe(digest);
    }
    await expectPassed(at);
    await expectNothingKept(at);
  });

  test('that the index cannot learn of leaves no file that nobody knows', async () => {
    await using at = await scene();
    at.upstream.addImage(name);
    vi.spyOn(at.mirror.records, 'putBlob').mockImplementation(() => {
      throw indexFull;
    });
    expect(await at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, patient)).toBeDefined();
    await expectNothingKept(at);
  });

  test('is refused as before when something else goes wrong', async () => {
    await using at = await scene();
    at.upstream.addImage(name);
    vi.spyOn(at.mirror.store, 'put').mockRejectedValue(new Error('a bug'));
    await expect(at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, patient)).rejects.toThrow(
      'a bug',
    );
  });
});
