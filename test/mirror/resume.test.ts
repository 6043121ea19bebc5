// Transfers that break and go on: in the same fill, in the next one, and after a restart.
import { open, readFile } from 'node:fs/promises';
import { describe, expect, test, vi } from 'vitest';
import { checkpointBytes } from '../../src/store/journal.ts';
import type { FaultEffect } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { lyingFiles } from '../support/stored-files.ts';
import { tempDir } from '../support/temp-dir.ts';
import { type FillScene, name, scene, size } from './fill-scene.ts';
import { digestFor, filled, patient, readAll, type StartedMirror, spoolFiles, startMirror } from './start-mirror.ts';

vi.mock('node:timers/promises', () => import('./no-pauses.ts'));

async function counted(metric: { get(): Promise<{ values: { value: number }[] }> }): Promise<number> {
  const { values } = await metric.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

const ranges = (at: FillScene) => at.upstream.requests.map(({ headers }) => headers.range);

async function expectWhole(at: FillScene, mirror = at.mirror): Promise<string> {
  const answer = await mirror.mirror.openBlob(mirror.source(name), digestFor(at.blob), patient);
  if (!answer) throw new Error('there is no such blob');
  expect((await readAll(answer.content)).equals(Buffer.concat([...at.blob.read(0, at.blob.size)]))).toBe(true);
  await filled(mirror, digestFor(at.blob));
  expect(await lyingFiles(mirror.dir)).toEqual([]);
  expect(await spoolFiles(mirror)).toEqual([]);
  return answer.outcome;
}

describe('a transfer that', () => {
  test.each<[string, FaultEffect]>([
    ['is dropped', { dropAfter: 100_000 }],
    ['is reset', { resetAfter: 100_000 }],
    ['is cut short as if that were all', { truncateAfter: 100_000 }],
  ])('%s goes on, and no reader hears of it', async (_what, effect) => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'blob', times: 1 }, effect);
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => expectWhole(at)));
    expect(outcomes).toContain('miss');
    expect(at.upstream.count()).toBe(2);
    expect(await counted(at.mirror.metrics.fillResumes)).toBe(1);
    expect(await at.failures()).toEqual([]);
    expect(at.mirror.logLines).toContainEqual(expect.objectContaining({ msg: 'a broken transfer goes on' }));
  });

  test('breaks again and again never brings a byte twice', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'blob' }, { truncateAfter: 30_000 });
    expect(await expectWhole(at)).toBe('miss');
    expect(at.upstream.bytesSent('blob')).toBe(size);
    expect(at.upstream.count()).toBe(7);
  });
});

describe('after a restart', () => {
  interface Stopped extends FillScene {
    readonly dir: string;
    restart(): Promise<StartedMirror>;
  }

  /** A mirror that was stopped when so much of the blob had come. */
  async function stoppedAt(bytes: number, of = size): Promise<Stopped> {
    await using opened = new AsyncDisposableStack();
    const { path: dir } = opened.use(await tempDir('mirror'));
    const at = opened.use(await scene({ dir, size: of }));
    const gate = new Gate();
    const hold = at.upstream.faults.add({ kind: 'blob' }, { noRanges: true, holdBody: { after: bytes, gate } });
    const answer = await at.open();
    const spool = await at.mirror.fills.find(digestFor(at.blob))?.opened;
    await vi.waitUntil(() => spool?.prefix === bytes);
    await answer?.content.close();
    await at.mirror.stop();
    gate.open();
    hold.remove();
    at.upstream.server.forget();
    const all = opened.move();
    return {
      ...at,
      dir,
      restart: async () => all.use(await startMirror({ upstreams: { 'docker.io': at.upstream }, dir })),
      [Symbol.asyncDispose]: () => all.disposeAsync(),
    };
  }

  test('a fill brings only what is missing', async () => {
    await using at = await stoppedAt(100_000);
    const mirror = await at.restart();
    expect(await expectWhole(at, mirror)).toBe('miss');
    expect(ranges(at)).toEqual([`bytes=100000-${size - 1}`]);
    expect(await counted(mirror.metrics.resumedBytes)).toBe(100_000);
    expect(mirror.logLines).toContainEqual(
      expect.objectContaining({ bytes: 100_000, msg: 'goes on with what an earlier fill left' }),
    );
    expect(await expectWhole(at, mirror)).toBe('hit');
  });

  test('a fill brings all of it from an upstream that gives no parts', async () => {
    await using at = await stoppedAt(100_000);
    at.upstream.faults.add({ kind: 'blob' }, { noRanges: true });
    expect(await expectWhole(at, await at.restart())).toBe('miss');
    expect(at.upstream.bytesSent('blob')).toBe(size);
  });

  test('a fill believes nothing that does not hash as it did, and brings it again', async () => {
    const left = checkpointBytes + 1_000_000;
    await using at = await stoppedAt(left, 6_000_000);
    const file = await open(at.mirror.layout.spool(digestFor(at.blob)), 'r+');
    await file.write('x', left - 500_000);
    await file.close();
    const mirror = await at.restart();
    expect(await expectWhole(at, mirror)).toBe('miss');
    expect(ranges(at)).toEqual([`bytes=${left}-5999999`, `bytes=${checkpointBytes}-${left - 1}`]);
    expect(await counted(mirror.metrics.resumedBytes)).toBe(checkpointBytes);
    expect(await counted(mirror.metrics.fillFailures)).toBe(0);
  });

  test('a fill of a blob that is another size now begins anew', async () => {
    await using at = await stoppedAt(100_000);
    const journal = at.mirror.layout.journal(digestFor(at.blob));
    const text = await readFile(journal, 'utf8');
    const file = await open(journal, 'w');
    await file.write(text.replace(`size ${size}`, `size ${size + 1}`));
    await file.close();
    expect(await expectWhole(at, await at.restart())).toBe('miss');
    expect(ranges(at)).toEqual([undefined]);
  });

  test('what is left of a blob that nobody asks for stays where it is', async () => {
    await using at = await stoppedAt(100_000);
    const mirror = await at.restart();
    expect(await spoolFiles(mirror)).toHaveLength(2);
    expect(mirror.spools.leftovers.bytes).toBeGreaterThanOrEqual(100_000);
    expect(at.upstream.count()).toBe(0);
  });

  test('a fill whose upstream has it no more tells that, and keeps what is left', async () => {
    await using at = await stoppedAt(100_000);
    at.upstream.repository(name).blobs.clear();
    const mirror = await at.restart();
    expect(await mirror.mirror.openBlob(mirror.source(name), digestFor(at.blob), patient)).toBeUndefined();
    expect(await spoolFiles(mirror)).toHaveLength(2);
  });
});
