// A prefetch that nobody waits for: clients go first, and an upstream that has little left to give is left to them.
import { describe, expect, test, vi } from 'vitest';
import { clientsServed, objectionTo } from '../../../src/jobs/prefetch/patience.ts';
import { digestOf } from '../../../src/oci/digest.ts';
import type { EndpointStatus, LimitStatus, Upstream } from '../../../src/upstream/upstream.ts';
import { altered, digestFor, patient, readAll } from '../../mirror/start-mirror.ts';
import { Gate } from '../../support/gate.ts';
import { addMultiPlatform, amd64, name, type PrefetchScene, prefetchScene } from './prefetch-scene.ts';

const patiently = { platforms: [amd64], isPatient: true };
/** However busy the machine is. */
const soon = { timeout: 10_000 };

describe('while a client waits for a place', () => {
  /** Another image's layer holds the only place, and a client waits for the one after it. */
  async function crowded() {
    const turns = { next: Promise.withResolvers<void>(), count: 0 };
    const wait = async () => {
      turns.count++;
      await turns.next.promise;
    };
    const at = await prefetchScene({ maxFills: 1, parts: { wait } });
    const [first, second] = ['library/one', 'library/two'].map((image) => at.upstream.addImage(image).layers[0]);
    const image = at.upstream.addImage(name);
    const gate = new Gate();
    at.upstream.faults.add({ path: first?.digest ?? '' }, { holdBody: { after: 3, gate } });
    const open = (image: string, blob: typeof first) =>
      at.mirror.mirror.openBlob(at.mirror.source(image), digestFor(blob as never), patient);
    const reading = await open('library/one', first);
    await gate.reached;
    const waiting = open('library/two', second);
    const finish = async () => {
      gate.open();
      for (const answer of [reading, await waiting]) await readAll(answer?.content as never);
      turns.next.resolve();
    };
    return { at, turns, image, finish };
  }

  test('a patient one begins nothing, and goes on when the client has it', async () => {
    const { at, turns, image, finish } = await crowded();
    await using _ = at;
    at.upstream.server.forget();
    const running = at.run(['app'], patiently);
    await vi.waitUntil(() => turns.count === 1, soon);
    expect(at.asked()).toEqual([]);
    expect(at.prefetcher.status()).toMatchObject([{ isScheduled: true, done: 0 }]);
    await finish();
    expect(await running).toMatchObject({ images: 1, failed: 0 });
    expect(at.isHere(image.config, ...image.layers)).toBe(true);
  });

  test('a patient one that is in the middle of an image stops there', async () => {
    const turns = { next: Promise.withResolvers<void>(), count: 0 };
    const wait = async () => {
      turns.count++;
      await turns.next.promise;
    };
    let isCrowded = false;
    const digest = digestOf(Buffer.from('a blob that a client waits for'));
    const fills = {
      status: () => (isCrowded ? [{ digest, readers: 1 }] : []),
      find: () => ({ hasSlot: false }),
    };
    await using at = await prefetchScene({ parts: { fills, wait } });
    const { config, layers } = at.upstream.addImage(name);
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'manifest', method: 'GET' }, { holdHeaders: gate });
    const running = at.run(['app'], patiently);
    await gate.reached;
    isCrowded = true;
    gate.open();
    await vi.waitUntil(() => turns.count === 1, soon);
    expect(at.upstream.count({ kind: 'blob' })).toBe(0);
    isCrowded = false;
    turns.next.resolve();
    expect(await running).toMatchObject({ images: 1, failed: 0 });
    expect(at.isHere(config, ...layers)).toBe(true);
  });

  test.each([
    ['has its place', 1, true],
    ['is waited for by nobody', 0, false],
  ])('a fill that %s keeps nothing from beginning', async (_what, readers, hasSlot) => {
    const fills = { status: () => [{ digest: digestOf(Buffer.from('a blob')), readers }], find: () => ({ hasSlot }) };
    const wait = () => Promise.reject(new Error('it waits'));
    await clientsServed(fills, patient, wait);
  });

  test('one that somebody waits for asks what it has to bring, and brings it behind the client', async () => {
    const { at, turns, image, finish } = await crowded();
    await using _ = at;
    const running = at.run(['app'], { platforms: [amd64] });
    const isBegun = () => at.mirror.fills.find(digestFor(image.config)) !== undefined;
    await vi.waitUntil(isBegun, soon);
    expect(at.upstream.count({ kind: 'blob', path: name })).toBe(0);
    await finish();
    expect(await running).toMatchObject({ images: 1, failed: 0 });
    const asked = at.upstream.server.find({ kind: 'blob' }).map(({ path }) => path.split('/')[3]);
    expect(asked).toEqual(['one', 'two', 'app', 'app']);
    expect(turns.count).toBe(0);
  });

  test('it can be ended', async () => {
    const { at, finish } = await crowded();
    await using _ = at;
    const leaving = new AbortController();
    const wait = async (_ms: number, signal: AbortSignal) => {
      leaving.abort();
      signal.throwIfAborted();
    };
    await expect(clientsServed(at.mirror.fills, leaving.signal, wait)).rejects.toThrow();
    await finish();
  });
});

