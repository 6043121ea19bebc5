// One digest, several registries: none waits for what another one sends, least of all for one that nobody named.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { unlisted } from '../../src/upstream/upstream.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import type { ServedContent } from '../support/served-content.ts';
import { altered, digestFor, filled, patient, readAll, type StartedMirror, startMirror } from './start-mirror.ts';

const path = 'acme/app';
const [hub, other, unnamed, unnamed2] = ['docker.io', 'ghcr.io', 'evil.example', 'worse.example'] as const;
const size = 300_000;
const heldAt = 100_000;

let upstreams: Record<string, FakeUpstream>;
let mirror: StartedMirror;
let blob: ServedContent;
let bytes: Buffer;
/** Where a transfer is held, by registry. */
let gate: Gate;

beforeEach(async () => {
  upstreams = {};
  for (const name of [hub, other, unnamed, unnamed2]) upstreams[name] = await startFakeUpstream();
  for (const upstream of Object.values(upstreams)) blob = await upstream.addGeneratedBlob(path, { size, seed: 1 });
  bytes = Buffer.concat([...blob.read(0, size)]);
  gate = new Gate();
  mirror = await startMirror({
    upstreams,
    negativeTtlMs: 60_000,
    wrap: (upstream) => (upstream.name.endsWith('.example') ? altered(upstream, { label: unlisted }) : upstream),
  });
});

afterEach(async () => {
  gate.open();
  await mirror[Symbol.asyncDispose]();
  for (const upstream of Object.values(upstreams)) await upstream[Symbol.asyncDispose]();
});

const at = (registry: string): FakeUpstream => upstreams[registry] as FakeUpstream;
const source = (registry: string) => mirror.source(`${registry}/${path}`);
const open = (registry: string) => mirror.mirror.openBlob(source(registry), digestFor(blob), patient);
const registryOfFill = () => mirror.fills.find(digestFor(blob))?.source.repository.registry;

async function read(registry: string): Promise<Buffer | undefined> {
  const answer = await open(registry);
  return answer && (await readAll(answer.content));
}

/** Somebody reads it by way of this registry, which stops half-way. */
async function holding(registry: string) {
  at(registry).faults.add({ kind: 'blob', times: 1 }, { holdBody: { after: heldAt, gate } });
  const answer = await open(registry);
  if (!answer) throw new Error('there is no such blob');
  const spool = await mirror.fills.find(digestFor(blob))?.opened;
  await vi.waitUntil(() => spool?.prefix === heldAt);
  return answer;
}

describe('while a registry that nobody named stands still with a blob', () => {
  test('one that is named has it from its own upstream, for all, and stores it', async () => {
    const held = await holding(unnamed);
    const answers = await Promise.all([open(hub), open(hub), open(hub)]);
    for (const answer of answers) expect(answer && (await readAll(answer.content)).equals(bytes)).toBe(true);
    await filled(mirror, digestFor(blob));
    expect(mirror.records.blob(digestFor(blob))?.proven).toBe(true);
    expect(at(hub).server.bytesSent({ kind: 'blob' })).toBeLessThan(size + 10);
    await held.content.close();
  });

  test('who reads it there goes on, past the disk', async () => {
    const held = await holding(unnamed);
    expect((await read(hub))?.equals(bytes)).toBe(true);
    expect((await readAll(held.content)).equals(bytes)).toBe(true);
    expect(mirror.logLines.filter(({ level }) => Number(level) > 30)).toEqual([]);
  });

  test('who waits there for its first byte has it, past the disk', async () => {
    const heads = new Gate();
    at(unnamed).faults.add({ kind: 'blob', times: 1 }, { holdHeaders: heads });
    const waiting = read(unnamed);
    await heads.reached;
    expect((await read(hub))?.equals(bytes)).toBe(true);
    expect((await waiting)?.equals(bytes)).toBe(true);
    heads.open();
  });

  test('another one that nobody named streams it past, and leaves that alone', async () => {
    const held = await holding(unnamed);
    expect((await read(unnamed2))?.equals(bytes)).toBe(true);
    expect(registryOfFill()).toBe(unnamed);
    gate.open();
    expect((await readAll(held.content)).equals(bytes)).toBe(true);
    expect(at(unnamed).count({ kind: 'blob' })).toBe(1);
  });

  test('one that does not have it changes nothing', async () => {
    at(hub).repository(path).blobs.clear();
    const held = await holding(unnamed);
    expect(await open(hub)).toBeUndefined();
    expect(registryOfFill()).toBe(unnamed);
    await held.content.close();
  });

  test('HEAD is told what its own upstream says', async () => {
    const held = await holding(unnamed);
    const stat = (registry: string) => mirror.mirror.statBlob(source(registry), digestFor(blob), patient);
    expect(await stat(hub)).toEqual({ size, outcome: 'miss' });
    expect(await stat(unnamed)).toEqual({ size, outcome: 'joined' });
    expect(await stat(hub)).toEqual({ size, outcome: 'miss' });
    await held.content.close();
  });
});

describe('while a registry that is named stands still with a blob', () => {
  test.each([other, unnamed])('%s streams it past, once its upstream has proven it', async (registry) => {
    const held = await holding(hub);
    expect((await read(registry))?.equals(bytes)).toBe(true);
    expect(at(registry).server.find({ kind: 'blob' })[0]?.headers.range).toBe('bytes=0-0');
    expect(registryOfFill()).toBe(hub);
    gate.open();
    expect((await readAll(held.content)).equals(bytes)).toBe(true);
    expect(at(hub).count({ kind: 'blob' })).toBe(1);
  });

  test('and does not have it by another upstream, nobody asks that one again', async () => {
    at(other).repository(path).blobs.clear();
    const held = await holding(hub);
    expect([await open(other), await open(other)]).toEqual([undefined, undefined]);
    expect(at(other).count({ kind: 'blob' })).toBe(1);
    await held.content.close();
  });

  test('another one goes on with it when nobody reads it any more', async () => {
    await (await holding(hub)).content.close();
    expect((await read(other))?.equals(bytes)).toBe(true);
    await filled(mirror, digestFor(blob));
    expect(mirror.records.blob(digestFor(blob))?.proven).toBe(true);
    const ranges = at(other)
      .server.find({ kind: 'blob' })
      .map(({ headers }) => headers.range);
    expect(ranges).toEqual(['bytes=0-0', `bytes=${heldAt}-${size - 1}`]);
  });

  test('one that nobody named does not, and streams it past', async () => {
    await (await holding(hub)).content.close();
    expect((await read(unnamed))?.equals(bytes)).toBe(true);
    expect(registryOfFill()).toBe(hub);
  });
});

describe('bytes that a registry which nobody named left behind', () => {
  async function left(registry: string) {
    const wrong = at(registry).faults.add({ kind: 'blob' }, { flipByteAt: 7 });
    await (await holding(registry)).content.close();
    const fill = mirror.fills.find(digestFor(blob));
    fill?.yield();
    await fill?.ended;
    wrong.remove();
    at(registry).server.forget();
  }

  test('are nothing that another one goes on with: they may be wrong', async () => {
    await left(unnamed);
    expect((await read(hub))?.equals(bytes)).toBe(true);
    expect(await filled(mirror, digestFor(blob))).toBeUndefined();
    expect(at(hub).server.bytesSent({ kind: 'blob' })).toBe(size);
  });

  test('are gone on with by itself', async () => {
    await left(unnamed);
    const answer = await open(unnamed);
    expect(at(unnamed).server.find({ kind: 'blob' })[0]?.headers.range).toBe(`bytes=${heldAt}-${size - 1}`);
    await answer?.content.close();
  });
});
