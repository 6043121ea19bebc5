// Several addresses of one upstream: asked in order, each by its own health, and only the registry's own "no" counts.
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { SilentServer } from '../support/silent-server.ts';
import { latest, openEndpoints, path } from './endpoints-scene.ts';
import { never, textOf, upstreamError } from './upstream-scene.ts';

const { denied, notFound, pullLimit, serverError, unauthorized, unavailable, html } = refusals;

describe('an upstream of several endpoints', () => {
  test('asks the first one, as long as it answers', async () => {
    await using at = await openEndpoints({ count: 3 });
    const { digest } = at.image;
    expect((await at.upstream.resolve(path, latest, never))?.descriptor.digest).toBe(digest);
    expect((await at.upstream.fetchManifest(path, latest, never))?.descriptor.digest).toBe(digest);
    expect(await textOf((await at.upstream.fetchBlob(path, at.blob, never))?.body)).toBe('0123456789');
    expect(await at.upstream.proveBlob(path, at.blob, never)).toBe(10);
    expect((await at.upstream.listTags(path, { n: 5 }, never))?.tags).toEqual(['latest']);
    expect(await at.upstream.fetchReferrers(path, digest as Digest, never)).toBeDefined();
    expect(at.asked()).toEqual([6, 0, 0]);
  });

  test.each<[string, FaultEffect]>([
    ['404', notFound],
    ['401', unauthorized],
    ['403', denied],
    ['429', pullLimit],
    ['500', serverError],
    ['503', unavailable],
    ['a web page', html],
    ['another manifest than it says', { dockerContentDigest: digestOf(Buffer.from('another')) }],
    ['nothing', { hangUp: true }],
  ])('asks the next when one answers %s', async (_, effect) => {
    await using at = await openEndpoints({ count: 3 });
    for (const server of at.servers.slice(0, 2)) server.faults.add({}, effect);
    expect((await at.upstream.fetchManifest(path, latest, never))?.descriptor.digest).toBe(at.image.digest);
    expect(at.asked()).toEqual([1, 1, 1]);
  });

  test('believes only the registry itself that there is no such thing', async () => {
    await using at = await openEndpoints();
    expect(await at.upstream.resolve(path, { tag: 'other' }, never)).toBeUndefined();
    expect(at.asked()).toEqual([1, 1]);
  });

  test.each<[string, FaultEffect, string]>([
    ['403', denied, 'denied'],
    ['401', unauthorized, 'unauthorized'],
  ])('takes a %s of the registry itself for its word', async (_, effect, failure) => {
    await using at = await openEndpoints();
    at.servers[0]?.faults.add({}, unavailable);
    at.registry.faults.add({}, effect);
    const error = await upstreamError(at.upstream.fetchManifest(path, latest, never));
    expect(error.failure).toBe(failure);
    expect(at.asked()).toEqual([1, 1]);
  });

  test('proves nothing by the others while the registry itself cannot be asked', async () => {
    await using at = await openEndpoints();
    at.servers[0]?.faults.add({}, notFound);
    await at.registry.close();
    expect((await upstreamError(at.upstream.resolve(path, latest, never))).failure).toBe('unreachable');
  });

  test('asks those that broke once more, and nobody else', async () => {
    await using at = await openEndpoints();
    at.servers[0]?.faults.add({}, notFound);
    at.registry.faults.add({ times: 1 }, { hangUp: true });
    expect(await at.upstream.fetchManifest(path, latest, never)).toBeDefined();
    expect(at.asked()).toEqual([1, 2]);
    at.registry.faults.add({}, unavailable);
    expect((await upstreamError(at.upstream.fetchManifest(path, latest, never))).failure).toBe('failing');
    expect(at.asked()).toEqual([1, 2]);
  });

  test('tells of the registry’s failure, not of the others’', async () => {
    await using at = await openEndpoints();
    await at.servers[0]?.close();
    at.registry.faults.add({}, pullLimit);
    const error = await upstreamError(at.upstream.fetchManifest(path, latest, never));
    expect(error).toMatchObject({ failure: 'limited', message: expect.stringContaining('TOOMANYREQUESTS') });
  });
});

