// The way from what a client asked for to the upstream that has it.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OciError } from '../../src/oci/errors.ts';
import { type Namespace, Upstreams } from '../../src/upstream/upstreams.ts';
import { silent, silentEntry } from './silent-upstream.ts';

const names = ['docker.io', 'ghcr.io', 'registry.example:5000', 'localhost:5000', 'plainname'];
const upstreams = new Upstreams(names.map(silentEntry), 'docker.io');
const nowhere: Namespace = { ns: undefined, prefix: undefined };

function routed(name: string, { ns, prefix }: Partial<Namespace> = {}): string {
  const { upstream, repository } = upstreams.route(name, { ns, prefix });
  expect(repository.registry).toBe(upstream.name);
  return `${repository.registry} ${repository.path}`;
}

function refused(name: string, { ns, prefix }: Partial<Namespace> = {}): string {
  try {
    upstreams.route(name, { ns, prefix });
  } catch (error) {
    if (error instanceof OciError) return error.code;
    throw error;
  }
  return 'routed';
}

describe('the five shapes of an address', () => {
  test.each<[string, string, Partial<Namespace>]>([
    ['/v2/<repo>', 'library/redis', {}],
    ['/v2/<repo>?ns=', 'library/redis', { ns: 'docker.io' }],
    ['/v2/<host>/<repo>', 'docker.io/library/redis', {}],
    ['/v2/<host>/<repo>?ns=', 'docker.io/library/redis', { ns: 'docker.io' }],
    ['/<host>/v2/<repo>', 'library/redis', { prefix: 'docker.io' }],
    ['/<host>/v2/<repo>?ns=', 'library/redis', { prefix: 'docker.io', ns: 'docker.io' }],
    ['/<host>/v2/<host>/<repo>', 'docker.io/library/redis', { prefix: 'docker.io' }],
    ['all at once', 'docker.io/library/redis', { prefix: 'docker.io', ns: 'docker.io' }],
  ])('%s leads to one repository', (_, name, namespace) => {
    expect(routed(name, namespace)).toBe('docker.io library/redis');
  });

  test('lead to any registry that is configured', () => {
    const places = (host: string) => [{ ns: host }, { prefix: host }, { ns: host, prefix: host }];
    for (const host of names.slice(1)) {
      expect(routed(`${host}/owner/app`)).toBe(`${host} owner/app`);
      for (const place of places(host)) {
        expect(routed('owner/app', place)).toBe(`${host} owner/app`);
        expect(routed(`${host}/owner/app`, place)).toBe(`${host} owner/app`);
      }
    }
  });

  test('lead to one repository whatever is combined', () => {
    const maybe = (host: string) => fc.constantFrom(host, undefined);
    const place = fc
      .constantFrom(...names)
      .chain((host) => fc.tuple(fc.constant(host), maybe(host), maybe(host), maybe(host)));
    fc.assert(
      fc.property(place, ([host, inPath, ns, prefix]) => {
        const name = inPath === undefined ? 'owner/app' : `${inPath}/owner/app`;
        const told = inPath ?? ns ?? prefix ?? 'docker.io';
        expect(routed(name, { ns, prefix })).toBe(`${told} owner/app`);
        expect([host, 'docker.io']).toContain(told);
      }),
    );
  });
});

describe('Docker Hub', () => {
  test.each([
    'redis',
    'docker.io/redis',
    'index.docker.io/redis',
    'registry-1.docker.io/redis',
    'registry.hub.docker.com/redis',
  ])('keeps %s under library/', (name) => {
    expect(routed(name)).toBe('docker.io library/redis');
  });

  test.each(['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'])('is also called %s', (alias) => {
    expect(routed('redis', { ns: alias })).toBe('docker.io library/redis');
    expect(routed('owner/app', { prefix: alias, ns: 'docker.io' })).toBe('docker.io owner/app');
    expect(routed('docker.io/owner/app', { ns: alias })).toBe('docker.io owner/app');
    expect(upstreams.named({ ns: alias, prefix: undefined })).toBe('docker.io');
  });

  test('alone has library/', () => {
    expect(routed('app', { ns: 'ghcr.io' })).toBe('ghcr.io app');
    expect(routed('ghcr.io/app')).toBe('ghcr.io app');
    expect(routed('owner/app')).toBe('docker.io owner/app');
  });
});

