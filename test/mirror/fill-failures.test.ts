// Transfers that go wrong for good: readers end short, nothing is committed, and the next request may go on.
import { describe, expect, test, vi } from 'vitest';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { committedFiles } from '../support/stored-files.ts';
import { tempDir } from '../support/temp-dir.ts';
import { type FillScene, name, scene, size } from './fill-scene.ts';
import { digestFor, filled, patient, readAll, readUntilCut, spoolFiles, startMirror } from './start-mirror.ts';

vi.mock('node:timers/promises', () => import('./no-pauses.ts'));

const heldAt = 50_000;

/** Three readers, the transfer held until all have come and have what there is. Resolves when every fill of the blob is over. */
async function readByThree(at: FillScene, gate: Gate): Promise<void> {
  const answers = [await at.open(), await at.open(), await at.open()];
  const first = filled(at.mirror, digestFor(at.blob));
  for (const answer of answers)
    for (let end = 0; answer && end < heldAt; ) end = await answer.content.waitFor(end, patient);
  gate.open();
  for (const read of await Promise.all(answers.map((answer) => answer && readUntilCut(answer.content)))) {
    expect(read?.received).toBeLessThan(size);
    expect(read?.failure).toBeInstanceOf(Error);
  }
  expect(await first).toBeInstanceOf(Error);
  await filled(at.mirror, digestFor(at.blob));
  expect(await committedFiles(at.mirror.dir)).toEqual([]);
  expect(at.mirror.records.totals).toEqual({ bytes: 0, blobs: 0 });
}

async function expectMended(at: FillScene): Promise<void> {
  const again = await at.open();
  expect(again?.outcome).toBe('miss');
  expect(again && (await readAll(again.content)).equals(Buffer.concat([...at.blob.read(0, size)]))).toBe(true);
  expect(await filled(at.mirror, digestFor(at.blob))).toBeUndefined();
  expect(await spoolFiles(at.mirror)).toEqual([]);
}

describe('a transfer that', () => {
  test.each<[string, FaultEffect, number]>([
    ['is dropped in the middle', { dropAfter: 100_000 }, 100_000],
    ['is dropped one byte before its end', { dropAfter: size - 1 }, size - 1],
    ['is reset', { resetAfter: 100_000 }, 100_000],
  ])(
    '%s and never goes on ends every reader there, and the next fill brings the rest',
    async (_what, effect, brokenAt) => {
      await using at = await scene();
      const gate = new Gate();
      const outage = at.upstream.faults.add({ kind: 'blob' }, { hangUp: true });
      const holdBody = { after: heldAt, gate };
      at.upstream.faults.add({ kind: 'blob', times: 1 }, { ...effect, hangUp: false, holdBody });
      await readByThree(at, gate);
      expect((await spoolFiles(at.mirror)).length).toBe(2);
      expect(await at.failures()).toEqual([{ reason: 'unreachable', value: 1 }]);
      expect(at.mirror.logLines).toContainEqual(expect.objectContaining({ msg: 'fill failed', reason: 'unreachable' }));

      outage.remove();
      at.upstream.server.forget();
      await expectMended(at);
      const [, start] = /^bytes=(\d+)-199999$/.exec(at.upstream.requests[0]?.headers.range ?? '') ?? [];
      // A connection that breaks takes along what has not been read from it.
      expect(Number(start)).toBeGreaterThanOrEqual(heldAt);
      expect(Number(start)).toBeLessThanOrEqual(brokenAt);
      expect(at.upstream.count()).toBe(1);
    },
  );

  test.each<[string, FaultEffect]>([
    ['at its head', { flipByteAt: 0 }],
    ['at its end', { flipByteAt: size - 1 }],
  ])('has one wrong byte %s is tried once more from nothing, then no more', async (_what, effect) => {
    await using at = await scene();
    const gate = new Gate();
    const lie = at.upstream.faults.add({ kind: 'blob' }, { ...effect, holdBody: { after: heldAt, gate } });
    await readByThree(at, gate);
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=0-8388607', undefined]);
    expect(await spoolFiles(at.mirror)).toEqual([]);
    expect(await at.failures()).toEqual([{ reason: 'digest', value: 2 }]);
    expect(at.mirror.logLines.filter(({ msg }) => msg === 'fill failed')).toHaveLength(2);

    lie.remove();
    await expectMended(at);
  });

  test('has one wrong byte the first time only is right for those who come then', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'blob', times: 1 }, { flipByteAt: 7 });
    const first = await at.open();
    expect(first && (await readUntilCut(first.content)).received).toBe(size - 1);
    await filled(at.mirror, digestFor(at.blob));
    const second = await at.open();
    expect(second && (await readAll(second.content)).length).toBe(size);
    expect(at.upstream.count()).toBe(2);
    expect(await at.failures()).toEqual([{ reason: 'digest', value: 1 }]);
  });

  test.each<[string, FaultEffect, string]>([
    ['is refused by a limit', { ...refusals.pullLimit, headers: { 'retry-after': '1' } }, 'limited'],
    ['is denied', refusals.denied, 'denied'],
    ['meets a broken server', refusals.unavailable, 'failing'],
    ['gets no answer', { hangUp: true }, 'unreachable'],
    ['is compressed on the way', { gzip: true }, 'protocol'],
  ])('%s is that error for everyone who waits', async (_what, effect, failure) => {
    await using at = await scene();
    const gate = new Gate();
    const fault = at.upstream.faults.add({ kind: 'blob' }, { ...effect, holdHeaders: gate });
    const asked = [at.open(), at.open()];
    await gate.reached;
    gate.open();
    for (const result of await Promise.allSettled(asked))
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'UpstreamError', failure } });
    // What may have been an accident is asked for once more.
    expect(at.upstream.count()).toBe(failure === 'failing' || failure === 'unreachable' ? 2 : 1);
    expect(await spoolFiles(at.mirror)).toEqual([]);
    fault.remove();
    await vi.waitUntil(() => at.mirror.source(name).upstream.mayAsk('blob'), { timeout: 5000 });
    const again = await at.open();
    expect(again && (await readAll(again.content)).length).toBe(size);
  });
});

