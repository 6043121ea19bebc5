// Where the keys of an issuer come from, how long they are believed, and what becomes of one that cannot be asked.
import { describe, expect, test } from 'vitest';
import { makeKey } from '../support/oidc-issuer.ts';
import { IdentityScene } from './identity-scene.ts';

const discovery = '/.well-known/openid-configuration';

describe('the keys of an issuer', () => {
  test('are found below an issuer with a path, and with a slash at its end', async () => {
    for (const name of ['https://issuer.example/realms/main', 'https://issuer.example/realms/main/']) {
      await using scene = await IdentityScene.start({
        name,
        options: {
          fetch: async (url, init) => {
            const asked = String(url).replace('https://issuer.example/realms/main/', `${scene.issuer.server.url}/`);
            return await fetch(asked, init);
          },
        },
      });
      scene.issuer.lies = { jwks_uri: 'https://issuer.example/realms/main/keys' };
      expect(await scene.nameWith()).toBe('ci');
      expect(scene.issuer.server.requests[0]?.path).toBe(discovery);
    }
  });

  test('may be at another host, as some issuers have them', async () => {
    await using keys = await IdentityScene.start();
    await using scene = await IdentityScene.start();
    scene.issuer.lies = { jwks_uri: `${keys.issuer.server.url}/keys` };
    expect(await scene.nameWith({ key: keys.issuer.keys[0] })).toBe('ci');
    expect(await scene.nameWith()).toBeUndefined();
  });

  test('are asked for again after ten minutes, and what is gone then is believed no more', async () => {
    await using scene = await IdentityScene.start();
    const [old] = scene.issuer.keys;
    await scene.nameWith();
    await scene.issuer.rotate();
    scene.pass(600);
    expect(await scene.nameWith({ key: old })).toBe('ci');
    expect(scene.issuer.keyRequests).toBe(1);
    scene.pass(1);
    expect(await scene.nameWith({ key: old })).toBeUndefined();
    expect(await scene.nameWith()).toBe('ci');
    expect(scene.issuer.keyRequests).toBe(2);
  });

  test('rotate: a token of a new key makes us ask once, and the old ones end with their key', async () => {
    await using scene = await IdentityScene.start();
    const old = await scene.token();
    expect(await scene.nameOf(old)).toBe('ci');
    await scene.issuer.rotate('RS256');
    const tokens = await Promise.all(Array.from({ length: 20 }, () => scene.token()));
    expect(await Promise.all(tokens.map((token) => scene.nameOf(token)))).toEqual(tokens.map(() => 'ci'));
    expect(scene.issuer.keyRequests).toBe(2);
    expect(await scene.nameOf(old)).toBeUndefined();
  });

  test('are asked for once in half a minute by a thousand tokens of keys that nobody has', async () => {
    await using scene = await IdentityScene.start();
    const storm = async (prefix: string) => {
      const key = await makeKey('ES256');
      const kids = Array.from({ length: 1000 }, (_, at) => `${prefix}-${at}`);
      const tokens = await Promise.all(kids.map((kid) => scene.token({ key, header: { kid } })));
      for (const token of tokens.slice(0, 500)) expect(await scene.nameOf(token)).toBeUndefined();
      const names = await Promise.all(tokens.slice(500).map((token) => scene.nameOf(token)));
      expect(names.filter(Boolean)).toEqual([]);
    };
    expect(await scene.nameWith()).toBe('ci');
    expect(scene.issuer.keyRequests).toBe(1);
    await storm('a');
    expect(scene.issuer.keyRequests).toBe(2);
    scene.pass(29);
    await storm('b');
    expect(scene.issuer.keyRequests).toBe(2);
    scene.pass(1);
    await storm('c');
    expect(scene.issuer.keyRequests).toBe(3);
    expect(await scene.nameWith()).toBe('ci');
  });

  test('are not asked for twice by the first token, when it names a key that nobody has', async () => {
    await using scene = await IdentityScene.start();
    expect(await scene.nameWith({ header: { kid: 'nobody' } })).toBeUndefined();
    expect(scene.issuer.keyRequests).toBe(1);
  });

  test('beside keys that nobody can use are used', async () => {
    await using scene = await IdentityScene.start();
    scene.issuer.oddKeys = [
      { kty: 'oct', kid: 'secret', k: 'c2VjcmV0', alg: 'HS256' },
      { kty: 'EC', crv: 'P-256', kid: 'broken', x: 'AA', y: 'AA' },
      { kty: 'XYZ', kid: 'odd' },
      {},
    ];
    expect(await scene.nameWith({ header: { kid: 'broken' } })).toBeUndefined();
    expect(await scene.nameWith()).toBe('ci');
  });

  test('are not those for encryption', async () => {
    await using scene = await IdentityScene.start();
    scene.issuer.keys = scene.issuer.keys.map((key) => ({ ...key, jwk: { ...key.jwk, use: 'enc' } }));
    expect(await scene.nameWith()).toBeUndefined();
  });
});

describe('an issuer that is away', () => {
  test('is not missed while its keys are fresh', async () => {
    await using scene = await IdentityScene.start();
    await scene.nameWith();
    await scene.issuer.server.close();
    scene.pass(599);
    expect(await scene.nameWith()).toBe('ci');
    expect(scene.problems).toEqual([]);
  });

  test('has its keys believed for a day', async () => {
    await using scene = await IdentityScene.start();
    await scene.nameWith();
    await scene.issuer.server.close();
    scene.pass(24 * 3600);
    expect(await scene.nameWith()).toBe('ci');
    scene.pass(1);
    expect(await scene.nameWith()).toBeUndefined();
  });

  test('and whose keys are not known proves nobody; ten seconds later it is asked again', async () => {
    await using scene = await IdentityScene.start();
    await scene.issuer.server.close();
    expect(await scene.nameWith()).toBeUndefined();
    await scene.issuer.server.reopen();
    scene.pass(9);
    expect(await scene.nameWith()).toBeUndefined();
    expect(scene.issuer.server.requests).toEqual([]);
    scene.pass(1);
    expect(await scene.nameWith()).toBe('ci');
  });

  test('is told of once a minute, without a word of the token', async () => {
    await using scene = await IdentityScene.start();
    await scene.issuer.server.close();
    const token = await scene.token();
    for (let second = 0; second < 60; second += 10) {
      expect(await scene.nameOf(token)).toBeUndefined();
      scene.pass(10);
    }
    expect(scene.problems).toEqual([
      expect.stringMatching(
        /^true: the keys of http:\/\/127\.0\.0\.1:\d+ could not be had: fetch failed: .*ECONNREFUSED/,
      ),
    ]);
    await scene.nameOf(token);
    expect(scene.problems).toHaveLength(2);
    for (const piece of token.split('.')) expect(scene.problems.join()).not.toContain(piece);
  });
});
