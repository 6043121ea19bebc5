// Keys of the contract that this version refuses, or takes with a warning.
import { describe, expect, test } from 'vitest';
import { faultOf, load } from './config-files.ts';

const login = { username: 'me', password: 'hunter2' };
const upstream = (keys: unknown) => ({ upstreams: { 'quay.io': keys } });

describe('refuses', () => {
  test.each([
    ['listen.tls.clientCaFile', { listen: { tls: { certFile: 'a', keyFile: 'b', clientCaFile: 'c' } } }],
    ['admin.token', { admin: { token: 'hunter2' } }],
    ['admin.protectMetrics', { admin: { protectMetrics: true } }],
    ['access.anonymous', { access: { anonymous: 'none' } }],
    ['access.htpasswdFile', { access: { htpasswdFile: 'a' } }],
    ['access.tokensFile', { access: { tokensFile: 'a' } }],
    ['access.oidc', { access: { oidc: [{ issuer: 'https://x.example', audience: 'a' }] } }],
    ['access.networks', { access: { networks: [{ cidr: '10.0.0.0/8', principal: 'a' }] } }],
    ['access.rules', { access: { rules: [{ effect: 'deny', principals: ['*'], repositories: ['**'] }] } }],
    ['prefetch.schedule', { prefetch: { schedule: [{ cron: '0 3 * * *', images: ['redis'] }] } }],
    ['tier', { tier: { bucket: 'b' } }],
    ['redis', { redis: { url: 'redis://x.example' } }],
  ])('%s in %j', (key, content) => {
    const fault = faultOf(() => load(content));
    expect(fault).toContain(`config.json: ${key} is not in this version: `);
    expect(fault).not.toContain('hunter2');
  });

  test.each(['check', 'private'])('credentials with visibility %s', (visibility) => {
    expect(faultOf(() => load(upstream({ credentials: login, visibility })))).toBe(
      `config.json: upstreams.quay.io.visibility: "${visibility}" with credentials is not in this version: it cannot tell yet ` +
        'who may see private content; set visibility to "public" to serve what these credentials can see to everyone',
    );
  });

  test('naming the variable that set it', () => {
    expect(faultOf(() => load({}, { env: { STILLWATER_ADMIN__TOKEN: 'hunter2' } }))).toMatch(
      /^STILLWATER_ADMIN__TOKEN: admin.token is not in/,
    );
  });
});

describe('warns of', () => {
  test.each([
    ['listen.trustedProxies', { listen: { trustedProxies: ['10.0.0.1'] } }],
    ['tracing.endpoint', { tracing: { endpoint: 'http://otel.example:4318' } }],
  ])('%s', (key, content) => {
    expect(load(content).warnings).toEqual([expect.stringContaining(`${key} has no effect in this version: `)]);
  });
});

describe('takes without a word', () => {
  test.each([
    [{ admin: null }],
    [{ offline: false, cache: { maxSize: '80%' }, access: { anonymous: 'pull', rules: [] } }],
    [
      upstream({
        credentials: login,
        visibility: 'public',
        caFile: 'a',
        connections: 1,
        endpoints: ['http://a.example'],
      }),
    ],
    [{ cache: { maxSize: '1GB', minFree: '1GB', maxAge: '7d', siblings: false } }],
    [
      upstream({
        parallel: 2,
        rate: '5MB',
        allow: ['a/**'],
        deny: ['a/b'],
        allowPrivate: true,
        realms: ['auth.example'],
      }),
    ],
    [upstream({ endpoints: ['https://a.example', 'https://b.example'] })],
    [upstream({ credentials: [login, login], visibility: 'public' })],
    [upstream({ credentials: { helper: 'ecr-login' }, visibility: 'public' })],
    [{ offline: true, upstreams: { '*': { deny: ['secret/**'], connections: 4 } } }],
    [{ tags: { staleWhileRevalidate: '1s', negativeTtl: '1s', rules: [{ match: '**:v*', ttl: 'forever' }] } }],
    [{ listen: { tls: { certFile: 'a', keyFile: 'b' }, maxConnections: 5 }, cache: { maxFills: 3 } }],
    [{ tags: { ttl: '1s', staleIfError: '1d', revalidateTimeout: '1s' }, defaultUpstream: 'ghcr.io' }],
  ])('%j', (content) => {
    expect(load(content).warnings).toEqual([]);
  });
});
