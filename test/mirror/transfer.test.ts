// The bytes of one fill: several parts at once, what readers wait for first, and an end that leaves nothing running.
import { describe, expect, test, vi } from 'vitest';
import { Transfer, type TransferOptions } from '../../src/mirror/transfer.ts';
import type { Spool } from '../../src/store/spool.ts';
import { Spools } from '../../src/store/spools.ts';
import type { Part } from '../../src/upstream/upstream.ts';
import { ScratchStore } from '../store/scratch-store.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import type { Exchange } from '../support/recorded-server.ts';
import { upstreamError } from '../upstream/upstream-scene.ts';
import { type Line, path, type ScriptedUpstream, scriptedUpstream } from './scripted-upstream.ts';
import { patient } from './start-mirror.ts';

const MiB = 1024 * 1024;
/** Two segments and a half. */
const size = 20 * MiB;
const head: Part = { start: 0, end: 8 * MiB };
const ranges = [`bytes=0-${8 * MiB - 1}`, `bytes=${8 * MiB}-${16 * MiB - 1}`, `bytes=${16 * MiB}-${size - 1}`];

interface Scene extends AsyncDisposable, Pick<ScriptedUpstream, 'upstream' | 'script' | 'source' | 'digest'> {
  readonly at: ScriptedUpstream;
  readonly spool: Spool;
  readonly resumed: number[];
  readonly written: () => number;
  /** Asks for the first part and makes the transfer of it. */
  begin(options?: Partial<TransferOptions>, part?: Part): Promise<Transfer>;
}

