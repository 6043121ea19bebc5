// Request targets: every shape clients use is understood, and nothing outside of the grammar gets past.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePullPath } from '../../src/http/pull-path.ts';
import { OciError } from '../../src/oci/errors.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';
import { Upstreams } from '../../src/upstream/upstreams.ts';

const hex = 'ab'.repeat(32);
const digest = `sha256:${hex}`;

/** As the registry does it: parse, then route; routing calls nothing of an upstream. */
const upstreams = new Upstreams(
  ['docker.io', 'ghcr.io', 'localhost:5000'].map((name) => ({ upstream: { name } as Upstream })),
  'docker.io',
);

function routed(target: string): string | undefined {
  const path = parsePullPath(target);
  if (!path || !('name' in path.target)) return path?.target.kind;
  const { repository } = upstreams.route(path.target.name, path);
  return `${path.target.kind} ${repository.registry} ${repository.path}`;
}

function codeOf(target: string): string {
  try {
    return `accepted: ${routed(target)}`;
  } catch (error) {
    return error instanceof OciError ? error.code : `not an OciError: ${String(error)}`;
  }
}

describe('the shapes of a request', () => {
  test.each([
    ['/v2/', 'ping'],
    ['/v2', 'ping'],
    ['/v2/?ns=docker.io', 'ping'],
    ['/docker.io/v2/', 'ping'],
    ['/v2/_catalog?n=10', 'catalog'],
    [`/v2/library/app/blobs/${digest}`, 'blob docker.io library/app'],
    [`/v2/app/blobs/${digest}`, 'blob docker.io library/app'],
    [`/v2/app/blobs/sha512:${hex}${hex}`, 'blob docker.io library/app'],
    [`/v2/app/blobs/sha256%3A${hex}`, 'blob docker.io library/app'],
    ['/v2/library/app/manifests/latest?ns=docker.io', 'manifest docker.io library/app'],
    ['/v2/library/app/manifests/latest?ns=registry-1.docker.io', 'manifest docker.io library/app'],
    ['/v2/org/app/manifests/latest?ns=ghcr.io', 'manifest ghcr.io org/app'],
    ['/v2/app/manifests/latest?ns=ghcr.io', 'manifest ghcr.io app'],
    ['/v2/org/app/manifests/latest?ns=localhost%3A5000', 'manifest localhost:5000 org/app'],
    [`/v2/ghcr.io/org/app/manifests/${digest}`, `manifest ghcr.io org/app`],
    ['/v2/ghcr.io/org/app/manifests/latest?ns=ghcr.io', 'manifest ghcr.io org/app'],
    ['/v2/localhost:5000/org/app/manifests/latest', 'manifest localhost:5000 org/app'],
    ['/ghcr.io/v2/org/app/manifests/latest', 'manifest ghcr.io org/app'],
    ['/ghcr.io/v2/org/app/manifests/latest?ns=ghcr.io', 'manifest ghcr.io org/app'],
    ['/docker.io/v2/app/manifests/latest', 'manifest docker.io library/app'],
    ['/v2/library/app/manifests/latest?ns=docker.io&ns=docker.io', 'manifest docker.io library/app'],
    ['/v2/library/app/manifests/latest?ns=', 'manifest docker.io library/app'],
    ['/v2/library/app/tags/list?n=5&last=x', 'tags docker.io library/app'],
    [`/v2/library/app/referrers/${digest}`, 'referrers docker.io library/app'],
    ['/v2/library/app/blobs/uploads/', 'upload docker.io library/app'],
    ['/v2/library/app/blobs/uploads/some-id', 'upload docker.io library/app'],
    ['/v2/org/manifests/blobs/manifests/latest', 'manifest docker.io org/manifests/blobs'],
    ['/v2/org/tags/list/manifests/latest', 'manifest docker.io org/tags/list'],
  ])('%s is %s', (target, expected) => {
    expect(routed(target)).toBe(expected);
  });

  test.each(['/', '/favicon.ico', '/v1/_ping', '/v22/', '/a/b/v2/', '//v2/', '/V2/', '*', 'http://mirror/v2/', ''])(
    '%s is not ours',
    (target) => {
      expect(parsePullPath(target)).toBeUndefined();
    },
  );
});

