// What the configuration says of an issuer's tokens: which claims they must have, and who then bears them.
import { describe, expect, test } from 'vitest';
import { IdentityScene } from './identity-scene.ts';

describe('the configuration of an issuer', () => {
  test('names who bears a token of it', async () => {
    await using scene = await IdentityScene.start({ entries: [{ principal: 'builds' }] });
    expect(await scene.nameWith()).toBe('builds');
    expect(await scene.nameWith({ claims: { sub: 'admin' } })).toBe('builds');
    expect(await scene.nameWith({ claims: { sub: undefined } })).toBe('builds');
  });

  test.each([
    ['the claim', { ref: 'refs/heads/main' }, { ref: 'refs/heads/main' }],
    ['a glob', { repository: 'acme/*' }, { repository: 'acme/app' }],
    ['several claims', { repository: 'acme/*', ref: '**' }, { repository: 'acme/app', ref: 'refs/heads/x' }],
    ['a number', { project_id: '42' }, { project_id: 42 }],
    ['a truth', { protected: 'true' }, { protected: true }],
    ['an element of a list', { groups: 'ops-*' }, { groups: ['dev', 'ops-eu'] }],
    ['a claim inside another', { 'realm_access.roles': 'pull' }, { realm_access: { roles: ['x', 'pull'] } }],
    ['one inside another with a dot in its name', { 'k8s.io.ns': 'ci' }, { 'k8s.io': { ns: 'ci' } }],
    ['a claim with a dot in its name', { 'k8s.io': 'x' }, { 'k8s.io': 'x', k8s: { io: 'y' } }],
  ])('matches %s', async (_what, wanted, claims) => {
    await using scene = await IdentityScene.start({ entries: [{ claims: wanted }] });
    expect(await scene.nameWith({ claims })).toBe('ci');
  });

  test.each([
    ['another text', { ref: 'refs/heads/main' }, { ref: 'refs/heads/main2' }],
    ['a glob that does not reach', { repository: 'acme/*' }, { repository: 'acme/team/app' }],
    ['one of two', { repository: 'acme/*', ref: 'main' }, { repository: 'acme/app', ref: 'other' }],
    ['a claim that is not there', { ref: '**' }, {}],
    ['a claim that is nothing', { ref: '**' }, { ref: null }],
    ['an object', { ref: '**' }, { ref: { a: 'b' } }],
    ['an empty list', { groups: '**' }, { groups: [] }],
    ['a list in a list', { groups: 'ops' }, { groups: [['ops']] }],
    ['a list as one text', { groups: 'a,b' }, { groups: ['a', 'b'] }],
    ['the outer of two', { 'realm_access.roles': '**' }, { realm_access: 'roles' }],
    ['a property that all objects have', { constructor: '**', 'toString.name': '**' }, {}],
    ['the length of a text', { 'ref.length': '4' }, { ref: 'main' }],
    ['the length of a list', { 'groups.length': '2' }, { groups: ['a', 'b'] }],
    ['another inside than its own', { 'k8s.io': 'y' }, { 'k8s.io': 'x', k8s: { io: 'y' } }],
  ])('does not match %s', async (_what, wanted, claims) => {
    await using scene = await IdentityScene.start({ entries: [{ claims: wanted }] });
    expect(await scene.nameWith({ claims })).toBeUndefined();
  });

  test('may tell its tokens apart: the first entry that matches names them', async () => {
    const entries = [
      { claims: { repository: 'acme/infra' }, principal: 'infra' },
      { claims: { repository: 'acme/*' }, principal: 'acme' },
      { audience: 'other', claims: { repository: 'rest/*' } },
    ];
    await using scene = await IdentityScene.start({ entries });
    expect(await scene.nameWith({ claims: { repository: 'acme/infra' } })).toBe('infra');
    expect(await scene.nameWith({ claims: { repository: 'acme/app' } })).toBe('acme');
    expect(await scene.nameWith({ claims: { repository: 'rest/app' } })).toBeUndefined();
    expect(await scene.nameWith({ claims: { repository: 'acme/app', aud: 'other' } })).toBeUndefined();
    expect(await scene.nameWith({ claims: { repository: 'rest/app', aud: 'other' } })).toBe('ci');
    expect(scene.issuer.keyRequests).toBe(1);
  });
});