async function scene(script: readonly Line[] = [], bytes = size): Promise<Scene> {
  await using opened = new AsyncDisposableStack();
  const at = opened.use(await scriptedUpstream({ size: bytes, script }));
  const scratch = opened.use(await ScratchStore.open());
  const spools = opened.adopt(await Spools.open(scratch.layout), (all) => all.close());
  const spool = opened.adopt(await spools.open(at.digest, bytes), (own) => own.close());
  const resumed: number[] = [];
  let written = 0;
  const all = opened.move();
  return {
    ...at,
    at,
    spool,
    resumed,
    written: () => written,
    begin: async (options = {}, part = head) => {
      const first = await at.source.upstream.fetchBlob(path, at.digest, patient, part);
      if (!first) throw new Error('there is no such blob');
      return new Transfer({
        source: at.source,
        spool,
        first,
        parallel: () => 4,
        signal: patient,
        onResume: (position) => resumed.push(position),
        onWrote: (more) => {
          written += more;
        },
        ...options,
      });
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

/** Runs it, and proves every byte. */
async function runs(at: Scene, transfer: Transfer): Promise<void> {
  await transfer.run();
  await at.spool.verify();
  expect(at.written()).toBe(at.spool.size);
}

function bytesOf({ written, size }: Pick<Spool, 'written' | 'size'>): number {
  return written.gaps(0, size).reduce((sum, { start, end }) => sum - (end - start), size);
}

describe('a transfer', () => {
  test('fetches the parts side by side, each byte once', async () => {
    const gate = new Gate();
    await using at = await scene([{}, { holdBody: { after: 0, gate } }, { holdBody: { after: 0, gate } }]);
    const running = runs(at, await at.begin());
    await vi.waitUntil(() => gate.arrivals === 2);
    gate.open();
    await running;
    expect(at.at.ranges()).toEqual(ranges);
    expect(at.upstream.bytesSent('blob')).toBe(size);
    expect(at.resumed).toEqual([]);
  });

  test('asks for no more at once than it may', async () => {
    await using at = await scene();
    let [running, most] = [0, 0];
    const fetchBlob = at.source.upstream.fetchBlob.bind(at.source.upstream);
    vi.spyOn(at.source.upstream, 'fetchBlob').mockImplementation(async (...asked) => {
      most = Math.max(most, ++running);
      const found = await fetchBlob(...asked);
      const { body } = found ?? { body: [] };
      const counted = async function* () {
        try {
          yield* body;
        } finally {
          running--;
        }
      };
      return found && { ...found, body: counted() };
    });
    await runs(at, await at.begin({ parallel: () => 1 }));
    expect([most, at.upstream.count()]).toEqual([1, 3]);
  });

  test('starts more when it may run more', async () => {
    const gate = new Gate();
    await using at = await scene([{ holdBody: { after: 0, gate } }]);
    let parallel = 1;
    const transfer = await at.begin({ parallel: () => parallel });
    const running = runs(at, transfer);
    await gate.reached;
    expect(at.upstream.count()).toBe(1);
    parallel = 2;
    transfer.next();
    await vi.waitUntil(() => at.upstream.count() === 3);
    gate.open();
    await running;
  });

  test('is one stream where the upstream gives no parts', async () => {
    await using at = await scene([{ noRanges: true }]);
    await runs(at, await at.begin());
    expect(at.at.ranges()).toEqual(ranges.slice(0, 1));
    expect(at.upstream.bytesSent('blob')).toBe(size);
  });

  test('becomes one stream where the upstream stops giving parts: each byte passes once more at most', async () => {
    await using at = await scene([{}]);
    at.at.last = { noRanges: true };
    await runs(at, await at.begin({ parallel: () => 2 }));
    // The second lane leaves its whole blob to the first, and then the rest comes in one.
    expect(at.at.ranges().at(-1)).toBe(`bytes=${8 * MiB}-${size - 1}`);
    expect(at.at.ranges().length).toBeLessThanOrEqual(3);
    expect(at.upstream.bytesSent('blob')).toBeLessThan(2.5 * size);
  });

  test('does so at the same price however many parts there are, and however many lanes find out', async () => {
    await using at = await scene([{}], 64 * MiB);
    at.at.last = { noRanges: true };
    await runs(at, await at.begin({ parallel: () => 8 }));
    expect(at.upstream.bytesSent('blob')).toBeLessThan(2.5 * 64 * MiB);
    expect(at.resumed).toEqual([]);
  });

  test('lets what is here already pass by in the one stream', async () => {
    const [refused, last] = [new Gate(), new Gate()];
    const effects = new Map<string | undefined, FaultEffect>([
      [ranges[1], { noRanges: true, holdHeaders: refused }],
      [`bytes=${24 * MiB}-${28 * MiB - 1}`, { holdBody: { after: 0, gate: last } }],
    ]);
    const left: Exchange['response'][] = [];
    const byRange: Line = ({ request, response, effect }) => {
      Object.assign(effect, effects.get(request.headers.range));
      if (effect.noRanges) left.push(response);
    };
    await using at = await scene([byRange, byRange, byRange, byRange], 28 * MiB);
    at.at.last = { noRanges: true };
    const running = runs(at, await at.begin());
    await vi.waitUntil(() => bytesOf(at.spool) === 16 * MiB && last.arrivals === 1);
    refused.open();
    // Not the only lane that runs: it leaves its whole blob alone.
    await vi.waitUntil(() => left[0]?.destroyed);
    last.open();
    await running;
    expect(at.at.ranges().slice(4)).toEqual([`bytes=${8 * MiB}-${28 * MiB - 1}`]);
  });

  test('of nothing is over at once', async () => {
    await using at = await scene([], 0);
    const first = { size: 0, start: 0, end: 0, body: (async function* () {})() };
    await runs(at, await at.begin({ first }, { start: 0, end: 1 }));
  });

  test('that breaks in one of its parts goes on there', async () => {
    await using at = await scene([{}, { truncateAfter: MiB }]);
    await runs(at, await at.begin());
    expect(at.resumed).toEqual([9 * MiB]);
    expect(at.at.ranges().sort()).toEqual([...ranges, `bytes=${9 * MiB}-${16 * MiB - 1}`].sort());
  });
});

describe('a transfer that goes on', () => {
  test('leaves what is claimed to its proof, and asks for what proves wrong', async () => {
    const recovered = Promise.withResolvers<number>();
    await using at = await scene();
    Object.assign(at.spool, { claimed: 8 * MiB, recovered: recovered.promise });
    const running = (await at.begin({}, { start: 8 * MiB, end: 16 * MiB })).run();
    await vi.waitUntil(() => bytesOf(at.spool) === 12 * MiB);
    expect(at.at.ranges()).toEqual(ranges.slice(1));
    await at.spool.write(at.at.bytes.subarray(0, MiB), 0);
    recovered.resolve(MiB);
    await running;
    await at.spool.verify();
    expect(at.at.ranges()).toEqual([...ranges.slice(1), `bytes=${MiB}-${8 * MiB - 1}`]);
  });
});

describe('a reader far ahead', () => {
  test('has a request of its own, beyond those that run', async () => {
    const gate = new Gate();
    await using at = await scene([{ holdBody: { after: 0, gate } }]);
    const running = runs(at, await at.begin({ parallel: () => 1 }));
    await gate.reached;
    const reader = at.spool.read();
    const position = 18 * MiB + 5;
    expect(await reader?.waitFor(position, patient)).toBeGreaterThan(position);
    expect(at.at.ranges()).toEqual([ranges[0], `bytes=${position}-${size - 1}`]);
    await reader?.close();
    gate.open();
    await running;
    expect(at.upstream.bytesSent('blob')).toBe(size);
  });

  test('and a hundred more cost no more than twice the requests', async () => {
    const gate = new Gate();
    await using at = await scene([{ holdBody: { after: 0, gate } }]);
    at.at.last = { holdBody: { after: 0, gate } };
    const running = runs(at, await at.begin({ parallel: () => 1 }));
    await gate.reached;
    const readers = Array.from({ length: 100 }, () => at.spool.read());
    const waits = readers.map((reader, index) => reader?.waitFor(9 * MiB + index * 1000, patient));
    await vi.waitUntil(() => gate.arrivals === 2);
    gate.open();
    await Promise.all(waits);
    await running;
    await Promise.all(readers.map((reader) => reader?.close()));
    expect(at.upstream.bytesSent('blob')).toBe(size);
  });
});

describe('a transfer that fails', () => {
  test('ends its other parts first, and writes nothing more', async () => {
    const gate = new Gate();
    await using at = await scene([{}, { holdBody: { after: MiB, gate } }, { ...refusals.denied, holdHeaders: gate }]);
    const running = upstreamError((await at.begin()).run());
    await vi.waitUntil(() => gate.arrivals === 2 && at.spool.prefix === 9 * MiB);
    gate.open();
    expect((await running).failure).toBe('denied');
    const write = vi.spyOn(at.spool, 'write');
    await at.upstream.close();
    expect(write).not.toHaveBeenCalled();
  });

  test('because its bytes cannot be written tells why, and asks for nothing more', async () => {
    await using at = await scene();
    const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
    vi.spyOn(at.spool, 'write').mockRejectedValue(full);
    await expect((await at.begin({ parallel: () => 1 })).run()).rejects.toBe(full);
    expect(at.upstream.count()).toBe(1);
  });

  test('because it is ended while it waits to try again tells why it was ended', async () => {
    await using at = await scene();
    at.at.last = { hangUp: true };
    at.script.push({ truncateAfter: 100 });
    const ending = new AbortController();
    const reason = new Error('enough');
    const onResume = () => void setImmediate(() => ending.abort(reason));
    const transfer = await at.begin({ signal: ending.signal, parallel: () => 1, onResume });
    await expect(transfer.run()).rejects.toBe(reason);
    expect(at.upstream.count()).toBe(1);
  });

  test('because it is ended while only the proof of what was left is out tells why, at once', async () => {
    await using at = await scene();
    Object.assign(at.spool, { claimed: 8 * MiB, recovered: new Promise(() => {}) });
    const ending = new AbortController();
    const transfer = await at.begin({ signal: ending.signal }, { start: 8 * MiB, end: 16 * MiB });
    const running = transfer.run();
    running.catch(() => {}); // awaited below
    await vi.waitUntil(() => bytesOf(at.spool) === 12 * MiB);
    const reason = new Error('enough');
    ending.abort(reason);
    await expect(running).rejects.toBe(reason);
  });
});
