// What everybody is shown is asked of the registry itself, as nobody: no login is shown, helped or hurt by it.
import { describe, expect, test, vi } from 'vitest';
import type { FakeUpstream, FakeUpstreamOptions, Hidden } from '../support/fake-upstream.ts';
import { type FaultEffect, type FaultyRequest, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { type EndpointsScene, latest, openEndpoints, path } from './endpoints-scene.ts';
import { never, upstreamError } from './upstream-scene.ts';

const robot = { username: 'robot', password: 's3cr3t' };
const auth = { accounts: [robot] };
const limited: FaultEffect = { ...refusals.abuseLimit, headers: { 'retry-after': '300' } };

const isPublic = ({ upstream }: EndpointsScene, name = path) => upstream.isPublic(name, never);
const pull = ({ upstream }: EndpointsScene, name = path) => upstream.fetchManifest(name, latest, never);
const open = (servers: FakeUpstreamOptions, count = 1) => openEndpoints({ count, credentials: robot, servers });

/** What was shown with the questions about who sees what, and who it belongs to. */
function shownBy({ requests, tokens }: FakeUpstream) {
  const shown = requests.filter(({ kind }) => kind === 'tags').map(({ headers }) => headers.authorization);
  return { shown, users: shown.map((authorization) => tokens?.userOf(authorization)) };
}

const kinds: readonly (readonly [string, FakeUpstreamOptions])[] = [
  ...(['unauthorized', 'denied', 'not-found', 'no token: 401', 'no token: 403'] satisfies Hidden[]).map(
    (hidden) => [`tokens, hidden as ${hidden}`, { auth, hidden }] as const,
  ),
  ['tokens, and nothing told from what is missing', { auth, missing: 'unauthorized' }],
  ['passwords', { basic: [robot] }],
];

describe.each(kinds)('a registry with %s', (_, servers) => {
  test('tells what is public from what is private or missing, whatever our login sees', async () => {
    await using at = await open(servers);
    expect(await isPublic(at)).toBe(true);
    expect(await isPublic(at, 'library/missing')).toBe(false);
    at.registry.addImage('acme/secret');
    at.registry.makePrivate('acme/secret', 'robot');
    expect(await isPublic(at, 'acme/secret')).toBe(false);
    expect(await pull(at, 'acme/secret')).toBeDefined();
    expect(await isPublic(at, 'acme/secret')).toBe(false);
  });

  test('is asked again each time', async () => {
    await using at = await open(servers);
    for (const [change, expected] of [
      [() => at.registry.makePrivate(path, 'robot'), false],
      [() => at.registry.makePublic(path), true],
      [() => at.registry.makePrivate(path, 'robot'), false],
    ] as const) {
      change();
      expect(await isPublic(at)).toBe(expected);
    }
  });

  test('is never shown the login with it', async () => {
    await using at = await open(servers);
    at.registry.makePrivate(path, 'robot');
    await isPublic(at);
    expect(await pull(at)).toBeDefined();
    await isPublic(at);
    at.registry.makePublic(path);
    await isPublic(at);
    const { shown, users } = shownBy(at.registry);
    expect(shown.length).toBeGreaterThanOrEqual(2);
    expect(shown.filter((authorization) => authorization?.startsWith('Basic '))).toEqual([]);
    expect(users.filter((user) => user !== undefined)).toEqual([]);
  });
});

test('an upstream without credentials answers as well', async () => {
  await using at = await openEndpoints({ count: 1, servers: { auth } });
  expect(await isPublic(at)).toBe(true);
  at.registry.makePrivate(path, 'robot');
  expect(await isPublic(at)).toBe(false);
});

test('a repository that nobody has tagged anything in is shown all the same', async () => {
  await using at = await open({});
  at.registry.faults.add({ kind: 'tags' }, { status: 200, contentType: 'application/json', body: '{"tags":null}' });
  expect(await isPublic(at)).toBe(true);
});

test('a mirror in front is not asked, whatever it would say', async () => {
  await using at = await open({ auth }, 3);
  at.registry.makePrivate(path, 'robot');
  expect(await isPublic(at)).toBe(false);
  const [first, second] = at.asked();
  expect([first, second]).toEqual([0, 0]);
});

describe('a registry that answers nothing of it', () => {
  const html = { ...refusals.html };
  const page = { status: 404, contentType: 'text/html', body: '<html>no such page</html>' };
  const json = (body: string) => ({ status: 200, contentType: 'application/json', body });
  test.each<[string, FaultEffect, string]>([
    ['fails', refusals.serverError, 'failing'],
    ['limits us', limited, 'limited'],
    ['says what the protocol does not know', { status: 400 }, 'protocol'],
    ['has a page to log in at', html, 'protocol'],
    ['has a page for what is missing', page, 'protocol'],
    ['has something else for everything', json('{"status":"ok"}'), 'protocol'],
    ['has tags that are no list', json('{"tags":"all"}'), 'protocol'],
    ['hangs up', { hangUp: true }, 'unreachable'],
  ])('because it %s: the question fails', async (_, effect, failure) => {
    await using at = await open({ auth });
    at.registry.faults.add({ kind: 'tags' }, effect);
    expect(await upstreamError(isPublic(at))).toMatchObject({ failure });
  });

  test.each<[string, FaultEffect, string]>([
    ['fails', refusals.serverError, 'failing'],
    ['limits us', limited, 'limited'],
    ['has no token', { status: 200, body: '{}' }, 'protocol'],
  ])('because its token server %s: the question fails', async (_, effect, failure) => {
    await using at = await open({ auth });
    at.registry.tokens?.faults.add({}, effect);
    expect(await upstreamError(isPublic(at))).toMatchObject({ failure });
  });

  test('because it is away: the question fails', async () => {
    await using at = await open({ auth });
    await at.registry.close();
    expect(await upstreamError(isPublic(at))).toMatchObject({ failure: 'unreachable' });
  });

  test('because its token server is away: the question fails', async () => {
    await using at = await open({ auth });
    await at.registry.tokens?.close();
    expect(await upstreamError(isPublic(at))).toMatchObject({ failure: 'unreachable' });
  });

  test('in time: the question ends, and ends at once when who asked leaves', async () => {
    await using at = await openEndpoints({ count: 1, answerTimeoutMs: 400, credentials: robot, servers: { auth } });
    const gate = new Gate();
    at.registry.faults.add({ kind: 'tags' }, { holdHeaders: gate });
    expect(await upstreamError(isPublic(at))).toMatchObject({ failure: 'timeout' });
    const leaving = new AbortController();
    const asking = at.upstream.isPublic('library/another', leaving.signal);
    leaving.abort(new Error('left'));
    await expect(asking).rejects.toThrow('left');
    gate.open();
  });
});

describe('what nobody is told', () => {
  test('rests nobody but nobody: logins go on at a registry that limits who has none', async () => {
    await using at = await open({ auth });
    at.registry.faults.add({ kind: 'tags', times: 1 }, limited);
    await upstreamError(isPublic(at));
    const asked = at.registry.count({ kind: 'tags' });
    const error = await upstreamError(isPublic(at, 'library/another'));
    expect(error).toMatchObject({ failure: 'limited', message: expect.stringContaining('not asked') });
    expect(error.retryAfterMs).toBeGreaterThan(290_000);
    expect(at.registry.count({ kind: 'tags' })).toBe(asked);
    expect(await pull(at)).toBeDefined();
    expect([at.upstream.mayAsk('manifest'), at.upstream.mayAsk('blob')]).toEqual([true, true]);
  });

  test('keeps no token from a login, where the token server limits who has none', async () => {
    await using at = await open({ auth });
    const isNobody = ({ headers }: FaultyRequest) => headers.authorization === undefined;
    at.registry.tokens?.faults.add({ when: isNobody }, limited);
    expect(await upstreamError(isPublic(at))).toMatchObject({ failure: 'limited' });
    expect(await pull(at)).toBeDefined();
  });

  test('is not held up by the limit of a login', async () => {
    await using at = await open({ auth });
    at.registry.faults.add({ kind: 'blob', times: 1 }, limited);
    await upstreamError(at.upstream.fetchBlob(path, at.blob, never));
    expect(at.upstream.mayAsk('blob')).toBe(false);
    expect(await isPublic(at)).toBe(true);
  });

  test('is told while the login is refused, too', async () => {
    await using at = await open({ auth: { accounts: [{ ...robot, password: 'changed' }] } });
    expect(await pull(at)).toBeDefined();
    at.registry.makePrivate(path, 'robot');
    expect(await isPublic(at)).toBe(false);
    expect(await isPublic(at, 'library/missing')).toBe(false);
  });

  test('does not make what the login was told doubtful', async () => {
    await using at = await open({ auth });
    await pull(at);
    const { lastAnswerAt } = at.upstream;
    at.registry.faults.add({ kind: 'tags', times: 1 }, limited);
    await upstreamError(isPublic(at));
    expect(at.upstream.lastAnswerAt).toBe(lastAnswerAt);
  });
});

test('questions about who sees what leave places for pulls', async () => {
  await using at = await openEndpoints({ count: 1, connections: 8, answerTimeoutMs: 30_000, servers: {} });
  const gate = new Gate();
  const held = at.registry.faults.add({ kind: 'tags' }, { holdHeaders: gate });
  const asking = Array.from({ length: 20 }, (_, index) => isPublic(at, `library/app${index}`));
  await vi.waitUntil(() => held.hits === 1);
  expect(await pull(at)).toBeDefined();
  expect(held.hits).toBe(1);
  gate.open();
  expect(new Set(await Promise.all(asking))).toEqual(new Set([false]));
});
