// What an endpoint is not blamed for: one broken repository, an API it does not have, others that were slow before it.
import { describe, expect, test } from 'vitest';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { latest, openEndpoints, path } from './endpoints-scene.ts';
import { never, upstreamError } from './upstream-scene.ts';

type At = Awaited<ReturnType<typeof openEndpoints>>;

function isShut(at: At): boolean {
  return at.upstream.status().endpoints.some(({ isCircuitOpen }) => isCircuitOpen);
}

describe('a circuit stays closed', () => {
  test('when all that fails is in one repository', async () => {
    await using at = await openEndpoints({ count: 1 });
    at.registry.faults.add({ path: '/v2/acme/broken/' }, refusals.serverError);
    for (const tag of ['1', '2', '3', '4', '5', '6'])
      await upstreamError(at.upstream.resolve('acme/broken', { tag }, never));
    await upstreamError(at.upstream.listTags('acme/broken', { n: 1 }, never));
    expect(isShut(at)).toBe(false);
    expect(await at.upstream.resolve(path, latest, never)).toBeDefined();
  });

  test('and opens when it is in two', async () => {
    await using at = await openEndpoints({ count: 1 });
    at.registry.faults.add({}, refusals.serverError);
    for (const name of ['acme/one', 'acme/two', 'acme/one', 'acme/two'])
      await upstreamError(at.upstream.resolve(name, latest, never));
    expect(isShut(at)).toBe(true);
  });

  test('while a list comes slowly that began in time', async () => {
    await using at = await openEndpoints({ count: 1, answerTimeoutMs: 300 });
    const gate = new Gate();
    at.registry.faults.add({ kind: 'tags' }, { holdBody: { after: 1, gate } });
    expect((await upstreamError(at.upstream.listTags(path, { n: 5 }, never))).failure).toBe('timeout');
    gate.open();
    expect(isShut(at)).toBe(false);
    expect(await at.upstream.resolve(path, latest, never)).toBeDefined();
  });

  test('when its token server used up the time', async () => {
    await using at = await openEndpoints({ count: 1, answerTimeoutMs: 1000, servers: { auth: {} } });
    const registry = new Gate();
    at.registry.tokens?.faults.add({}, { delayMs: 800 });
    at.registry.faults.add({ when: ({ headers }) => headers.authorization !== undefined }, { holdHeaders: registry });
    await upstreamError(at.upstream.resolve(path, latest, never));
    registry.open();
    expect(isShut(at)).toBe(false);
    expect(await at.upstream.resolve(path, latest, never)).toBeDefined();
  });
});

test('a manifest that begins and does not go on is not waited for twice', async () => {
  await using at = await openEndpoints({ count: 1, answerTimeoutMs: 300 });
  const gate = new Gate();
  at.registry.faults.add({ kind: 'manifest', method: 'GET' }, { holdBody: { after: 1, gate } });
  expect((await upstreamError(at.upstream.fetchManifest(path, latest, never))).failure).toBe('timeout');
  expect((await upstreamError(at.upstream.fetchManifest(path, latest, never))).failure).toBe('away');
  gate.open();
});

test.each<[string, FaultEffect]>([
  ...[400, 405, 406, 501].map((status): [string, FaultEffect] => [String(status), { status, body: 'no' }]),
  ['a web page', refusals.html],
])('%s to a question for referrers says that there is no such API', async (_what, effect) => {
  await using at = await openEndpoints({ count: 1 });
  at.registry.faults.add({ kind: 'referrers' }, effect);
  expect(await at.upstream.fetchReferrers(path, at.blob, never)).toBeUndefined();
});

describe('a 404 that is a web page', () => {
  const page = { ...refusals.html, status: 404 };

  test.each<[string, (at: At) => Promise<unknown>]>([
    ['HEAD of a manifest', ({ upstream }) => upstream.resolve(path, latest, never)],
    ['GET of a manifest', ({ upstream }) => upstream.fetchManifest(path, latest, never)],
    ['blob', ({ upstream, blob }) => upstream.fetchBlob(path, blob, never)],
    ['proof of a blob', ({ upstream, blob }) => upstream.proveBlob(path, blob, never)],
    ['list of tags', ({ upstream }) => upstream.listTags(path, { n: 5 }, never)],
  ])('proves nothing: %s', async (_what, ask) => {
    await using at = await openEndpoints({ count: 1 });
    at.registry.faults.add({}, page);
    expect((await upstreamError(ask(at))).failure).toBe('protocol');
  });
});

test('a mirror in front that has nothing does not stand for a registry that cannot be asked', async () => {
  await using at = await openEndpoints({ count: 2 });
  await at.registry.close();
  await upstreamError(at.upstream.resolve(path, { tag: 'other' }, never));
  expect(at.upstream.lastAnswerAt).toBe(Number.NEGATIVE_INFINITY);
  expect(await at.upstream.resolve(path, latest, never)).toBeDefined();
  expect(at.upstream.lastAnswerAt).toBeGreaterThan(0);
});