describe('what is outside of the grammar is refused', () => {
  test.each([
    ['an encoded slash', `/v2/library%2fapp/blobs/${digest}`, 'NAME_INVALID'],
    ['an encoded slash in capitals', `/v2/library%2Fapp/blobs/${digest}`, 'NAME_INVALID'],
    ['an encoded backslash', `/v2/library%5capp/blobs/${digest}`, 'NAME_INVALID'],
    ['an encoded NUL', `/v2/library/app%00/blobs/${digest}`, 'NAME_INVALID'],
    ['a double-encoded slash', `/v2/library%252fapp/blobs/${digest}`, 'NAME_INVALID'],
    ['a double-encoded dot', `/v2/%252e%252e/app/blobs/${digest}`, 'NAME_INVALID'],
    ['dots', `/v2/library/../app/blobs/${digest}`, 'NAME_INVALID'],
    ['encoded dots', `/v2/library/%2e%2e/app/blobs/${digest}`, 'NAME_INVALID'],
    ['a single dot', `/v2/./app/blobs/${digest}`, 'NAME_INVALID'],
    ['an empty component', `/v2/library//app/blobs/${digest}`, 'NAME_INVALID'],
    ['an empty name', `/v2//blobs/${digest}`, 'NAME_UNKNOWN'],
    ['a name that begins with a slash', `/v2//app/blobs/${digest}`, 'NAME_INVALID'],
    ['a name that ends with a slash', `/v2/app//blobs/${digest}`, 'NAME_INVALID'],
    ['upper case', `/v2/Library/app/blobs/${digest}`, 'NAME_INVALID'],
    ['encoded upper case', `/v2/%4cibrary/app/blobs/${digest}`, 'NAME_INVALID'],
    ['a carriage return', `/v2/library/app%0d/blobs/${digest}`, 'accepted: undefined'],
    ['a line feed', `/v2/library/app%0a/blobs/${digest}`, 'accepted: undefined'],
    ['a space', `/v2/library/app%20/blobs/${digest}`, 'NAME_INVALID'],
    ['a backslash', `/v2/library\\app/blobs/${digest}`, 'NAME_INVALID'],
    ['broken percent-encoding', `/v2/library%/app/blobs/${digest}`, 'NAME_INVALID'],
    ['bytes that are no UTF-8', `/v2/library%ff/app/blobs/${digest}`, 'NAME_INVALID'],
    ['more than 255 characters', `/v2/${'a'.repeat(256)}/blobs/${digest}`, 'NAME_INVALID'],
    ['a name made of only a registry', `/v2/ghcr.io/blobs/${digest}`, 'accepted: blob docker.io library/ghcr.io'],
    ['a digest of 63 digits', `/v2/app/blobs/${digest.slice(0, -1)}`, 'DIGEST_INVALID'],
    ['a digest in capitals', `/v2/app/blobs/${digest.toUpperCase()}`, 'DIGEST_INVALID'],
    ['a digest that climbs', '/v2/app/blobs/sha256:..', 'DIGEST_INVALID'],
    ['an algorithm nobody registered', `/v2/app/blobs/md5:${hex}`, 'DIGEST_INVALID'],
    ['a digest that is none, as a reference', '/v2/app/manifests/sha256:totallywrong', 'DIGEST_INVALID'],
    ['an algorithm every object has', '/v2/app/blobs/constructor:x', 'DIGEST_INVALID'],
    ['an algorithm every object has, as a reference', '/v2/app/manifests/__proto__:x', 'DIGEST_INVALID'],
    ['a tag that begins with a dot', '/v2/app/manifests/.INVALID_MANIFEST_NAME', 'MANIFEST_UNKNOWN'],
    ['a tag of 129 characters', `/v2/app/manifests/${'a'.repeat(129)}`, 'MANIFEST_UNKNOWN'],
    ['no reference', '/v2/app/manifests/', 'NAME_UNKNOWN'],
    ['an endpoint nobody knows', '/v2/app/bolbs/latest', 'NAME_UNKNOWN'],
    ['two registries by ns', '/v2/app/manifests/latest?ns=docker.io&ns=ghcr.io', 'NAME_UNKNOWN'],
    ['two registries by ns and prefix', '/ghcr.io/v2/app/manifests/latest?ns=docker.io', 'NAME_UNKNOWN'],
    ['two registries by ns and path', '/v2/ghcr.io/org/app/manifests/latest?ns=docker.io', 'NAME_UNKNOWN'],
    ['a registry nobody configured', '/v2/evil.example/app/manifests/latest', 'NAME_UNKNOWN'],
    ['localhost', '/v2/localhost/app/manifests/latest', 'NAME_UNKNOWN'],
    ['an address', '/v2/169.254.169.254/app/manifests/latest', 'NAME_UNKNOWN'],
    ['a namespace nobody configured', '/v2/app/manifests/latest?ns=evil.example', 'NAME_UNKNOWN'],
    ['a namespace that is a property of every object', '/v2/app/manifests/latest?ns=constructor', 'NAME_UNKNOWN'],
    ['a prefix nobody configured', '/evil.example/v2/app/manifests/latest', 'NAME_UNKNOWN'],
    ['a namespace in capitals', '/v2/app/manifests/latest?ns=GHCR.IO', 'NAME_UNKNOWN'],
  ])('%s', (_what, target, code) => {
    expect(codeOf(target)).toBe(code);
  });
});

