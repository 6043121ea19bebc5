// Private repositories of the fake upstream are seen by their readers alone, whichever way it knows them.
import { describe, expect, test } from 'vitest';
import { basic } from './fake-token-server.ts';
import { type FakeUpstream, type Hidden, startFakeUpstream } from './fake-upstream.ts';

const alice = { username: 'alice', password: 'a secret' };
const bob = { username: 'bob', password: 'another' };
const accounts = [alice, bob];
const repository = 'acme/app';

type Login = typeof alice | undefined;

function shown(login: Login): Record<string, string> {
  return login ? { authorization: basic(login.username, login.password) } : {};
}

async function tokenFor(upstream: FakeUpstream, login: Login): Promise<Response> {
  return fetch(`${upstream.tokens?.realm}?scope=repository:${repository}:pull`, { headers: shown(login) });
}

/** Every question of a pull, with a token of their own. */
async function askWithToken(upstream: FakeUpstream, login: Login): Promise<number[]> {
  const answer = await tokenFor(upstream, login);
  if (answer.status !== 200) return [answer.status];
  const { token } = (await answer.json()) as { token: string };
  return ask(upstream, { authorization: `Bearer ${token}` });
}

async function ask(upstream: FakeUpstream, headers: Record<string, string>): Promise<number[]> {
  const { manifest, config } = upstream.addImage(repository);
  const targets = ['manifests/latest', `blobs/${config.digest}`, 'tags/list?n=1'];
  const more = [`manifests/${manifest.content.digest}`, `referrers/${manifest.content.digest}`];
  const urls = [...targets, ...more].map((target) => `${upstream.url}/v2/${repository}/${target}`);
  const statuses = (await Promise.all(urls.map((url) => fetch(url, { headers })))).map(({ status }) => status);
  return [...new Set(statuses)];
}

describe('with tokens', () => {
  test.each<[Hidden, number]>([
    ['unauthorized', 401],
    ['denied', 403],
    ['not-found', 404],
    ['no token: 401', 401],
    ['no token: 403', 403],
  ])('a private repository is %s to who does not see it, until it is public', async (hidden, status) => {
    await using upstream = await startFakeUpstream({ auth: { accounts }, hidden });
    expect(await askWithToken(upstream, undefined)).toEqual([200]);
    upstream.makePrivate(repository, 'alice');
    expect(await askWithToken(upstream, alice)).toEqual([200]);
    expect(await askWithToken(upstream, bob)).toEqual([status]);
    expect(await askWithToken(upstream, undefined)).toEqual([status]);
    upstream.makePublic(repository);
    expect(await askWithToken(upstream, undefined)).toEqual([200]);
  });

  test.each<Hidden>(['unauthorized', 'no token: 403'])(
    '%s: a token from before it was private is worth nothing',
    async (hidden) => {
      await using upstream = await startFakeUpstream({ auth: { accounts }, hidden });
      const { token } = (await (await tokenFor(upstream, undefined)).json()) as { token: string };
      upstream.makePrivate(repository, 'alice');
      expect(await ask(upstream, { authorization: `Bearer ${token}` })).not.toContain(200);
    },
  );

  test('a wrong password gets no token', async () => {
    await using upstream = await startFakeUpstream({ auth: { accounts } });
    expect((await tokenFor(upstream, { ...alice, password: 'wrong' })).status).toBe(401);
  });
});

describe('with passwords', () => {
  test.each<[Hidden, number]>([
    ['unauthorized', 401],
    ['denied', 403],
    ['not-found', 404],
  ])('a private repository asks who they are, and is %s to others', async (hidden, status) => {
    await using upstream = await startFakeUpstream({ basic: accounts, hidden });
    expect(await ask(upstream, {})).toEqual([200]);
    upstream.makePrivate(repository, 'alice');
    expect(await ask(upstream, shown(alice))).toEqual([200]);
    expect(await ask(upstream, shown(bob))).toEqual([status]);
    const answer = await fetch(`${upstream.url}/v2/${repository}/tags/list`);
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="fake upstream"']);
  });

  test('a wrong password is refused, for what is public as well', async () => {
    await using upstream = await startFakeUpstream({ basic: accounts });
    expect(await ask(upstream, shown({ ...alice, password: 'wrong' }))).toEqual([401]);
  });
});
