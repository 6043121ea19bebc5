// Logins that a registry refuses: how often it sees them, and what is told of them.
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { refusals } from '../support/faults.ts';
import { laterClock } from '../support/later-clock.ts';
import type { Exchange } from '../support/recorded-server.ts';
import { latest, openEndpoints, path } from './endpoints-scene.ts';
import { never, upstreamError } from './upstream-scene.ts';

const credentials = { username: 'one', password: 'first word' };

/** Takes no password. */
const withBasic = {
  intercept: async ({ response }: Exchange) => {
    response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"', 'content-length': '0' }).end();
    return true;
  },
};

describe('a registry that wants a password', () => {
  test('is shown a bad one with one question, and at its door, in 200 side by side', async () => {
    await using at = await openEndpoints({ count: 1, credentials, servers: withBasic, answerTimeoutMs: 20_000 });
    const asking = Array.from({ length: 200 }, (_, index) =>
      upstreamError(at.upstream.resolve(`library/app-${index}`, latest, never)),
    );
    expect(new Set((await Promise.all(asking)).map(({ failure }) => failure))).toEqual(new Set(['login']));
    const shown = () => at.registry.requests.filter(({ headers }) => headers.authorization !== undefined);
    expect(shown().map(({ path: asked }) => asked.replace(/-\d+/, ''))).toEqual([
      '/v2/library/app/manifests/latest',
      '/v2/',
    ]);
    for (let index = 0; index < 10; index++) await upstreamError(at.upstream.resolve(path, latest, never));
    expect(shown()).toHaveLength(2);
  });

  test('is shown it no more by transfers that waited for their turn', async () => {
    await using at = await openEndpoints({ count: 1, credentials, servers: withBasic, answerTimeoutMs: 20_000 });
    const asking = Array.from({ length: 50 }, (_, index) =>
      upstreamError(at.upstream.fetchBlob(path, digestOf(Buffer.from(`${index}`)), never)),
    );
    await Promise.all(asking);
    expect(at.registry.requests.filter(({ headers }) => headers.authorization !== undefined)).toHaveLength(2);
  });
});

describe('a login that rests', () => {
  async function refused() {
    const at = await openEndpoints({ count: 1, credentials, servers: { auth: {} } });
    const fault = at.registry.tokens?.faults.add(
      { when: ({ headers }) => headers.authorization !== undefined },
      { status: 401, body: '{}' },
    );
    return { ...at, fault, limits: () => at.upstream.status().endpoints[0]?.limits };
  }

  test('is told in the status, with the reason and for how long, until it is taken', async () => {
    using clock = laterClock();
    const { fault, ...at } = await refused();
    await using _ = at;
    expect(at.limits()).toMatchObject([{ credential: '1', retryInMs: undefined, problem: undefined }]);
    await at.upstream.resolve(path, latest, never);
    const problem = expect.stringMatching(
      /its token server \S+ answered 401; see upstreams.registry.test.credentials$/,
    );
    expect(at.limits()).toMatchObject([{ credential: '1', retryInMs: expect.any(Number), problem }]);
    fault?.remove();
    clock.pass(61);
    expect(at.limits()).toMatchObject([{ credential: '1', retryInMs: undefined, problem }]);
    await at.upstream.resolve(path, latest, never);
    expect(at.limits()).toMatchObject([{ credential: '1', retryInMs: undefined, problem: undefined }]);
  });

  test('says why in the errors of those that ask without it', async () => {
    const { fault: __, ...at } = await refused();
    await using _ = at;
    await at.upstream.resolve(path, latest, never);
    const missing = await upstreamError(at.upstream.resolve('library/missing', latest, never));
    expect(missing.message).toMatch(
      /its token server \S+ answered 401; see .*; and it has nothing for who shows none$/,
    );
    at.registry.faults.add({ when: ({ headers }) => headers.authorization !== undefined }, refusals.denied);
    const denied = await upstreamError(at.upstream.fetchManifest(path, latest, never));
    expect(denied.message).toMatch(
      /its token server \S+ answered 401; see .*; and it has a refusal for who shows none$/,
    );
  });

  test('because its file is missing says which', async () => {
    await using at = await openEndpoints({
      count: 1,
      credentials: { dockerConfig: '/nowhere/config.json' },
      servers: { auth: {} },
    });
    await at.upstream.resolve(path, latest, never);
    at.registry.faults.add({ when: ({ headers }) => headers.authorization !== undefined }, refusals.denied);
    const { message } = await upstreamError(at.upstream.fetchManifest(path, latest, never));
    expect(message).toContain('/nowhere/config.json: there is no such file; and it has a refusal');
  });
});
