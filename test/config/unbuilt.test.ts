// Keys of the contract that this version refuses, and those that it takes.
import { describe, expect, test } from 'vitest';
import { faultOf, load } from './config-files.ts';

const login = { username: 'me', password: 'hunter2' };
const upstream = (keys: unknown) => ({ upstreams: { 'quay.io': keys } });

describe('refuses', () => {
  test.each([
    ['tier', { tier: { bucket: 'b' } }],
    ['redis', { redis: { url: 'redis://:hunter2@x.example' } }],
  ])('%s in %j', (key, content) => {
    const fault = faultOf(() => load(content));
    expect(fault).toContain(`config.json: ${key} is not in this version: `);
    expect(fault).not.toContain('hunter2');
  });

  test('naming the variable that set it', () => {
    expect(faultOf(() => load({}, { env: { STILLWATER_REDIS__URL: 'redis://x.example' } }))).toMatch(
      /^STILLWATER_REDIS__URL: redis is not in/,
    );
  });
});

describe('takes without a word', () => {
  test.each([
    [{ admin: null }],
    [{ admin: { token: 'hunter2', protectMetrics: true } }],
    [{ access: { anonymous: 'none', htpasswdFile: 'a', tokensFile: 'b' } }],
    [{ access: { networks: [{ cidr: '10.0.0.0/8', principal: 'a' }] }, listen: { trustedProxies: ['10.0.0.1'] } }],
    [upstream({ credentials: login })],
    [upstream({ visibility: 'private' })],
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
    expect(() => load(content)).not.toThrow();
  });
});
