// A registry looked at once: whether it answers, at what it fails, and what it says of the credentials.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { createMetrics } from '../../src/observe/metrics.ts';
import type { UpstreamOptions } from '../../src/upstream/open-upstream.ts';
import { probeUpstream } from '../../src/upstream/probe.ts';
import { directoryWith } from '../config/config-files.ts';
import { type FakeUpstream, type FakeUpstreamOptions, startFakeUpstream } from '../support/fake-upstream.ts';
import { sendReply } from '../support/reply.ts';
import { contentOf } from '../support/served-content.ts';
import { TlsServer } from './self-signed.ts';

const account = { username: 'robot', password: 'correct horse' };
const wrong = { ...account, password: 'hunter2' };

type Wish = Partial<UpstreamOptions> & { readonly at: readonly string[] };

function probe({ at, ...options }: Wish) {
  return probeUpstream(
    {
      name: 'registry.test',
      endpoints: at.map((url) => new URL(url)),
      connections: 4,
      parallel: 1,
      connectTimeoutMs: 5000,
      headersTimeoutMs: 5000,
      idleTimeoutMs: 5000,
      answerTimeoutMs: 5000,
      metrics: createMetrics(),
      log: pino({ level: 'silent' }),
      ...options,
    },
    AbortSignal.timeout(20_000),
  );
}

/** Says yes at the door to whoever has a token, as registries do. */
function tokenRegistry(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  return startFakeUpstream({
    auth: { accounts: [account] },
    intercept: async (exchange) => {
      const hasToken = exchange.request.headers.authorization?.startsWith('Bearer token-');
      if (exchange.record.kind !== 'ping' || !hasToken) return false;
      await sendReply(exchange, { headers: { 'content-type': 'application/json' }, content: contentOf('{}') });
      return true;
    },
    ...options,
  });
}

describe('a registry', () => {
  test('that answers everybody is fine, and is shown nothing', async () => {
    await using upstream = await startFakeUpstream();
    const [found] = await probe({ at: [upstream.url], credentials: account });
    expect(found).toMatchObject({ endpoint: upstream.url, problem: undefined });
    expect(found?.logins).toMatchObject([{ credential: '1', verdict: 'unasked', problem: undefined }]);
    expect(upstream.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /v2/']);
    expect(upstream.requests[0]?.headers.authorization).toBeUndefined();
  });

  test('is left without a connection', async () => {
    const server = createServer((_request, response) => response.end('{}')).listen(0, '127.0.0.1');
    const gone = new Promise((resolve) => server.on('connection', (socket) => socket.once('close', resolve)));
    server.keepAliveTimeout = 0;
    await once(server, 'listening');
    await probe({ at: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] });
    const since = performance.now();
    await gone;
    // By itself it would stay for four.
    expect(performance.now() - since).toBeLessThan(2000);
    server.close();
  });

  test('that refuses connections is told apart at this step', async () => {
    await using upstream = await startFakeUpstream();
    await upstream.close();
    const [found] = await probe({ at: [upstream.url], credentials: account });
    expect(found).toMatchObject({
      problem: { failure: 'unreachable', step: 'connect' },
      clockAheadMs: undefined,
      logins: [],
    });
    expect(found?.problem?.message).toContain('ECONNREFUSED');
  });

  test('whose name nobody knows is told apart at this step', async () => {
    const [found] = await probe({ at: ['http://registry.invalid'] });
    expect(found?.problem).toMatchObject({ failure: 'unreachable', step: 'dns' });
  });

  test('whose certificate nobody vouches for is told apart at this step, unless its authority is configured', async () => {
    await using server = await TlsServer.start();
    expect((await probe({ at: [server.url] }))[0]?.problem).toMatchObject({ failure: 'unreachable', step: 'tls' });
    expect((await probe({ at: [server.url], ca: server.certificate }))[0]?.problem).toBeUndefined();
  });

  test.each([
    [404, 'protocol'],
    [403, 'denied'],
    [429, 'limited'],
    [503, 'failing'],
  ])('that answers %i at the door is none to pull from', async (status, failure) => {
    await using upstream = await startFakeUpstream();
    upstream.faults.add({ kind: 'ping' }, { status });
    const [found] = await probe({ at: [upstream.url] });
    expect(found?.problem).toMatchObject({ failure, step: 'answer' });
    expect(found?.problem?.message).toContain(`answered ${status}`);
  });

  test('that leads where nobody may be led is not followed', async () => {
    await using upstream = await startFakeUpstream();
    upstream.faults.add({ kind: 'ping' }, { redirect: 'http://10.1.2.3/v2/' });
    const [found] = await probe({ at: [upstream.url], allowPrivate: false });
    expect(found?.problem).toMatchObject({ failure: 'protocol', step: 'answer' });
    expect(found?.problem?.message).toContain('10.1.2.3');
  });

  test('with another clock tells by how much', async () => {
    await using upstream = await startFakeUpstream({
      intercept: async ({ response }) => {
        response.setHeader('date', new Date(Date.now() + 600_000).toUTCString());
        return false;
      },
    });
    const [found] = await probe({ at: [upstream.url] });
    expect(found?.clockAheadMs).toBeGreaterThan(595_000);
    expect(found?.clockAheadMs).toBeLessThan(605_000);
  });
});