test('no more than maxFills transfers run at once', async () => {
  await using at = await scene({ maxFills: 2 });
  const blobs = ['one', 'two', 'three'].map((text) => at.upstream.addBlob(name, text.repeat(1000)));
  const gate = new Gate();
  at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 10, gate } });
  const [one, two, three] = blobs.map((blob) => at.open(blob));
  const running = [await one, await two];
  expect(at.upstream.count()).toBe(2);
  gate.open();
  for (const answer of [...running, await three])
    expect(answer && (await readAll(answer.content)).length).toBeGreaterThan(0);
  expect(at.upstream.count()).toBe(3);
});

describe('a mirror that stops', () => {
  test('ends the fills and their readers, and leaves what has come to the next', async () => {
    await using at = await scene();
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 100_000, gate } });
    const answer = await at.open();
    const read = answer && readUntilCut(answer.content);
    await gate.reached;
    const fill = filled(at.mirror, digestFor(at.blob));
    await at.mirror.stop();
    expect(await fill).toBeInstanceOf(Error);
    expect((await read)?.received).toBeLessThan(size);
    const [spool = ''] = (await spoolFiles(at.mirror)).sort();
    expect(await spoolFiles(at.mirror)).toEqual(expect.arrayContaining([spool, `${spool}.journal`]));
    expect(await at.failures()).toEqual([{ reason: 'stopped', value: 1 }]);
    gate.open();
  });

  test('starts again on its directory, with a hit for what was committed', async () => {
    await using dir = await tempDir('mirror');
    const upstream = await startFakeUpstream();
    await using _ = upstream;
    const blob = upstream.addBlob(name, 'kept');
    for (const outcome of ['miss', 'hit']) {
      await using mirror = await startMirror({ upstreams: { 'docker.io': upstream }, dir: dir.path });
      const answer = await mirror.mirror.openBlob(mirror.source(name), digestFor(blob), patient);
      expect(answer?.outcome).toBe(outcome);
      expect(answer && (await readAll(answer.content)).toString()).toBe('kept');
      await filled(mirror, digestFor(blob));
    }
    expect(upstream.count()).toBe(1);
  });
});
