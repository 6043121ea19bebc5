// A registry that asks who we are: tokens are shown, replaced when they are refused, and never asked for twice.
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { type FakeUpstreamOptions, startFakeUpstream } from '../support/fake-upstream.ts';
import { refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { type AuthenticatorSceneOptions, never, openClient, startServer, upstreamError } from './upstream-scene.ts';

const path = 'library/app';
const latest = { tag: 'latest' };

async function scene(options: FakeUpstreamOptions = {}, more: Partial<AuthenticatorSceneOptions> = {}) {
  const upstream = await startFakeUpstream({ auth: {}, ...options });
  upstream.addImage(path);
  const { client, ...at } = openClient({ endpoint: upstream.url, ...more });
  const { tokens } = upstream;
  if (!tokens) throw new Error('no token server');
  return {
    upstream,
    tokens,
    client,
    async [Symbol.asyncDispose]() {
      await at[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('a registry with tokens', () => {
  test('challenges once; the next request brings its token along', async () => {
    await using at = await scene();
    expect(await at.client.resolve(path, latest, never)).toBeDefined();
    expect(await at.client.fetchManifest(path, latest, never)).toBeDefined();
    expect(at.upstream.requests.map(({ method, status }) => [method, status])).toEqual([
      ['HEAD', 401],
      ['HEAD', 200],
      ['GET', 200],
    ]);
    expect(at.tokens.requests).toHaveLength(1);
  });

  test('gives one token for a hundred requests at the same time', async () => {
    await using at = await scene();
    const gate = new Gate();
    at.tokens.faults.add({}, { holdHeaders: gate });
    const asking = Array.from({ length: 100 }, () => at.client.resolve(path, latest, never));
    await gate.reached;
    gate.open();
    await Promise.all(asking);
    expect(at.tokens.requests).toHaveLength(1);
  });

  test('may take a token back: it is replaced once, and for everybody', async () => {
    await using at = await scene();
    await at.client.resolve(path, latest, never);
    at.tokens.revokeAll();
    await Promise.all(Array.from({ length: 20 }, () => at.client.resolve(path, latest, never)));
    expect(at.tokens.requests).toHaveLength(2);
  });

  test('that refuses a good token is not asked for ever', async () => {
    await using at = await scene({ missing: 'unauthorized' });
    const error = await upstreamError(at.client.fetchManifest('library/missing', latest, never));
    expect(error.failure).toBe('unauthorized');
    expect(at.upstream.requests).toHaveLength(2);
    expect(at.tokens.requests).toHaveLength(1);
  });

  test('hides its own failure behind none of ours', async () => {
    await using at = await scene();
    at.tokens.faults.add({}, refusals.pullLimit);
    expect((await upstreamError(at.client.resolve(path, latest, never))).failure).toBe('limited');
    expect(at.upstream.requests).toHaveLength(1);
  });
});

test('an upstream that needs no token is asked for none', async () => {
  await using at = await scene();
  await using open = await startFakeUpstream();
  const { digest } = open.addImage(path);
  await using other = openClient({ endpoint: open.url });
  expect(await other.client.resolve(path, { digest: digest as Digest }, never)).toBeDefined();
  expect(open.requests[0]?.headers.authorization).toBeUndefined();
  expect(at.tokens.requests).toEqual([]);
});

test('who gives up while the token is fetched does not wait for it', async () => {
  await using at = await scene({}, { timeoutMs: 1000 });
  const gate = new Gate();
  at.tokens.faults.add({}, { holdHeaders: gate });
  const controller = new AbortController();
  const asking = at.client.resolve(path, latest, controller.signal);
  await gate.reached;
  const reason = new Error('the mirror stops');
  controller.abort(reason);
  await expect(asking).rejects.toBe(reason);
  gate.open();
});

test('a 401 whose challenge cannot be answered does not keep its connection', async () => {
  const challenge = 'Bearer realm="ftp://nowhere/"';
  const body = 'x'.repeat(1024 * 1024);
  await using server = await startServer({ status: 401, headers: { 'www-authenticate': challenge }, body });
  await using at = openClient({ endpoint: server.url, transport: { connections: 1 } });
  for (const signal of [never, AbortSignal.timeout(1000)]) {
    const error = await upstreamError(at.client.fetchManifest(path, latest, signal));
    expect(error.message).toContain('not a web address');
  }
});