describe('an upstream with few pulls left', () => {
  const left = (remaining: number) => ({
    headers: { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': `${remaining};w=21600` },
  });

  test('is left to clients by a patient prefetch, which says why, and not by one that somebody waits for', async () => {
    await using at = await prefetchScene();
    for (const image of ['library/app', 'library/other']) at.upstream.addImage(image);
    at.upstream.faults.add({ kind: 'manifest' }, left(24));
    await at.run(['app'], { platforms: [amd64] });
    at.events.length = 0;
    at.asked();
    expect(await at.run(['other'], patiently)).toEqual({ images: 1, failed: 0, bytes: 0 });
    expect(at.imageEvents()).toEqual([
      {
        type: 'image',
        image: 'docker.io/library/other:latest',
        state: 'skipped',
        error: 'upstream docker.io has 24 of 100 pulls left: the last quarter is for clients',
      },
    ]);
    expect(at.asked()).toEqual([]);
    const { values } = await at.mirror.metrics.prefetchImages.get();
    expect(values.find(({ labels }) => labels.result === 'skipped')?.value).toBe(1);
    expect(await at.run(['other'], { platforms: [amd64] })).toMatchObject({ failed: 0 });
  });

  const many = Array.from({ length: 16 }, (_, number) => `linux/made-up${number}`);
  const gets = (at: PrefetchScene) => at.upstream.count({ kind: 'manifest', method: 'GET' });

  test('is asked for no more manifests of an image by a patient prefetch, which keeps what came', async () => {
    await using at = await prefetchScene();
    const { index, of } = addMultiPlatform(at.upstream, 'latest', many);
    at.upstream.faults.add({ kind: 'manifest', path: index.content.digest }, left(30));
    const second = of('linux/made-up1').manifest.content;
    at.upstream.faults.add({ kind: 'manifest', path: second.digest }, left(24));
    const summary = await at.run(['app'], { ...patiently, platforms: 'all' });
    expect(gets(at)).toBe(3);
    expect(at.imageEvents().at(-1)).toEqual({
      type: 'image',
      image: 'docker.io/library/app:latest',
      state: 'skipped',
      digest: index.content.digest,
      error: 'upstream docker.io has 24 of 100 pulls left: the last quarter is for clients',
      platforms: [],
      bytes: index.content.size + of('linux/made-up0').manifest.content.size + second.size,
    });
    expect(summary).toMatchObject({ images: 1, failed: 0 });
    expect(at.isHere(index.content, of('linux/made-up0').manifest.content, second)).toBe(true);
    const { values } = await at.mirror.metrics.prefetchImages.get();
    expect(values.filter(({ value }) => value > 0).map(({ labels }) => labels.result)).toEqual(['skipped']);
  });

  test('keeps a patient prefetch from nothing that is here of an image', async () => {
    await using at = await prefetchScene();
    const { index } = addMultiPlatform(at.upstream);
    await at.run(['app'], { platforms: 'all' });
    at.mirror.records.deleteBlob(digestFor(index.content));
    await at.mirror.store.remove(digestFor(index.content));
    at.upstream.server.forget();
    at.upstream.faults.add({ kind: 'manifest' }, left(3));
    await at.run(['app'], { ...patiently, platforms: 'all' });
    expect(gets(at)).toBe(1);
    expect(at.imageEvents().at(-1)).toMatchObject({ state: 'done', bytes: index.content.size });
  });

  test('gives an image whole to one that somebody waits for', async () => {
    await using at = await prefetchScene();
    addMultiPlatform(at.upstream, 'latest', many);
    at.upstream.faults.add({ kind: 'manifest' }, left(3));
    expect(await at.run(['app'], { platforms: 'all' })).toMatchObject({ failed: 0 });
    expect(gets(at)).toBe(18);
  });

  test('is asked while a quarter is left', async () => {
    await using at = await prefetchScene();
    for (const image of ['library/app', 'library/other']) at.upstream.addImage(image);
    at.upstream.faults.add({ kind: 'manifest' }, left(25));
    await at.run(['app'], patiently);
    await at.run(['other'], patiently);
    expect(at.imageEvents().map(({ state }) => state)).toEqual(['started', 'done', 'started', 'done']);
  });

  test('is no reason to leave another one alone', async () => {
    await using at = await prefetchScene();
    at.upstream.addImage('library/app');
    at.upstream.addImage('acme/app');
    at.upstream.faults.add({ kind: 'manifest', path: 'library' }, left(1));
    await at.run(['app'], { platforms: [amd64] });
    await at.run(['app', 'ghcr.io/acme/app'], patiently);
    expect(at.imageEvents().map(({ state }) => state)).toContain('skipped');
    expect(at.imageEvents().at(-1)).toMatchObject({ image: 'ghcr.io/acme/app:latest', state: 'done' });
  });
});

test('an upstream that rests after its failures is left alone by a patient prefetch', async () => {
  await using at = await prefetchScene({ wrap: (upstream) => altered(upstream, { mayAsk: () => false }) });
  at.upstream.addImage(name);
  await at.run(['app'], patiently);
  expect(at.imageEvents()).toMatchObject([{ state: 'skipped', error: 'upstream docker.io may not be asked now' }]);
});

describe('what is objected to an upstream', () => {
  const limits = (...given: Partial<LimitStatus>[]): LimitStatus[] =>
    given.map((limit) => ({
      credential: 'anonymous',
      limit: undefined,
      remaining: undefined,
      windowSeconds: undefined,
      retryInMs: undefined,
      problem: undefined,
      ...limit,
    }));
  const endpoint = (of: LimitStatus[], problem?: string): EndpointStatus => ({
    endpoint: 'https://registry.example',
    isCircuitOpen: problem !== undefined,
    retryInMs: undefined,
    problem,
    limits: of,
  });
  const objection = (endpoints: EndpointStatus[], mayAsk = true) =>
    objectionTo({
      name: 'here',
      mayAsk: () => mayAsk,
      status: () => ({ name: 'here', endpoints }),
    } as unknown as Upstream);

  const low = { limit: 100, remaining: 3 };
  test.each([
    ['nothing is known', limits({})],
    ['one login has enough', limits(low, { limit: 100, remaining: 60 })],
    ['one login has no limit', limits(low, {})],
    ['the limit is not told', limits({ remaining: 3 })],
  ])('is nothing where %s', (_what, of) => {
    expect(objection([endpoint(of)])).toBeUndefined();
  });

  test('counts what all logins have left together', () => {
    expect(objection([endpoint(limits(low, { limit: 200, remaining: 10 }))])).toContain('has 13 of 300 pulls left');
  });

  test('leaves out logins that are refused', () => {
    expect(objection([endpoint(limits(low, { problem: 'wrong password' }))])).toContain('has 3 of 100 pulls left');
    expect(objection([endpoint(limits({ problem: 'wrong password' }))])).toBeUndefined();
  });

  test('goes by the registry itself, whatever mirrors stand before it and servers of tokens behind', () => {
    const [full, empty] = [endpoint(limits({ limit: 100, remaining: 90 })), endpoint(limits(low))];
    const tokens = endpoint([]);
    expect(objection([full, empty, tokens])).toContain('has 3 of 100');
    expect(objection([empty, full, tokens])).toBeUndefined();
  });

  test('is what keeps it from being asked', () => {
    expect(objection([endpoint([]), endpoint([], 'connection refused')], false)).toBe(
      'upstream here may not be asked now: connection refused',
    );
  });
});