describe('credentials', () => {
  test('are shown to the token server, and the token to the registry', async () => {
    await using upstream = await tokenRegistry();
    const [found] = await probe({ at: [upstream.url], credentials: account });
    expect(found?.logins).toMatchObject([{ credential: '1', verdict: 'accepted', problem: undefined }]);
    const [asked] = upstream.tokens?.requests ?? [];
    expect(asked?.headers.authorization).toMatch(/^Basic /);
    expect(asked?.path).not.toContain('scope');
    expect(upstream.requests.at(-1)?.headers.authorization).toMatch(/^Bearer token-/);
  });

  test('that the token server refuses are told without what they are', async () => {
    await using upstream = await tokenRegistry();
    const [found] = await probe({ at: [upstream.url], credentials: [account, wrong] });
    expect(found?.logins.map(({ credential, verdict }) => [credential, verdict])).toEqual([
      ['1', 'accepted'],
      ['2', 'refused'],
    ]);
    expect(found?.logins[1]?.problem?.message).toContain('answered 401');
    expect(JSON.stringify(found)).not.toMatch(/hunter2|correct horse|aHVudGVyMg|token-/);
  });

  test('that the token server answers with 403 are refused too', async () => {
    await using upstream = await tokenRegistry();
    upstream.tokens?.faults.add({ kind: 'token' }, { status: 403, body: '{"details":"hunter2"}' });
    const [found] = await probe({ at: [upstream.url], credentials: wrong });
    expect(found?.logins).toMatchObject([{ verdict: 'refused', problem: { failure: 'denied' } }]);
    expect(JSON.stringify(found)).not.toContain('hunter2');
  });

  test('whose token the registry refuses are refused', async () => {
    await using upstream = await startFakeUpstream({ auth: { accounts: [account] } });
    const [found] = await probe({ at: [upstream.url], credentials: account });
    expect(found?.logins).toMatchObject([{ verdict: 'refused', problem: { failure: 'login' } }]);
  });

  test.each([
    ['accepted', account],
    ['refused', wrong],
  ] as const)('that are a password are %s by the registry itself', async (verdict, credentials) => {
    const isKnown = `Basic ${Buffer.from('robot:correct horse').toString('base64')}`;
    await using upstream = await startFakeUpstream({
      intercept: async (exchange) => {
        const isIn = exchange.request.headers.authorization === isKnown;
        await sendReply(exchange, {
          status: isIn ? 200 : 401,
          headers: isIn ? {} : { 'www-authenticate': 'Basic realm="r"' },
        });
        return true;
      },
    });
    const [found] = await probe({ at: [upstream.url], credentials });
    expect(found?.logins).toMatchObject([{ verdict }]);
    expect(JSON.stringify(found)).not.toContain('hunter2');
  });

  test('are not shown to a token server of somebody else', async () => {
    await using upstream = await tokenRegistry();
    // The same server, by a name that is not the registry's.
    const elsewhere = `${upstream.tokens?.realm.replace('127.0.0.1', 'localhost')}`;
    await using luring = await startFakeUpstream({ auth: { accounts: [account], realm: elsewhere } });
    const [found] = await probe({ at: [luring.url], credentials: account });
    expect(found?.logins).toMatchObject([{ verdict: 'unknown', problem: { failure: 'protocol' } }]);
    expect(found?.logins[0]?.problem?.message).toContain('upstreams.registry.test.realms');
    expect(upstream.tokens?.requests).toEqual([]);
  });

  test('are the registry’s own: another endpoint before it is looked at as nobody', async () => {
    await using upstream = await tokenRegistry();
    await using other = await tokenRegistry();
    const at = [other.url.replace('127.0.0.1', 'localhost'), upstream.url];
    const found = await probe({ at, credentials: account });
    expect(found.map(({ logins }) => logins.map(({ credential }) => credential))).toEqual([['anonymous'], ['1']]);
    const shown = [...other.requests, ...(other.tokens?.requests ?? [])].map(
      ({ headers }) => headers.authorization ?? '',
    );
    expect(shown.filter((authorization) => authorization.startsWith('Basic'))).toEqual([]);
  });

  const fromFile = (auths: object) => ({
    dockerConfig: join(directoryWith({ 'docker.json': { auths } }), 'docker.json'),
  });

  test('that are none are told', async () => {
    await using upstream = await startFakeUpstream();
    const [found] = await probe({ at: [upstream.url], credentials: fromFile({}) });
    expect(found?.logins).toMatchObject([{ credential: '1', verdict: 'refused' }]);
    expect(found?.logins[0]?.problem?.message).toContain('there are none for it');
  });

  test('of a kind that the registry does not ask for are shown to nobody', async () => {
    await using upstream = await startFakeUpstream({
      intercept: async (exchange) => {
        await sendReply(exchange, { status: 401, headers: { 'www-authenticate': 'Negotiate' } });
        return true;
      },
    });
    const [found] = await probe({ at: [upstream.url], credentials: account });
    expect(found?.logins).toMatchObject([{ verdict: 'unknown', problem: { failure: 'protocol' } }]);
    expect(upstream.requests).toHaveLength(1);
  });

  test('that are an identity token are no password', async () => {
    await using upstream = await startFakeUpstream({
      intercept: async (exchange) => {
        await sendReply(exchange, { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } });
        return true;
      },
    });
    const credentials = fromFile({ 'registry.test': { identitytoken: 'refresh-me' } });
    const [found] = await probe({ at: [upstream.url], credentials });
    expect(found?.logins).toMatchObject([{ verdict: 'refused', problem: { failure: 'login' } }]);
    expect(upstream.requests).toHaveLength(1);
  });

  test('that cannot be had are told', async () => {
    await using upstream = await startFakeUpstream();
    const [found] = await probe({ at: [upstream.url], credentials: { dockerConfig: '/nowhere/config.json' } });
    expect(found?.logins).toMatchObject([{ credential: '1', verdict: 'refused' }]);
    expect(found?.logins[0]?.problem?.message).toContain('could not be had');
  });
});

