// The gate before the mirror: who may pull goes on, and everybody else hears the same, whatever keeps them out.
import { afterEach, describe, expect, test } from 'vitest';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { until } from '../support/until.ts';
import { type Answer, errorOf, meaningOf, type StartRegistryOptions, scene, startRegistry } from './start-registry.ts';

const login = { username: 'mirror', password: 'a secret' };
const ci = { cidr: '10.1.0.0/16', principal: 'ci' };
const asCi = { headers: { 'x-forwarded-for': '10.1.2.3' } };
const known = { trustedProxies: ['127.0.0.1'], networks: [ci] };
const forCi = { effect: 'allow', principals: ['ci'], repositories: ['docker.io/acme/**'] } as const;

let running = new AsyncDisposableStack();

afterEach(async () => {
  await running.disposeAsync();
  running = new AsyncDisposableStack();
});

/** One upstream, whose credentials see acme/app, which nobody else sees, and library/app, which everybody does. */
async function withPrivate(options: Partial<StartRegistryOptions> = {}) {
  const upstream = running.use(await startFakeUpstream({ auth: { accounts: [login] }, missing: 'unauthorized' }));
  const image = upstream.addImage('acme/app');
  upstream.addImage('library/app');
  upstream.makePrivate('acme/app', login.username);
  const registry = await startRegistry({
    upstreams: { 'docker.io': { url: upstream.url, credentials: login } },
    exposures: { 'docker.io': 'check' },
    mayShare: false,
    access: { ...known, rules: [forCi] },
    ...options,
  });
  running.use(registry);
  const doorsOf = (name: string) => [
    `/v2/${name}/manifests/latest`,
    `/v2/${name}/manifests/${image.digest}`,
    `/v2/${name}/blobs/${image.layers[0]?.digest}`,
    `/v2/${name}/blobs/${image.config.digest}`,
    `/v2/${name}/tags/list`,
    `/v2/${name}/referrers/${image.digest}`,
  ];
  return { upstream, registry, image, doorsOf, ask: registry.ask };
}

describe('a private repository', () => {
  test('is given to whom the rules name, at every door', async () => {
    const { ask, doorsOf } = await withPrivate();
    for (const door of doorsOf('acme/app')) expect([door, (await ask(door, asCi)).status]).toEqual([door, 200]);
  });

  test('is 404 without a challenge to everybody else, cached or not', async () => {
    const { ask, doorsOf } = await withPrivate();
    for (const door of doorsOf('acme/app')) {
      const before = await ask(door);
      expect([door, before.status, before.headers['www-authenticate']]).toEqual([door, 404, undefined]);
    }
    for (const door of doorsOf('acme/app')) await ask(door, asCi);
    for (const door of doorsOf('acme/app')) expect([door, (await ask(door)).status]).toEqual([door, 404]);
  });

  test('reads as one that does not exist', async () => {
    const { ask, doorsOf } = await withPrivate();
    for (const door of doorsOf('acme/app')) await ask(door, asCi);
    const missing = doorsOf('acme/missing');
    for (const [at, door] of doorsOf('acme/app').entries()) {
      for (const method of ['GET', 'HEAD']) {
        const [kept, absent] = [await ask(door, { method }), await ask(missing[at] ?? '', { method })];
        expect(told(kept)).toEqual(told(absent));
      }
    }
  });

  test('is asked about once, however many ask', async () => {
    const { ask, upstream } = await withPrivate();
    await Promise.all(Array.from({ length: 20 }, () => ask('/v2/acme/app/manifests/latest')));
    await ask('/v2/acme/app/tags/list');
    expect(upstream.count({ kind: 'tags' })).toBeLessThanOrEqual(2); // and the challenge before the token
    expect(upstream.count({ kind: 'manifest' })).toBe(0);
  });

  test('leaves a line in the log that says why', async () => {
    const { ask, registry } = await withPrivate();
    await ask('/v2/acme/app/manifests/latest');
    const line = await until('the request is logged', () => registry.mirror.logLines.find(({ refused }) => refused));
    expect(line).toMatchObject({ status: 404, refused: 'not public', repository: 'docker.io/acme/app' });
  });
});

test('a public repository goes to everybody, fetched with our credentials', async () => {
  const { ask, upstream } = await withPrivate();
  expect((await ask('/v2/library/app/manifests/latest')).status).toBe(200);
  const [fetched] = upstream.server.find({ kind: 'manifest', method: 'GET' }).slice(-1);
  expect(upstream.tokens?.userOf(String(fetched?.headers.authorization))).toBe(login.username);
});

test('visibility "private" wants a principal for a public repository too, and asks nobody', async () => {
  const { ask, upstream } = await withPrivate({ exposures: { 'docker.io': 'private' } });
  expect((await ask('/v2/library/app/manifests/latest')).status).toBe(404);
  expect((await ask('/v2/library/app/manifests/latest', asCi)).status).toBe(404);
  expect(upstream.requests).toHaveLength(0);
  expect((await ask('/v2/acme/app/manifests/latest', asCi)).status).toBe(200);
});

test('visibility "public" gives everybody what the credentials see', async () => {
  const { ask } = await withPrivate({ exposures: { 'docker.io': 'public' } });
  expect((await ask('/v2/acme/app/manifests/latest')).status).toBe(200);
});

test('the first rule that matches decides, also against what is public', async () => {
  const deny = { effect: 'deny', principals: ['*'], repositories: ['docker.io/library/**'] } as const;
  const { ask, upstream } = await withPrivate({
    access: { ...known, rules: [deny, { ...forCi, repositories: ['**'] }] },
  });
  for (const asking of [{}, asCi]) expect((await ask('/v2/library/app/manifests/latest', asking)).status).toBe(404);
  expect(upstream.requests).toHaveLength(0);
});

test('the catalog names what the caller may pull and nothing else', async () => {
  const { ask } = await withPrivate();
  await ask('/v2/acme/app/manifests/latest', asCi);
  await ask('/v2/library/app/manifests/latest');
  const listed = async (asking = {}) => JSON.parse((await ask('/v2/_catalog', asking)).body.toString()).repositories;
  expect(await listed()).toEqual(['docker.io/library/app']);
  expect(await listed(asCi)).toEqual(['docker.io/acme/app', 'docker.io/library/app']);
  expect((await ask('/v2/_catalog?n=1', asCi)).headers.link).toContain('last=docker.io%2Facme%2Fapp');
  expect((await ask('/v2/_catalog?n=1')).headers.link).toBeUndefined();
});

test('X-Forwarded-For of anybody but a trusted proxy says nothing', async () => {
  const { ask } = await withPrivate({ access: { ...known, trustedProxies: [], rules: [forCi] } });
  expect((await ask('/v2/acme/app/manifests/latest', asCi)).status).toBe(404);
});

test('with no credentials, rules and names nothing is asked and nothing is kept', async () => {
  const { upstream, ask } = running.use(await scene());
  upstream.addImage('library/app');
  expect((await ask('/v2/library/app/manifests/latest')).status).toBe(200);
  expect(upstream.count({ kind: 'tags' })).toBe(0);
});

/** All that an answer says, but for the name that was asked for. */
function told(answer: Answer) {
  const body = answer.body.length > 0 ? errorOf(answer).replace(/docker\.io\/\S+/, 'NAME') : '';
  const { 'content-length': _, ...headers } = meaningOf(answer);
  return { status: answer.status, headers, body };
}
