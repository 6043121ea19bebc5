// Which tokens prove somebody, and that no other does.
import { createHmac } from 'node:crypto';
import { exportSPKI, importJWK } from 'jose';
import { describe, expect, test } from 'vitest';
import { makeKey } from '../support/oidc-issuer.ts';
import { IdentityScene, startSeconds } from './identity-scene.ts';

const part = (content: unknown) => Buffer.from(JSON.stringify(content)).toString('base64url');

describe('a token', () => {
  test.each(['RS256', 'RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA'])(
    'signed with %s is believed',
    async (alg) => {
      await using scene = await IdentityScene.start({ alg });
      expect(await scene.identities.verify(await scene.token())).toEqual({ name: 'ci', by: 'identity' });
      expect(scene.problems).toEqual([]);
    },
  );

  test('costs one look for the keys, however many come', async () => {
    await using scene = await IdentityScene.start();
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, at) => scene.token({ claims: { sub: `job-${at}` } })),
    );
    const names = await Promise.all(tokens.map((token) => scene.nameOf(token)));
    expect(names).toEqual(tokens.map((_, at) => `job-${at}`));
    expect(scene.issuer.server.requests.map(({ path }) => path)).toEqual([
      '/.well-known/openid-configuration',
      '/keys',
    ]);
  });

  test.each([
    ['another audience', { aud: 'another' }],
    ['no audience', { aud: undefined }],
    ['an audience that is part of ours', { aud: 'mirro' }],
    ['other audiences', { aud: ['one', 'two'] }],
    ['no audience in its list', { aud: [] }],
    ['no expiry', { exp: undefined }],
    ['an expiry that is no number', { exp: '9999999999' }],
    ['an expiry more than half a minute ago', { exp: startSeconds - 31 }],
    ['a beginning more than half a minute ahead', { nbf: startSeconds + 31 }],
    ['an issue more than half a minute ahead', { iat: startSeconds + 31 }],
    ['no subject', { sub: undefined }],
    ['a subject that is no text', { sub: 7 }],
    ['an empty subject', { sub: '' }],
    ['the subject admin', { sub: 'admin' }],
    ['the subject anonymous', { sub: 'anonymous' }],
    ['the subject *', { sub: '*' }],
    ['a subject with a star in it', { sub: 'ci-*' }],
    ['a subject with a line break in it', { sub: 'ci\nadmin' }],
  ])('with %s proves nobody', async (_what, claims) => {
    await using scene = await IdentityScene.start();
    expect(await scene.nameWith({ claims })).toBeUndefined();
    expect(await scene.nameWith()).toBe('ci');
  });

  test.each([
    ['our audience among others', { aud: ['one', 'mirror'] }],
    ['an expiry less than half a minute ago', { exp: startSeconds - 29 }],
    ['a beginning less than half a minute ahead', { nbf: startSeconds + 29 }],
    ['an issue less than half a minute ahead', { iat: startSeconds + 29 }],
    ['no time of issue', { iat: undefined }],
  ])('with %s is believed', async (_what, claims) => {
    await using scene = await IdentityScene.start();
    expect(await scene.nameWith({ claims })).toBe('ci');
  });

  test('from an issuer that is not trusted proves nobody, and asks nobody', async () => {
    await using scene = await IdentityScene.start();
    await using other = await IdentityScene.start();
    expect(await scene.nameOf(await other.token())).toBeUndefined();
    for (const iss of [`${scene.issuer.name}/`, scene.issuer.name.toUpperCase(), undefined, 7, ['x'], '__proto__'])
      expect(await scene.nameWith({ claims: { iss } })).toBeUndefined();
    expect([scene, other].flatMap(({ issuer }) => issuer.server.requests)).toEqual([]);
  });

  test('signed by another than the issuer it names proves nobody', async () => {
    await using scene = await IdentityScene.start();
    const [own] = scene.issuer.keys;
    const foreign = { ...(await makeKey('ES256')), kid: own?.kid ?? '' };
    expect(await scene.nameWith({ key: foreign })).toBeUndefined();
    expect(await scene.nameWith()).toBe('ci');
  });

  test('of one trusted issuer in the name of another proves nobody', async () => {
    await using other = await IdentityScene.start();
    await using scene = await IdentityScene.start({ entries: [{}, { issuer: other.issuer.name }] });
    const forged = await other.token({ claims: { iss: scene.issuer.name } });
    expect(await scene.nameOf(forged)).toBeUndefined();
    expect(await scene.nameWith()).toBe('ci');
  });

  test('that brings its own key proves nobody', async () => {
    await using scene = await IdentityScene.start();
    const key = await makeKey('ES256');
    const url = `${scene.issuer.server.url}/other-keys`;
    for (const header of [{ jwk: key.jwk }, { jku: url }, { x5u: url }, { jwk: key.jwk, kid: undefined }])
      expect(await scene.nameWith({ key, header })).toBeUndefined();
    expect(scene.issuer.server.count({ path: '/other-keys' })).toBe(0);
  });

  test('with changed claims proves nobody', async () => {
    await using scene = await IdentityScene.start();
    const [header, claims = '', signature] = (await scene.token()).split('.');
    const changed = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), sub: 'boss' };
    expect(await scene.nameOf([header, part(changed), signature].join('.'))).toBeUndefined();
    expect(await scene.nameOf([header, claims, signature].join('.'))).toBe('ci');
  });

  test.each(['none', 'None', 'NONE', '', undefined, null, 7])(
    'with the algorithm %j proves nobody, and asks nobody',
    async (alg) => {
      await using scene = await IdentityScene.start();
      const [, claims, signature] = (await scene.token()).split('.');
      for (const last of ['', signature])
        expect(await scene.nameOf([part({ alg, typ: 'JWT' }), claims, last].join('.'))).toBeUndefined();
      expect(scene.issuer.server.requests).toEqual([]);
    },
  );

  test.each(['HS256', 'HS384', 'HS512'])(
    'signed with %s and the public key as the secret proves nobody',
    async (alg) => {
      await using scene = await IdentityScene.start({ alg: 'RS256' });
      const [key] = scene.issuer.keys;
      if (!key) throw new Error('no key');
      const pem = await exportSPKI((await importJWK(key.jwk, 'RS256', { extractable: true })) as CryptoKey);
      const claims = (await scene.token()).split('.')[1];
      for (const secret of [pem, pem.trim(), JSON.stringify(key.jwk)]) {
        const signed = `${part({ alg, kid: key.kid })}.${claims}`;
        const signature = createHmac(alg.replace('HS', 'sha'), secret).update(signed).digest('base64url');
        expect(await scene.nameOf(`${signed}.${signature}`)).toBeUndefined();
      }
      expect(scene.issuer.server.requests).toEqual([]);
    },
  );

  test('whose algorithm is not that of the key it names proves nobody', async () => {
    await using scene = await IdentityScene.start({ alg: 'RS256' });
    const [key] = scene.issuer.keys;
    if (!key) throw new Error('no key');
    const foreign = { ...(await makeKey('ES256')), kid: key.kid };
    expect(await scene.nameWith({ key: foreign })).toBeUndefined();
  });

  test('that asks for an extension nobody knows proves nobody', async () => {
    await using scene = await IdentityScene.start();
    const [, claims, signature] = (await scene.token()).split('.');
    const header = { alg: 'ES256', kid: scene.issuer.keys[0]?.kid, crit: ['odd'], odd: true };
    expect(await scene.nameOf([part(header), claims, signature].join('.'))).toBeUndefined();
  });

  test('without a key name is believed where the issuer has one key, and not where it could be either', async () => {
    await using scene = await IdentityScene.start();
    const nameless = await scene.token({ header: { kid: undefined } });
    expect(await scene.nameOf(nameless)).toBe('ci');
    await using other = await IdentityScene.start();
    other.issuer.keys = [...other.issuer.keys, await makeKey('ES256')];
    expect(await other.nameWith({ header: { kid: undefined } })).toBeUndefined();
    expect(await other.nameWith()).toBe('ci');
  });

  test('that is huge proves nobody, and asks nobody', async () => {
    await using scene = await IdentityScene.start();
    const huge = await scene.token({ claims: { padding: 'x'.repeat(20_000) } });
    expect(scene.identities.looksLike(huge)).toBe(false);
    expect(await scene.nameOf(huge)).toBeUndefined();
    expect(scene.issuer.server.requests).toEqual([]);
  });

  test.each([
    ['nothing', ''],
    ['dots', '..'],
    ['a password', 'hunter2'],
    ['a token of ours', 'swt_abcdefghijklmnopqrstuvwxyz'],
    ['parts that are no base64url', 'a+b.c/d.e='],
    ['parts that are no JSON', 'abc.def.ghi'],
    ['a header that is no object', `${part([])}.${part({})}.x`],
    ['a header that is null', `${part(null)}.${part(null)}.x`],
    ['claims that are no object', `${part({ alg: 'ES256' })}.${part('x')}.x`],
    ['five parts, as encrypted tokens have', 'a.b.c.d.e'],
    ['a line break behind it', `${part({ alg: 'ES256' })}.${part({})}.x\n`],
  ])('that is %s proves nobody, and asks nobody', async (_what, token) => {
    await using scene = await IdentityScene.start();
    expect(await scene.nameOf(token)).toBeUndefined();
    expect(scene.issuer.server.requests).toEqual([]);
  });

  test('has the form of one, which a password and our own tokens have not', async () => {
    await using scene = await IdentityScene.start();
    expect(scene.identities.looksLike(await scene.token())).toBe(true);
    for (const other of ['', 'hunter2', 'swt_abc', 'a.b', 'a.b.c.d', '.b.c', 'a b.c.d'])
      expect(scene.identities.looksLike(other)).toBe(false);
  });
});
