// Who may have how many of the places for transfers, and who makes place when all are taken.
import { describe, expect, test, vi } from 'vitest';
import type { BlobAnswer } from '../../src/mirror/blobs.ts';
import { unlisted } from '../../src/upstream/upstream.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import type { ServedContent } from '../support/served-content.ts';
import {
  altered,
  digestFor,
  patient,
  readAll,
  type StartedMirror,
  type StartMirrorOptions,
  startMirror,
} from './start-mirror.ts';

const path = 'acme/app';
const size = 200_000;
const heldAt = 100_000;

interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  readonly gate: Gate;
  /** Not awaited: the first byte comes when there is a place. */
  ask(registry: string, blob: ServedContent, signal?: AbortSignal): Promise<BlobAnswer | undefined>;
  /** Asks for so many new blobs, each of which stops half-way. */
  hold(
    registry: string,
    count: number,
  ): Promise<readonly { blob: ServedContent; answer: Promise<BlobAnswer | undefined> }[]>;
  blob(): Promise<ServedContent>;
  hasPlace(blob: ServedContent): boolean | undefined;
  /** Until that many have arrived half-way. */
  arrived(count: number): Promise<void>;
}

/** Several registries of one kind; those that end in `.example` nobody has named. */
async function scene(options: Partial<StartMirrorOptions> = {}): Promise<Scene> {
  const upstream = await startFakeUpstream();
  const names = ['docker.io', 'ghcr.io', 'one.example', 'two.example'];
  const mirror = await startMirror({
    upstreams: Object.fromEntries(names.map((name) => [name, upstream])),
    wrap: (real) => (real.name.endsWith('.example') ? altered(real, { label: unlisted }) : real),
    ...options,
  });
  const gate = new Gate();
  const open = new Set<() => Promise<void>>();
  let seed = 0;
  const ask: Scene['ask'] = (registry, blob, signal = patient) => {
    const answer = mirror.mirror.openBlob(mirror.source(`${registry}/${path}`), digestFor(blob), signal);
    const kept = answer.then((found) => {
      if (!found) return found;
      const close = found.content.close.bind(found.content);
      found.content.close = () => (open.delete(close) ? close() : Promise.resolve());
      open.add(close);
      return found;
    });
    kept.catch(() => {}); // some are never waited for
    return kept;
  };
  const blob: Scene['blob'] = () => upstream.addGeneratedBlob(path, { size, seed: ++seed });
  return {
    ...{ upstream, mirror, gate, ask, blob },
    hold: async (registry, count) => {
      const held = [];
      for (let index = 0; index < count; index++) {
        const one = await blob();
        upstream.faults.add({ path: one.digest, times: 1 }, { holdBody: { after: heldAt, gate } });
        held.push({ blob: one, answer: ask(registry, one) });
      }
      return held;
    },
    hasPlace: (one) => mirror.fills.find(digestFor(one))?.hasSlot,
    arrived: async (count) => {
      await vi.waitUntil(() => gate.arrivals === count);
    },
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      for (const close of open) await close();
      gate.open();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

async function readWhole(answer: Promise<BlobAnswer | undefined>): Promise<number> {
  const content = (await answer)?.content;
  return content ? (await readAll(content)).length : 0;
}

describe('an upstream', () => {
  test('has no more places than it has connections for transfers, and leaves the others to others', async () => {
    await using at = await scene({ connections: 4 });
    const held = await at.hold('docker.io', 5);
    expect(held.map(({ blob }) => at.hasPlace(blob))).toEqual([true, true, true, false, false]);
    expect(await readWhole(at.ask('ghcr.io', await at.blob()))).toBe(size);
    await at.arrived(3);
    at.gate.open();
    for (const { answer } of held) expect(await readWhole(answer)).toBe(size);
  });
});

describe('all registries that nobody named', () => {
  test('have a quarter of the places together', async () => {
    await using at = await scene({ maxFills: 8 });
    const held = [...(await at.hold('one.example', 2)), ...(await at.hold('two.example', 2))];
    expect(held.map(({ blob }) => at.hasPlace(blob))).toEqual([true, true, false, false]);
    const [blob, other] = [await at.blob(), await at.blob()];
    expect(await readWhole(at.ask('docker.io', blob))).toBe(size);
    at.gate.open();
    for (const { answer } of held) expect(await readWhole(answer)).toBe(size);
    expect(await readWhole(at.ask('one.example', other))).toBe(size);
  });

  test('have one even when there are hardly any', async () => {
    await using at = await scene({ maxFills: 1 });
    expect(await readWhole(at.ask('one.example', await at.blob()))).toBe(size);
  });

  test('make place for one another only where they fill their own', async () => {
    await using at = await scene({ maxFills: 8 });
    const held = await at.hold('one.example', 2);
    const named = await at.hold('docker.io', 1);
    await at.arrived(3);
    for (const { answer } of [...named, ...held]) await (await answer)?.content.close();
    expect(await readWhole(at.ask('two.example', await at.blob()))).toBe(size);
    expect(named.map(({ blob }) => at.hasPlace(blob))).toEqual([true]);
    expect(held.map(({ blob }) => at.hasPlace(blob))).toEqual([true, undefined]);
  });
});

describe('a transfer that nobody reads any more', () => {
  test('makes place for one that somebody waits for, the latest first, and its bytes stay', async () => {
    await using at = await scene({ maxFills: 3 });
    const held = await at.hold('docker.io', 3);
    const [first, second, third] = held.map(({ blob }) => blob) as [ServedContent, ServedContent, ServedContent];
    await at.arrived(3);
    for (const { answer } of held.slice(0, 2)) await (await answer)?.content.close();
    const spool = await at.mirror.fills.find(digestFor(second))?.opened;
    await vi.waitUntil(() => spool?.prefix === heldAt);
    expect(await readWhole(at.ask('docker.io', await at.blob()))).toBe(size);
    expect([first, second, third].map((blob) => at.hasPlace(blob))).toEqual([true, undefined, true]);
    expect(at.mirror.logLines.filter(({ level }) => Number(level) > 30)).toEqual([]);
    expect(await readWhole(at.ask('docker.io', second))).toBe(size);
    const ranges = at.upstream.server.find({ path: second.digest }).map(({ headers }) => headers.range);
    expect(ranges.at(-1)).toBe(`bytes=${heldAt}-${size - 1}`);
  });

  test('makes place for one that has been waiting when its last reader leaves', async () => {
    await using at = await scene({ maxFills: 1 });
    const [held] = await at.hold('docker.io', 1);
    await at.arrived(1);
    const waiting = at.ask('docker.io', await at.blob());
    const content = (await held?.answer)?.content;
    const other = (await at.ask('docker.io', held?.blob as ServedContent))?.content;
    await content?.close();
    expect(at.hasPlace(held?.blob as ServedContent)).toBe(true);
    await other?.close();
    expect(await readWhole(waiting)).toBe(size);
  });

  test('makes no place while somebody waits for its first byte', async () => {
    await using at = await scene({ maxFills: 1 });
    const blob = await at.blob();
    const heads = new Gate();
    at.upstream.faults.add({ path: blob.digest }, { holdHeaders: heads });
    const first = at.ask('docker.io', blob);
    await heads.reached;
    const second = at.ask('docker.io', await at.blob());
    expect(at.hasPlace(blob)).toBe(true);
    heads.open();
    expect([await readWhole(first), await readWhole(second)]).toEqual([size, size]);
  });

  test('is one for one that waits', async () => {
    await using at = await scene({ maxFills: 3 });
    const held = await at.hold('docker.io', 3);
    await at.arrived(3);
    const waiting = at.ask('docker.io', await at.blob());
    for (const { answer } of held) await (await answer)?.content.close();
    expect(held.filter(({ blob }) => at.hasPlace(blob) === undefined)).toHaveLength(1);
    expect(await readWhole(waiting)).toBe(size);
  });

  test('that has no place yet waits behind those that are read', async () => {
    await using at = await scene({ maxFills: 1 });
    const [held] = await at.hold('docker.io', 1);
    await at.arrived(1);
    const [left, waiting] = [await at.blob(), await at.blob()];
    const leaving = new AbortController();
    const leavers = at.ask('docker.io', left, leaving.signal);
    const answer = at.ask('docker.io', waiting);
    leaving.abort(new Error('gone'));
    await expect(leavers).rejects.toThrow('gone');
    await (await held?.answer)?.content.close();
    expect(await readWhole(answer)).toBe(size);
    await vi.waitUntil(() => at.mirror.records.blob(digestFor(left))?.proven);
    expect(at.upstream.requests.map(({ path: of }) => of.split('/').at(-1))).toEqual(
      [held?.blob, waiting, left].map((blob) => blob?.digest),
    );
  });
});