describe('whatever is asked for', () => {
  // https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
  const grammar = /^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$/;
  const word = fc.constantFrom(
    ...['library', 'app', 'a__b', 'a---b', 'v2', 'ghcr.io', 'docker.io', 'UPPER', '..', '.', '', '%2f', '%2e', '%00'],
    ...[
      'manifests',
      'blobs',
      'uploads',
      'tags',
      'list',
      'referrers',
      '_catalog',
      'latest',
      '%0d%0a',
      'é',
      '%c3%a9',
      ':',
    ],
    ...[digest, 'sha512:00', 'sha256:', 'toString:x', 'hasOwnProperty:x', '__proto__', 'constructor', '-a', 'a-', '%'],
  );
  const target = fc.oneof(
    fc.string({ unit: 'binary-ascii' }),
    fc.webPath().map((path) => `/v2${path}`),
    fc
      .tuple(fc.array(fc.oneof({ weight: 5, arbitrary: word }, fc.string()), { maxLength: 8 }), fc.array(word))
      .map(([parts, namespaces]) => `/v2/${parts.join('/')}?${namespaces.map((ns) => `ns=${ns}`).join('&')}`),
    fc.tuple(word, fc.array(word), word, word).map(([prefix, name, endpoint, reference]) => {
      return `/${prefix}/v2/${name.join('/')}/${endpoint}/${reference}`;
    }),
  );

  test('nothing but an OciError is ever thrown', () => {
    fc.assert(
      fc.property(target, (text) => !codeOf(text).startsWith('not an OciError')),
      { numRuns: 5000 },
    );
  });

  test('a name that gets through is a name of the spec, on a registry that is configured', () => {
    fc.assert(
      fc.property(target, (text) => {
        const [kind, registry = '', path = ''] = (/^accepted: (.*)$/s.exec(codeOf(text))?.[1] ?? '').split(' ');
        if (path === '') return ['', 'ping', 'catalog', 'undefined'].includes(kind ?? '');
        return upstreams.names.includes(registry) && grammar.test(path) && path.length <= 255 + 'library/'.length;
      }),
      { numRuns: 5000 },
    );
  });
});