describe('without credentials', () => {
  test('a token server that gives strangers nothing is fine all the same', async () => {
    await using upstream = await startFakeUpstream({ auth: { credentials: account } });
    const [found] = await probe({ at: [upstream.url] });
    expect(found).toMatchObject({ problem: undefined, logins: [{ credential: 'anonymous', verdict: 'unasked' }] });
  });

  test('a token server that is away is not', async () => {
    await using upstream = await startFakeUpstream({ auth: {} });
    await upstream.tokens?.close();
    const [found] = await probe({ at: [upstream.url] });
    expect(found?.problem).toBeUndefined();
    expect(found?.logins).toMatchObject([
      { credential: 'anonymous', problem: { failure: 'unreachable', step: 'connect' } },
    ]);
  });
});

describe('Docker Hub', () => {
  const hub = (quota: Readonly<Record<string, string>>) =>
    tokenRegistry({
      afterLogin: async (exchange) => {
        for (const [name, value] of Object.entries(quota)) exchange.response.setHeader(name, value);
        return false;
      },
    });

  test.each([
    ['a login', { credentials: account }, '1'],
    ['nobody', {}, 'anonymous'],
  ])('tells %s how many pulls are left, by a question that takes none', async (_who, options, credential) => {
    await using upstream = await hub({ 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '7;w=21600' });
    const [found] = await probe({ at: [upstream.url], name: 'docker.io', ...options });
    expect(found?.logins).toMatchObject([{ credential, verdict: 'accepted', remaining: 7, limit: 100 }]);
    const counted = upstream.requests.filter(({ method, kind }) => method === 'GET' && kind === 'manifest');
    expect(counted).toEqual([]);
  });

  test('that says 429 has none left', async () => {
    await using upstream = await hub({});
    upstream.faults.add({ kind: 'manifest' }, { status: 429 });
    const [found] = await probe({ at: [upstream.url], name: 'docker.io' });
    expect(found?.logins).toMatchObject([{ remaining: 0, limit: undefined }]);
  });
});
