// The gate before the mirror: who may pull goes on, and everybody else hears the same, whatever keeps them out.
import { afterEach, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { asCi, forCi, login, withPrivate as privateScene, told } from './private-scene.ts';
import { type StartRegistryOptions, scene } from './start-registry.ts';

let running = new AsyncDisposableStack();

afterEach(async () => {
  await running.disposeAsync();
  running = new AsyncDisposableStack();
});

const withPrivate = (options: Partial<StartRegistryOptions> = {}) => privateScene(running, options);

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
    access: { rules: [deny, { ...forCi, repositories: ['**'] }] },
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
  const { ask } = await withPrivate({ access: { trustedProxies: [] } });
  expect((await ask('/v2/acme/app/manifests/latest', asCi)).status).toBe(404);
});

test('with no credentials, rules and names nothing is asked and nothing is kept', async () => {
  const { upstream, ask } = running.use(await scene());
  upstream.addImage('library/app');
  expect((await ask('/v2/library/app/manifests/latest')).status).toBe(200);
  expect(upstream.count({ kind: 'tags' })).toBe(0);
});
