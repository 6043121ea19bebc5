// What a 429 rests and what it leaves alone, as it comes from a registry, its storage, or one of several logins.
import { describe, expect, test, vi } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { basic } from '../support/fake-token-server.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import type { Exchange } from '../support/recorded-server.ts';
import { type EndpointsScene, latest, openEndpoints, path } from './endpoints-scene.ts';
import { never, textOf, upstreamError } from './upstream-scene.ts';

const slowDown: FaultEffect = { status: 429, body: 'slow down', headers: { 'retry-after': '300' } };

const limitsOf = ({ upstream }: EndpointsScene) => upstream.status().endpoints[0]?.limits;

async function readBlob({ upstream, blob }: EndpointsScene, digest = blob): Promise<string> {
  return textOf((await upstream.fetchBlob(path, digest, never))?.body);
}

describe('a registry that refuses one blob with a bare 429', () => {
  test.each([
    ['says nothing', {}],
    ['writes a duration as Go does', { 'retry-after': '880.092\u00b5s' }],
  ])('and %s about when to come back rests for two seconds', async (_, headers) => {
    await using at = await openEndpoints({ count: 1 });
    at.registry.faults.add({ kind: 'blob', times: 1 }, { ...refusals.abuseLimit, headers });
    expect(await upstreamError(readBlob(at))).toMatchObject({ failure: 'limited', retryAfterMs: undefined });
    at.asked();
    const error = await upstreamError(at.upstream.fetchManifest(path, latest, never));
    expect(error).toMatchObject({ failure: 'limited', message: expect.stringContaining('not asked') });
    expect(error.retryAfterMs).toBeLessThanOrEqual(2000);
    expect(at.asked()).toEqual([0]);
  });

  test('and others at the same time rests no longer for that', async () => {
    await using at = await openEndpoints({ count: 1, connections: 32 });
    const gate = new Gate();
    at.registry.faults.add({ kind: 'blob' }, { ...refusals.abuseLimit, holdHeaders: gate });
    const asking = Promise.allSettled(Array.from({ length: 12 }, () => readBlob(at)));
    await vi.waitUntil(() => gate.arrivals === 12);
    gate.open();
    expect(new Set((await asking).map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect(at.registry.count({ kind: 'blob' })).toBe(12);
    expect(limitsOf(at)?.[0]?.retryInMs).toBeLessThanOrEqual(2000);
  });
});

describe('a limit of the storage that a registry redirects to', () => {
  test('fails what met it, says when to come back, and rests nothing', async () => {
    await using at = await openEndpoints({ count: 1, servers: { cdn: true } });
    at.registry.cdn?.faults.add({ path: at.blob }, slowDown);
    for (let index = 0; index < 2; index++)
      expect(await upstreamError(readBlob(at))).toMatchObject({ failure: 'limited', retryAfterMs: 300_000 });
    expect(at.registry.cdn?.count({ path: at.blob })).toBe(2);
    expect([at.upstream.mayAsk('manifest'), at.upstream.mayAsk('blob')]).toEqual([true, true]);
    expect(await at.upstream.fetchManifest(path, latest, never)).toBeDefined();
    const other = at.registry.addBlob(path, 'another layer');
    expect(await readBlob(at, other.digest as Digest)).toBe('another layer');
  });

  test('is not taken for how much the registry has left', async () => {
    await using at = await openEndpoints({ count: 1, servers: { cdn: true } });
    at.registry.cdn?.faults.add({}, { headers: { 'ratelimit-limit': '10;w=60', 'ratelimit-remaining': '0;w=60' } });
    await readBlob(at);
    expect(limitsOf(at)).toMatchObject([{ limit: undefined, remaining: undefined, retryInMs: undefined }]);
  });

  test('of the registry itself ends with a redirect', async () => {
    await using at = await openEndpoints({ count: 1, servers: { cdn: true } });
    at.registry.faults.add({ kind: 'blob', times: 1 }, { ...refusals.abuseLimit, headers: { 'retry-after': '1' } });
    await upstreamError(readBlob(at));
    await vi.waitUntil(() => at.upstream.mayAsk('blob'), { timeout: 5000 });
    at.registry.cdn?.faults.add({ path: at.blob }, slowDown);
    await upstreamError(readBlob(at));
    expect(limitsOf(at)?.[0]?.retryInMs).toBeUndefined();
  });
});

// registry.k8s.io holds nothing itself.
test('a registry that redirects everything is asked on when another registry is limited', async () => {
  await using target = await startFakeUpstream();
  target.addImage(path, { layers: ['0123456789'] });
  const redirect = async ({ request, response }: Exchange) => {
    response.writeHead(307, { location: `${target.url}${request.url}` }).end();
    return true;
  };
  await using at = await openEndpoints({ count: 1, servers: { intercept: redirect } });
  target.faults.add({ kind: 'manifest', method: 'GET', times: 1 }, slowDown);
  target.faults.add({ kind: 'blob', times: 1 }, refusals.abuseLimit);
  const ask = () => at.upstream.fetchManifest(path, latest, never);
  expect(await upstreamError(ask())).toMatchObject({ failure: 'limited', retryAfterMs: 300_000 });
  expect(await ask()).toBeDefined();
  expect(await upstreamError(readBlob(at))).toMatchObject({ failure: 'limited' });
  expect(await readBlob(at)).toBe('0123456789');
});

test('of several logins only those that were refused rest', async () => {
  const names = ['one', 'two', 'three', 'four'];
  const credentials = names.map((username) => ({ username, password: `the word of ${username}` }));
  const limited = new Set(['one', 'three']);
  const intercept = async ({ request, response, effect }: Exchange) => {
    const shown = request.headers.authorization;
    const who = credentials.find(({ username, password }) => shown === basic(username, password))?.username;
    if (who === undefined)
      response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"', 'content-length': '0' }).end();
    else if (limited.has(who)) Object.assign(effect, refusals.pullLimit);
    return who === undefined;
  };
  await using at = await openEndpoints({ count: 1, credentials, servers: { intercept } });
  for (let index = 0; index < 6; index++) expect(await readBlob(at)).toBe('0123456789');
  expect(limitsOf(at)?.map(({ credential, retryInMs }) => [credential, retryInMs !== undefined])).toEqual([
    ['1', true],
    ['2', false],
    ['3', false],
    ['4', false],
  ]);
  for (const name of names) limited.add(name);
  expect(await upstreamError(readBlob(at))).toMatchObject({ failure: 'limited' });
  at.asked();
  const error = await upstreamError(readBlob(at));
  expect([error.failure, at.asked()]).toEqual(['limited', [0]]);
  expect(error.retryAfterMs).toBeLessThanOrEqual(2000);
});