describe('an endpoint that hangs', () => {
  test('leaves time for the next one, and is not waited for again', async () => {
    await using silent = await SilentServer.start();
    await using at = await openEndpoints({ count: 1 });
    const endpoints = [new URL(silent.url), new URL(at.registry.url)];
    await using both = await openEndpoints({ count: 0, endpoints, answerTimeoutMs: 2000 });
    const startedAt = performance.now();
    expect(await both.upstream.resolve(path, latest, AbortSignal.timeout(2000))).toBeDefined();
    expect(performance.now() - startedAt).toBeGreaterThan(900);
    const [first] = both.upstream.status().endpoints;
    expect(first).toMatchObject({ isCircuitOpen: true, problem: expect.stringContaining('did not answer in time') });
    const knownConnections = silent.connections;
    for (let index = 0; index < 20; index++) await both.upstream.resolve(path, latest, never);
    expect(silent.connections).toBe(knownConnections);
    expect(both.upstream.mayAsk('manifest')).toBe(true);
  });

  test('and is the only one makes everybody behind the first be told at once', async () => {
    await using silent = await SilentServer.start();
    const endpoints = [new URL(silent.url)];
    await using at = await openEndpoints({ count: 0, endpoints, answerTimeoutMs: 300 });
    const asking = Array.from({ length: 50 }, (_, index) => at.upstream.resolve(path, { tag: `v${index}` }, never));
    const failures = await Promise.all(asking.map(async (one) => (await upstreamError(one)).failure));
    expect(new Set(failures)).toEqual(new Set(['timeout', 'away']));
    const knownConnections = silent.connections;
    const error = await upstreamError(at.upstream.fetchBlob(path, digestOf(Buffer.from('')), never));
    expect(silent.connections).toBe(knownConnections);
    expect(error.failure).toBe('away');
    expect(error.message).toContain('rests');
    expect(error.retryAfterMs).toBeGreaterThan(3000);
    expect(error.retryAfterMs).toBeLessThanOrEqual(5000);
    expect([at.upstream.mayAsk('manifest'), at.upstream.mayAsk('blob')]).toEqual([false, false]);
  });

  test('for one thing only gives all others, and is not asked for that one again at once', async () => {
    await using at = await openEndpoints({ count: 1, answerTimeoutMs: 300 });
    await at.upstream.resolve(path, latest, never);
    const gate = new Gate();
    at.registry.faults.add({ path: 'library/slow' }, { holdHeaders: gate });
    expect((await upstreamError(at.upstream.resolve('library/slow', latest, never))).failure).toBe('timeout');
    at.asked();
    // What a docker daemon does next.
    const error = await upstreamError(at.upstream.fetchManifest('library/slow', latest, never));
    expect(error).toMatchObject({ failure: 'away', message: expect.stringContaining('did not answer in time') });
    expect(error.retryAfterMs).toBeGreaterThan(3000);
    expect(at.asked()).toEqual([0]);
    expect(await at.upstream.resolve(path, latest, never)).toBeDefined();
    const { lastAnswerAt } = at.upstream;
    await upstreamError(at.upstream.resolve('library/slow', latest, never));
    expect(at.upstream.lastAnswerAt).toBe(lastAnswerAt);
    expect(at.upstream.mayAsk('manifest')).toBe(true);
    gate.open();
  });

  test('is not blamed on by who left before its time', async () => {
    await using at = await openEndpoints({ count: 1, answerTimeoutMs: 5000 });
    const gate = new Gate();
    at.registry.faults.add({ kind: 'manifest' }, { holdHeaders: gate });
    for (const signal of [AbortSignal.timeout(50), AbortSignal.abort(new Error('gone'))])
      await expect(at.upstream.resolve(path, latest, signal)).rejects.toThrow();
    const controller = new AbortController();
    const asking = at.upstream.resolve(path, latest, controller.signal);
    await gate.reached;
    const reason = new Error('the client left');
    controller.abort(reason);
    await expect(asking).rejects.toBe(reason);
    gate.open();
    expect(at.upstream.status().endpoints[0]?.isCircuitOpen).toBe(false);
    expect(await at.upstream.resolve(path, latest, never)).toBeDefined();
  });

  test('only because we ask too much at once is not thought to be away', async () => {
    await using at = await openEndpoints({ count: 1, connections: 4, answerTimeoutMs: 100, idleTimeoutMs: 10_000 });
    const gate = new Gate();
    at.registry.faults.add({ kind: 'blob' }, { holdBody: { after: 5, gate } });
    const bodies = await Promise.all([1, 2, 3].map(() => at.upstream.fetchBlob(path, at.blob, never)));
    const reading = bodies.map((transfer) => textOf(transfer?.body));
    const waiting = at.upstream.fetchBlob(path, at.blob, never);
    // All connections for bodies are taken for longer than any answer may take.
    await expect(at.upstream.fetchBlob(path, at.blob, AbortSignal.timeout(250))).rejects.toThrow('timeout');
    expect(at.upstream.status().endpoints[0]?.isCircuitOpen).toBe(false);
    gate.open();
    expect(await Promise.all(reading)).toEqual(Array(3).fill('0123456789'));
    expect(await textOf((await waiting)?.body)).toBe('0123456789');
  });
});

