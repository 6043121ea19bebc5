// Rules that would match nothing, and doors that would open for nobody.
import { describe, expect, test } from 'vitest';
import { faultOf, load } from './config-files.ts';

const denying = (glob: string, upstreams = {}) => ({
  upstreams,
  access: { rules: [{ effect: 'deny', principals: ['*'], repositories: ['docker.io/acme/**', glob] }] },
});
const where = 'access.rules[0].repositories[1]';

describe('refuses a rule over', () => {
  test.each([
    ['docker.io/alpine', 'names of one part are under "docker.io/library/alpine"'],
    ['docker.io/*', 'names of one part are under "docker.io/library/*"'],
    ['index.docker.io/acme/app', 'a glob that begins with one of the upstreams: docker.io, '],
    ['Docker.io/acme/app', 'a glob that begins with one of the upstreams: docker.io, '],
    ['docker.io:443/acme/app', 'a glob that begins with one of the upstreams: docker.io, '],
    ['docker.io/Acme/app', 'lower-case paths'],
    ['docker.io/acme/app:latest', 'without tag or digest'],
    ['acme/app', 'a glob that begins with one of the upstreams: docker.io, '],
    ['*', '"**" is all'],
    ['acme', 'a glob over registry/path'],
    ['** acme', 'a glob over lower-case paths'],
    ['*'.repeat(1001), 'a glob of at most 1000 characters'],
  ])('%s', (glob, why) => {
    const fault = faultOf(() => load(denying(glob)));
    expect(fault).toContain(where);
    expect(fault).toContain(why);
  });

  test('anybody whose name is nearly "anonymous"', () => {
    const rules = [{ effect: 'deny', principals: ['Anonymous'], repositories: ['**'] }];
    expect(faultOf(() => load({ access: { rules } }))).toContain('"anonymous", in lower case');
  });
});

test.each([
  '**',
  'docker.io/**',
  '*/acme/**',
  'docker.io/**-secret',
  'ghcr.io/acme',
  'ghcr.io/*',
  'docker.io/library/*',
  '**/secret',
])('takes a rule over %s', (glob) => {
  expect(load(denying(glob)).config.access.rules).toHaveLength(1);
});

test('takes a rule over any registry where any may be asked', () => {
  expect(load(denying('elsewhere.example/acme/**', { '*': {} })).config.access.rules).toHaveLength(1);
});

test.each(['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'])(
  'refuses the upstream %s, which images know as docker.io',
  (name) => {
    expect(faultOf(() => load({ upstreams: { [name]: {} } }))).toContain('the name that images have: docker.io');
  },
);

describe('"none" for the anonymous', () => {
  test('is refused where nobody could be anybody else', () => {
    expect(faultOf(() => load({ access: { anonymous: 'none' } }))).toContain('together with a way to be known');
  });

  test.each([
    { access: { htpasswdFile: 'a' } },
    { access: { tokensFile: 'a' } },
    { access: { oidc: [{ issuer: 'https://issuer.example', audience: 'a' }] } },
    { access: { networks: [{ cidr: '10.0.0.0/8', principal: 'a' }] } },
    { access: {}, listen: { tls: { certFile: 'a', keyFile: 'b', clientCaFile: 'c' } } },
  ])('is taken with %j', ({ access, ...others }) => {
    expect(load({ access: { anonymous: 'none', ...access }, ...others }).config.access.anonymous).toBe('none');
  });
});

test.each(['anonymous', 'ANONYMOUS', 'a*'])('no network makes a client %s', (principal) => {
  const networks = [{ cidr: '10.0.0.0/8', principal }];
  expect(faultOf(() => load({ access: { networks } }))).toContain('other than "anonymous"');
});
