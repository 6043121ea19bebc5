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
    ['offline', { offline: true }],
    ['tier', { tier: { bucket: 'b' } }],
    ['redis', { redis: { url: 'redis://x.example' } }],
    ['upstreams.*', { upstreams: { '*': {} } }],
    ['upstreams.quay.io.allow', upstream({ allow: ['a/**'] })],
    ['upstreams.quay.io.deny', upstream({ deny: ['a/**'] })],
    ['upstreams.quay.io.allowPrivate', upstream({ allowPrivate: true })],
    ['upstreams.quay.io.realms', upstream({ realms: ['auth.example'] })],
    ['upstreams.quay.io.endpoints', upstream({ endpoints: ['https://a.example', 'https://quay.io'] })],
    ['upstreams.quay.io.credentials', upstream({ credentials: [login], visibility: 'public' })],
    ['upstreams.quay.io.credentials', upstream({ credentials: { helper: 'ecr-login' }, visibility: 'public' })],
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
    expect(faultOf(() => load({}, { env: { STILLWATER_OFFLINE: 'true' } }))).toMatch(
      /^STILLWATER_OFFLINE: offline is not in/,
    );
  });
});

describe('warns of', () => {
  test.each([
    ['listen.trustedProxies', { listen: { trustedProxies: ['10.0.0.1'] } }],
    ['tags.staleWhileRevalidate', { tags: { staleWhileRevalidate: '1s' } }],
    ['tags.negativeTtl', { tags: { negativeTtl: '1s' } }],
    ['tags.rules', { tags: { rules: [{ match: '*', ttl: 'forever' }] } }],
    ['tracing.endpoint', { tracing: { endpoint: 'http://otel.example:4318' } }],
    ['upstreams.quay.io.rate', upstream({ rate: '5MB' })],
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
    [upstream({ parallel: 2 })],
    [{ listen: { tls: { certFile: 'a', keyFile: 'b' }, maxConnections: 5 }, cache: { maxFills: 3 } }],
    [{ tags: { ttl: '1s', staleIfError: '1d', revalidateTimeout: '1s' }, defaultUpstream: 'ghcr.io' }],
  ])('%j', (content) => {
    expect(load(content).warnings).toEqual([]);
  });
});
