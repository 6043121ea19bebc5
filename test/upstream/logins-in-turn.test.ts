// Several logins of one registry: the one with most left asks, a refused one rests, and nobody's "no" is taken for theirs.
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { basic } from '../support/fake-token-server.ts';
import { refusals } from '../support/faults.ts';
import type { Exchange } from '../support/recorded-server.ts';
import { type EndpointsSceneOptions, latest, openEndpoints, path } from './endpoints-scene.ts';
import { never, upstreamError } from './upstream-scene.ts';

const two = [
  { username: 'one', password: 'first word' },
  { username: 'two', password: 'second word' },
];

/** Who asked, in order; the registry counts the pulls of each. */
async function scene({
  left = { one: 10, two: 10 },
  ...options
}: EndpointsSceneOptions & { left?: Record<string, number> } = {}) {
  const asked: string[] = [];
  const refused = new Set<string>();
  const intercept = async ({ request, response, effect }: Exchange) => {
    const login = two.find(({ username, password }) => request.headers.authorization === basic(username, password));
    if (login === undefined || refused.has(login.username)) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"', 'content-length': '0' }).end();
      return true;
    }
    const who = login.username;
    if (request.url === '/v2/') return false;
    asked.push(`${request.method} ${who}`);
    const isPull = request.method === 'GET' && request.url?.includes('/manifests/');
    const remaining = left[who];
    if (isPull && remaining === 0) Object.assign(effect, refusals.pullLimit);
    else if (isPull && remaining !== undefined) left[who] = remaining - 1;
    if (left[who] === undefined) return false;
    const headers = { 'ratelimit-limit': '20;w=21600', 'ratelimit-remaining': `${left[who]};w=21600` };
    Object.assign(effect, { headers });
    return false;
  };
  const at = await openEndpoints({ count: 1, credentials: two, servers: { intercept }, ...options });
  const pull = () => at.upstream.fetchManifest(path, latest, never);
  return { at, asked, refused, left, pull, [Symbol.asyncDispose]: () => at[Symbol.asyncDispose]() };
}

describe('two logins', () => {
  test('take turns by what each has left', async () => {
    await using on = await scene({ left: { one: 6, two: 8 } });
    for (let index = 0; index < 8; index++) await on.pull();
    expect(on.left).toEqual({ one: 3, two: 3 });
    expect(on.at.upstream.status().endpoints[0]?.limits).toMatchObject([
      { credential: '1', limit: 20, remaining: 3 },
      { credential: '2', limit: 20, remaining: 3 },
    ]);
  });

  test('both used up leave the registry alone, but for what costs nothing', async () => {
    await using on = await scene({ left: { one: 1, two: 1 } });
    await on.pull();
    await on.pull();
    on.at.asked();
    const error = await upstreamError(on.pull());
    expect(error).toMatchObject({ failure: 'limited', message: expect.stringContaining('not asked') });
    expect(error.retryAfterMs).toBeGreaterThan(40_000);
    expect(on.at.asked()).toEqual([0]);
    expect([on.at.upstream.mayAsk('manifest'), on.at.upstream.mayAsk('blob')]).toEqual([false, true]);
    expect(await on.at.upstream.resolve(path, latest, never)).toBeDefined();
  });

  test('are each asked once when one is refused for its limit', async () => {
    await using on = await scene({ left: { one: 0, two: 5 } });
    expect(await on.pull()).toBeDefined();
    expect(on.asked).toEqual(['GET one', 'GET two']);
    await on.pull();
    expect(on.asked).toEqual(['GET one', 'GET two', 'GET two']);
  });

  test('of which one is refused are one', async () => {
    await using on = await scene();
    on.refused.add('one');
    for (let index = 0; index < 4; index++) expect(await on.pull()).toBeDefined();
    expect(new Set(on.asked)).toEqual(new Set(['GET two']));
  });
});

describe('two logins that are refused', () => {
  /** The token server takes nobody with a password, and gives anonymous tokens. */
  async function refused() {
    const at = await openEndpoints({ count: 1, credentials: two, servers: { auth: {} } });
    const hits = at.registry.tokens?.faults.add(
      { when: ({ headers }) => headers.authorization !== undefined },
      { status: 401, body: '{"details":"incorrect username or password"}' },
    );
    return { ...at, hits: () => hits?.hits, [Symbol.asyncDispose]: () => at[Symbol.asyncDispose]() };
  }

  test('leave public images to nobody, and are not shown again', async () => {
    await using at = await refused();
    for (let index = 0; index < 5; index++) expect(await at.upstream.fetchManifest(path, latest, never)).toBeDefined();
    expect(at.hits()).toBe(2);
    expect(at.upstream.mayAsk('manifest')).toBe(true);
  });

  test.each([
    ['is not there', { tag: 'other' }, {}],
    ['is denied', latest, refusals.denied],
    ['wants somebody', latest, refusals.unauthorized],
  ])('prove nothing about what, for nobody, %s', async (_, reference, effect) => {
    await using at = await refused();
    if ('status' in effect)
      at.registry.faults.add({ when: ({ headers }) => headers.authorization !== undefined }, effect);
    for (let index = 0; index < 2; index++) {
      const error = await upstreamError(at.upstream.fetchManifest(path, reference, never));
      expect(error).toMatchObject({ failure: 'login', message: expect.stringContaining('refused') });
      expect(error.message).toContain('upstreams.registry.test.credentials');
      expect(error.message).not.toMatch(/first word|second word/);
    }
  });
});