describe('a registry that is not configured', () => {
  test.each([
    ['quay.io/owner/app', {}],
    ['169.254.169.254/latest/meta-data', {}],
    ['internal:8080/owner/app', {}],
    ['localhost/owner/app', {}],
    ['ghcr.io:443/owner/app', {}],
    ['owner/app', { ns: 'quay.io' }],
    ['owner/app', { ns: '' }],
    ['owner/app', { ns: 'DOCKER.IO' }],
    ['owner/app', { ns: 'docker.io ' }],
    ['owner/app', { ns: 'docker.io.' }],
    ['owner/app', { ns: 'http://docker.io' }],
    ['owner/app', { ns: 'constructor' }],
    ['owner/app', { ns: '__proto__' }],
    ['owner/app', { prefix: 'quay.io' }],
    ['owner/app', { prefix: 'docker.io/v2' }],
    ['ghcr.io/owner/app', { ns: 'quay.io' }],
  ] as const)('is unknown: %s with %j', (name, namespace) => {
    expect(refused(name, namespace)).toBe('NAME_UNKNOWN');
  });

  test('is unknown where only a registry is named', () => {
    expect(() => upstreams.named({ ns: 'quay.io', prefix: undefined })).toThrow('registry "quay.io" is not configured');
    expect(upstreams.named({ ns: undefined, prefix: 'ghcr.io' })).toBe('ghcr.io');
    expect(upstreams.named(nowhere)).toBe('docker.io');
  });

  test('is unknown as the default, too', () => {
    const withoutDefault = new Upstreams([silentEntry('ghcr.io')], 'docker.io');
    expect(() => withoutDefault.route('library/redis', nowhere)).toThrow('docker.io is not configured here');
    expect(withoutDefault.route('ghcr.io/a/b', nowhere).upstream.name).toBe('ghcr.io');
  });
});

describe('two places that name different registries', () => {
  test.each([
    ['owner/app', { ns: 'docker.io', prefix: 'ghcr.io' }],
    ['ghcr.io/owner/app', { ns: 'docker.io' }],
    ['ghcr.io/owner/app', { prefix: 'docker.io' }],
    ['docker.io/owner/app', { ns: 'ghcr.io', prefix: 'ghcr.io' }],
  ] as const)('are refused: %s with %j', (name, namespace) => {
    expect(refused(name, namespace)).toBe('NAME_UNKNOWN');
  });
});

describe('a name outside the grammar', () => {
  test.each(['', 'Redis', 'library//redis', 'a..b', 'docker.io/', 'ghcr.io/Owner', 'a b', 'a'.repeat(256)])(
    'is invalid: %j',
    (name) => {
      expect(refused(name)).toBe('NAME_INVALID');
    },
  );

  test('never reaches an upstream, whatever it is', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', 'B', '/', '.', ':', '-', '_', '%', '\0', '\n', ' ') }),
        (name) => {
          try {
            const { path } = upstreams.route(name, nowhere).repository;
            return /^[a-z0-9._/-]+$/.test(path) && !path.includes('..') && !path.includes('//');
          } catch (error) {
            return error instanceof OciError;
          }
        },
      ),
    );
  });
});

test('the names and the status are those configured, and closing closes every upstream', async () => {
  const closed: string[] = [];
  const both = ['a.example', 'b.example'].map((name) => ({
    upstream: { ...silent(name), close: async () => void closed.push(name) },
  }));
  const two = new Upstreams(both, 'a.example');
  expect(two.names).toEqual(['a.example', 'b.example']);
  expect(two.status().map(({ name }) => name)).toEqual(['a.example', 'b.example']);
  await two.close();
  expect(closed).toEqual(['a.example', 'b.example']);
});