describe('a circuit', () => {
  test('opens when nothing can be had, shows in the metrics, and closes with the first answer', async () => {
    await using at = await openEndpoints({ count: 1 });
    at.metrics.watchUpstreams(() => [at.upstream.status()]);
    await at.registry.close();
    for (let index = 0; index < 3; index++) await upstreamError(at.upstream.resolve(path, latest, never));
    const shown = async () =>
      (await at.metrics.circuitOpen.get()).values.find(({ labels }) => labels.endpoint === at.registry.url);
    expect(await shown()).toMatchObject({ value: 1, labels: { upstream: 'registry.test', endpoint: at.registry.url } });
    await at.registry.reopen();
    expect((await upstreamError(at.upstream.resolve(path, latest, never))).failure).toBe('away');
    expect(at.asked()).toEqual([0]);
  });

  test('stays closed while one thing only is broken', async () => {
    await using at = await openEndpoints({ count: 1 });
    at.registry.faults.add({ kind: 'blob' }, serverError);
    for (let index = 0; index < 5; index++) await upstreamError(at.upstream.fetchBlob(path, at.blob, never));
    expect(await at.upstream.resolve(path, latest, never)).toBeDefined();
  });

  test('stays closed when a body breaks: the head had come', async () => {
    await using at = await openEndpoints({ count: 1 });
    at.registry.faults.add({ kind: 'blob' }, { stallAfter: 5 });
    const transfer = await at.upstream.fetchBlob(path, at.blob, never);
    expect((await upstreamError(textOf(transfer?.body))).failure).toBe('timeout');
    expect(at.upstream.status().endpoints[0]).toMatchObject({ isCircuitOpen: false, problem: undefined });
  });
});

describe('a blob', () => {
  test.each<[string, FaultEffect]>([
    ['drops', { dropAfter: 4 }],
    ['resets', { resetAfter: 4 }],
    ['stalls', { stallAfter: 4 }],
    ['ends in order too early', { truncateAfter: 4 }],
  ])('is asked of the next one when the first %s its body', async (_, effect) => {
    await using at = await openEndpoints();
    at.servers[0]?.faults.add({ kind: 'blob' }, effect);
    const whole = { start: 0, end: 10 };
    await textOf((await at.upstream.fetchBlob(path, at.blob, never, whole))?.body).catch(() => '');
    at.asked();
    const rest = { start: 4, end: 10 };
    expect(await textOf((await at.upstream.fetchBlob(path, at.blob, never, rest))?.body)).toBe('456789');
    expect(at.asked()).toEqual([0, 1]);
    expect(await at.upstream.resolve(path, latest, never)).toBeDefined();
    expect(at.asked()).toEqual([1, 0]);
  });

  test('is asked of who broke it when the others do not have it', async () => {
    await using at = await openEndpoints();
    at.servers[0]?.faults.add({ kind: 'blob', times: 1 }, { dropAfter: 4 });
    at.registry.faults.add({ kind: 'blob' }, unavailable);
    await textOf((await at.upstream.fetchBlob(path, at.blob, never))?.body).catch(() => '');
    expect(await textOf((await at.upstream.fetchBlob(path, at.blob, never))?.body)).toBe('0123456789');
  });

  test.each<[string, object]>([
    ['all of it', {}],
    ['a part', { start: 2, end: 6 }],
  ])('is asked of the next one when the first has another length for it: %s', async (_, part) => {
    await using at = await openEndpoints();
    at.servers[0]?.faults.add({ kind: 'blob' }, { body: '0123' });
    const transfer = await at.upstream.fetchBlob(path, at.blob, never, { ...part, size: 10 });
    expect(transfer?.size).toBe(10);
    expect('0123456789').toContain(await textOf(transfer?.body));
    expect(at.asked()[1]).toBe(1);
  });

  test('that was wrong is asked of who did not give it', async () => {
    await using at = await openEndpoints({ count: 3 });
    await textOf((await at.upstream.fetchBlob(path, at.blob, never))?.body);
    at.upstream.distrust(at.blob);
    at.upstream.distrust(digestOf(Buffer.from('never seen')));
    at.asked();
    await textOf((await at.upstream.fetchBlob(path, at.blob, never))?.body);
    at.upstream.distrust(at.blob);
    await textOf((await at.upstream.fetchBlob(path, at.blob, never))?.body);
    expect(at.asked()).toEqual([0, 1, 1]);
  });

  test('that all of them gave wrong is asked of the registry itself', async () => {
    await using at = await openEndpoints({ count: 3 });
    for (let index = 0; index < 3; index++) {
      await textOf((await at.upstream.fetchBlob(path, at.blob, never))?.body);
      at.upstream.distrust(at.blob);
    }
    at.asked();
    await textOf((await at.upstream.fetchBlob(path, at.blob, never))?.body);
    expect(at.asked()).toEqual([0, 0, 1]);
  });

  test('whose reader leaves is nobody’s fault', async () => {
    await using at = await openEndpoints();
    for (let index = 0; index < 10; index++)
      for await (const _ of (await at.upstream.fetchBlob(path, at.blob, never))?.body ?? []) break;
    expect(at.asked()).toEqual([10, 0]);
  });
});