describe('the thrift of an upstream', () => {
  test('grows as its pulls are used up', async () => {
    await using on = await scene({ left: { one: 20, two: 20 } });
    expect(on.at.upstream.thrift).toBe(1);
    await on.pull();
    await on.pull();
    expect(on.at.upstream.thrift).toBe(1);
    Object.assign(on.left, { one: 6, two: 6 });
    await on.pull();
    await on.pull();
    expect(on.at.upstream.thrift).toBe(2);
    Object.assign(on.left, { one: 1, two: 1 });
    await on.pull();
    await on.pull();
    expect(on.at.upstream.thrift).toBe(12);
  });

  test('is one while a login has no limit', async () => {
    await using on = await scene({ left: { one: 1 } });
    await on.pull();
    expect(on.at.upstream.thrift).toBe(1);
  });
});

describe('a login', () => {
  const credentials = { username: 'one', password: 'first word' };
  const withBasic = {
    intercept: async ({ request, response }: Exchange) => {
      if (request.headers.authorization === basic(credentials.username, credentials.password)) return false;
      response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"', 'content-length': '0' }).end();
      return true;
    },
  };

  test.each([
    ['in JSON', (shown: string) => JSON.stringify({ errors: [{ code: 'DENIED', message: shown, detail: shown }] })],
    ['as a code', (shown: string) => JSON.stringify({ errors: [{ code: shown }, { code: 'DENIED' }] })],
    ['as text', (shown: string) => `DENIED, and you are ${shown}`],
    ['as no list of errors', (shown: string) => JSON.stringify({ errors: shown, details: shown })],
  ])('that a registry says again %s is not repeated', async (_, say) => {
    for (const status of [403, 429, 500]) {
      const afterLogin = async ({ response, request }: Exchange) => {
        const shown = request.headers.authorization ?? '';
        const plain = Buffer.from(shown.replace('Basic ', ''), 'base64').toString();
        response.writeHead(status).end(say(`${shown} ${plain}`));
        return true;
      };
      const intercept = async (exchange: Exchange) =>
        (await withBasic.intercept(exchange)) || (exchange.record.kind !== 'ping' && afterLogin(exchange));
      await using at = await openEndpoints({ count: 1, credentials, servers: { intercept } });
      const { message } = await upstreamError(at.upstream.fetchManifest(path, latest, never));
      expect(message).toContain(`answered ${status}`);
      expect(message).not.toMatch(/first|word|Zmlyc3Q|b25l/);
      expect(JSON.stringify(at.upstream.status())).not.toMatch(/first|word|Zmlyc3Q|b25l/);
    }
  });

  test('is shown to other endpoints on the host of the registry', async () => {
    await using at = await openEndpoints({ credentials, servers: withBasic });
    expect(await at.upstream.resolve(path, latest, never)).toBeDefined();
    expect(at.asked()).toEqual([2, 0]);
  });

  test('is not shown to endpoints of others', async () => {
    await using at = await openEndpoints({ count: 2, servers: withBasic });
    const [other, registry] = at.servers.map(({ url }) => url);
    const endpoints = [new URL(String(other).replace('127.0.0.1', 'localhost')), new URL(String(registry))];
    await using both = await openEndpoints({ count: 0, endpoints, credentials });
    expect(await both.upstream.resolve(path, latest, never)).toBeDefined();
    expect(at.servers[0]?.requests.length).toBeGreaterThan(0);
    expect(at.servers[0]?.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
    expect(at.registry.requests.at(-1)?.headers.authorization).toBeDefined();
  });
});

describe('an endpoint in the status', () => {
  test('is shown with its token server, once that is known', async () => {
    await using at = await openEndpoints({ count: 1, servers: { auth: {} } });
    expect(at.upstream.status().endpoints).toHaveLength(1);
    await at.upstream.resolve(path, latest, never);
    at.registry.tokens?.faults.add({}, refusals.pullLimit);
    await upstreamError(at.upstream.proveBlob('library/other', digestOf(Buffer.from('')), never));
    expect(at.upstream.status()).toMatchObject({
      name: 'registry.test',
      endpoints: [
        { endpoint: at.registry.url, isCircuitOpen: false, limits: [{ credential: 'anonymous' }] },
        { endpoint: at.registry.tokens?.server.host, isCircuitOpen: true, limits: [] },
      ],
    });
  });

  test('and in the metrics holds no credentials of its address', async () => {
    const endpoints = [new URL('http://user:secret@127.0.0.1:1/mirror/')];
    await using at = await openEndpoints({ count: 0, endpoints });
    expect(at.upstream.status().endpoints[0]?.endpoint).toBe('http://127.0.0.1:1/mirror');
    at.metrics.watchUpstreams(() => [at.upstream.status()]);
    const shown = await at.metrics.registry.metrics();
    expect(shown).toContain('endpoint="http://127.0.0.1:1/mirror"');
    expect(shown).not.toContain('secret');
  });
});
