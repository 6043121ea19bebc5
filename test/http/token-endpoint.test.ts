// A mirror that serves only those it knows: the challenge, the token endpoint, and that nobody gets past them.
import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hashPassword } from '../../src/access/bcrypt.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { errorOf, type Scene, scene } from './start-registry.ts';

const door = '/v2/library/app/manifests/latest';
const namedToken = `swt_${'a'.repeat(43)}`;
const scoped = `swt_${'b'.repeat(43)}`;

let dir: TempDir;
let running: Scene;

beforeEach(async () => {
  dir = await tempDir('token-endpoint');
  const [htpasswdFile, tokensFile] = [join(dir.path, 'users'), join(dir.path, 'tokens.json')];
  await writeFile(htpasswdFile, `alice:${await hashPassword('right')}\n`);
  const tokenOf = (name: string, text: string, scopes?: string[]) => {
    const sha256 = createHash('sha256').update(text).digest('hex');
    return { name, sha256, createdAt: '2026-01-01T00:00:00Z', ...(scopes && { scopes }) };
  };
  const tokens = [tokenOf('builder', namedToken), tokenOf('narrow', scoped, ['docker.io/acme/**'])];
  await writeFile(tokensFile, JSON.stringify({ tokens }));
  running = await scene({ access: { anonymous: 'none', htpasswdFile, tokensFile, trustedProxies: [] } });
  running.upstream.addImage('library/app');
});

afterEach(async () => {
  await running[Symbol.asyncDispose]();
  await dir[Symbol.asyncDispose]();
});

const basic = (user: string, password: string) => ({
  headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
});
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

async function tokenFor(asking: { headers: { authorization: string } }): Promise<string> {
  const answer = await running.ask('/token?service=stillwater&scope=repository:library/app:pull', asking);
  expect(answer.status).toBe(200);
  const body = JSON.parse(answer.body.toString());
  expect(body).toMatchObject({ access_token: body.token, expires_in: 300 });
  expect(answer.headers['cache-control']).toBe('no-store');
  return body.token;
}

describe('without credentials of ours', () => {
  test.each(['/v2/', door, '/v2/_catalog', '/docker.io/v2/', '/', '/v2/library/app/tags/list', '/elsewhere'])(
    '%s is 401 with a challenge to our own endpoint, and nothing is asked upstream',
    async (path) => {
      const answer = await running.ask(path);
      const { host } = new URL(running.registry.url);
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toBe(`Bearer realm="http://${host}/token",service="stillwater"`);
      expect(answer.headers['docker-distribution-api-version']).toBe('registry/2.0');
      expect(errorOf(answer)).toMatch(/^UNAUTHORIZED: /);
      expect(running.upstream.requests).toHaveLength(0);
    },
  );

  test('a write is 401 too', async () => {
    expect((await running.ask('/v2/library/app/blobs/uploads/', { method: 'POST' })).status).toBe(401);
  });

  test.each([
    ['a wrong password', basic('alice', 'wrong')],
    ['an unknown user', basic('bob', 'right')],
    ['no login, as podman sends it', basic('', '')],
    ['an unknown token', bearer(`swt_${'c'.repeat(43)}`)],
    ['a token that was never issued', bearer(`swi_${'c'.repeat(43)}`)],
  ])('%s gets no token, and is told so', async (_, asking) => {
    const refused = await running.ask(door, asking);
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([
      401,
      expect.stringContaining('invalid_token'),
    ]);
    const answer = await running.ask('/token', asking);
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, 'Basic realm="stillwater"']);
  });
});

test.each([
  ['a password', basic('alice', 'right')],
  ['a named token', bearer(namedToken)],
  ['a named token as the password of anybody', basic('anybody', namedToken)],
])('%s pulls, and gets a token that pulls', async (_, asking) => {
  expect((await running.ask(door, asking)).status).toBe(200);
  const token = await tokenFor(asking);
  expect((await running.ask('/v2/', bearer(token))).status).toBe(200);
  expect((await running.ask(door, bearer(token))).status).toBe(200);
});

test('a token that was issued is not exchanged for another', async () => {
  const token = await tokenFor(basic('alice', 'right'));
  expect((await running.ask('/token', bearer(token))).status).toBe(401);
});

test('whoever is known by a network only gets no token to carry elsewhere', async () => {
  const networks = [{ cidr: '127.0.0.0/8', principal: 'ci' }];
  await using near = await scene({ access: { anonymous: 'none', networks, trustedProxies: [] } });
  expect((await near.ask('/v2/')).status).toBe(200);
  expect((await near.ask('/token')).status).toBe(401);
});

test('a proxy that does not say whom it brings is no client of the network that it is in', async () => {
  const networks = [{ cidr: '127.0.0.0/8', principal: 'ci' }];
  await using near = await scene({ access: { anonymous: 'none', networks, trustedProxies: ['127.0.0.1'] } });
  expect((await near.ask('/v2/')).status).toBe(401);
});

test('a token is nobody outside of its scopes', async () => {
  expect((await running.ask('/v2/', bearer(scoped))).status).toBe(200);
  expect((await running.ask(door, bearer(scoped))).status).toBe(404);
  expect((await running.ask(door, bearer(await tokenFor(bearer(scoped))))).status).toBe(404);
});

test('the challenge names no host that could not be one', async () => {
  const answer = await running.ask('/v2/', { headers: { host: 'evil"host' } });
  expect(answer.headers['www-authenticate'] ?? '').not.toContain('evil');
});

test('behind a proxy that nobody trusts the challenge names no place at all', async () => {
  for (const headers of [{ 'x-forwarded-host': 'evil.example' }, { 'x-forwarded-proto': 'https' }])
    expect((await running.ask('/v2/', { headers })).headers['www-authenticate']).toBe('Basic realm="stillwater"');
});

test('behind proxies that are trusted the challenge names what the client used', async () => {
  const networks = [{ cidr: '192.0.2.0/24', principal: 'ci' }];
  await using behind = await scene({ access: { anonymous: 'none', networks, trustedProxies: ['127.0.0.1'] } });
  const headers = { 'x-forwarded-host': 'mirror.example', 'x-forwarded-proto': 'https, http' };
  expect((await behind.ask('/v2/', { headers })).headers['www-authenticate']).toBe(
    'Bearer realm="https://mirror.example/token",service="stillwater"',
  );
});

test('a mirror for everybody has no token endpoint and never challenges', async () => {
  await using open = await scene();
  expect((await open.ask('/token', basic('alice', 'right'))).status).toBe(404);
  expect((await open.ask('/v2/', basic('alice', 'wrong'))).headers['www-authenticate']).toBeUndefined();
});