describe('a token server that hangs', () => {
  test('is told by its name, and keeps nobody waiting who has a token', async () => {
    await using at = await openEndpoints({ count: 1, servers: { auth: {} }, answerTimeoutMs: 300 });
    await at.upstream.resolve(path, latest, never);
    const gate = new Gate();
    at.registry.tokens?.faults.add({}, { holdHeaders: gate });
    const tokenServer = at.registry.tokens?.server.host ?? '';
    const late = await upstreamError(at.upstream.resolve('library/other', latest, never));
    expect(late).toMatchObject({ failure: 'timeout', message: expect.stringContaining(tokenServer) });
    const away = await upstreamError(at.upstream.resolve('library/third', latest, never));
    expect(away).toMatchObject({ failure: 'away', message: expect.stringContaining(tokenServer) });
    expect(await at.upstream.resolve(path, latest, never)).toBeDefined();
    gate.open();
  });
});

test('a HEAD that lies costs no GET while pulls are used up', async () => {
  await using at = await openEndpoints({ count: 1 });
  at.registry.faults.add({ method: 'GET', kind: 'manifest' }, pullLimit);
  await upstreamError(at.upstream.fetchManifest(path, latest, never));
  at.registry.faults.add({ method: 'HEAD' }, { status: 405 });
  at.asked();
  expect((await upstreamError(at.upstream.resolve(path, latest, never))).failure).toBe('limited');
  expect(at.asked()).toEqual([1]);
});

test('the time of the last answer is that of a right one', async () => {
  await using at = await openEndpoints({ count: 1 });
  const before = performance.now();
  expect(at.upstream.lastAnswerAt).toBe(Number.NEGATIVE_INFINITY);
  for (const effect of [serverError, denied, html, pullLimit]) {
    const fault = at.registry.faults.add({}, { ...effect, headers: { 'retry-after': '1' } });
    await upstreamError(at.upstream.fetchManifest(path, latest, never));
    fault.remove();
  }
  expect(at.upstream.lastAnswerAt).toBe(Number.NEGATIVE_INFINITY);
  await at.upstream.resolve(path, { tag: 'other' }, never);
  expect(at.upstream.lastAnswerAt).toBeGreaterThan(before);
});

test.each([
  ['a failure', serverError, Number.NEGATIVE_INFINITY],
  ['a lie', html, Number.NEGATIVE_INFINITY],
  ['a refusal', denied, 0],
])(
  'after %s nobody relies on an answer from before it, unless it is an answer itself',
  async (_what, effect, least) => {
    await using at = await openEndpoints({ count: 1 });
    await at.upstream.resolve(path, latest, never);
    at.registry.faults.add({}, effect);
    await upstreamError(at.upstream.fetchManifest(path, latest, never));
    expect(at.upstream.lastAnswerAt > 0).toBe(least === 0);
  },
);
