// The guards against clients, by their numbers in the security checklist (protocol.md §7): 1, 4 and 5.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RecordedServer } from '../support/recorded-server.ts';
import { contentOf } from '../support/served-content.ts';
import { committedFiles } from '../support/stored-files.ts';
import { until } from '../support/until.ts';
import { ask, type Scene, scene, sendRaw } from './start-registry.ts';

const name = 'library/app';
let at: Scene;
let blobPath: string;

beforeEach(async () => {
  at = await scene({}, { auth: {}, cdn: true, missing: 'unauthorized' });
  blobPath = `/v2/${name}/blobs/${at.upstream.addBlob(name, 'a layer').digest}`;
  at.upstream.addImage(name);
});
afterEach(() => at[Symbol.asyncDispose]());

function asked(): { path: string; rawHeaders: readonly string[] }[] {
  const servers = [at.upstream.server, at.upstream.tokens?.server, at.upstream.cdn];
  return servers.filter((server): server is RecordedServer => server !== undefined).flatMap(({ requests }) => requests);
}

describe('§7.1 inbound credentials', () => {
  const secret = 'c2VjcmV0OmRvY2tlcmh1Yi1wYXNzd29yZA==';
  const headers = {
    authorization: `Basic ${secret}`,
    'proxy-authorization': `Basic ${secret}`,
    cookie: `session=${secret}`,
    'x-registry-auth': secret,
  };
  const paths = () => [
    '/',
    '/v2/',
    `/v2/${name}/manifests/latest`,
    `/v2/${name}/manifests/nothing`,
    '/v2/library/private/manifests/latest',
    '/v2/evil.example/app/manifests/latest',
    blobPath,
    `/v2/${name}/blobs/${contentOf('nothing').digest}`,
    `/v2/${name}/tags/list`,
    `/v2/${name}/referrers/${contentOf('nothing').digest}`,
    '/v2/_catalog',
  ];

  test('never reach the upstream, its token server or its cdn', async () => {
    for (const path of paths()) await at.ask(path, { headers });
    expect(asked().length).toBeGreaterThan(5);
    expect(at.upstream.tokens?.server.count()).toBeGreaterThan(0);
    expect(at.upstream.cdn?.count()).toBeGreaterThan(0);
    expect(JSON.stringify(asked())).not.toContain(secret);
    expect(JSON.stringify(asked().map(({ rawHeaders }) => rawHeaders))).not.toMatch(/cookie|x-registry-auth/i);
  });

  test('never reach the log, not even that of a fault of our own', async () => {
    for (const path of paths()) await at.ask(path, { headers });
    at.registry.mirror.records.tag = () => {
      throw new Error('the index is broken');
    };
    expect((await at.ask(`/v2/${name}/manifests/latest`, { headers })).status).toBe(500);
    const { logLines } = at.registry.mirror;
    await until('a line for each', () => logLines.length === paths().length + 1);
    expect(JSON.stringify(logLines)).not.toContain(secret);
  });

  test('are never asked for: no answer is a challenge', async () => {
    for (const path of paths())
      for (const given of [{}, headers])
        for (const method of ['GET', 'HEAD', 'POST']) {
          const answer = await at.ask(path, { method, headers: given });
          expect(answer.status).not.toBe(401);
          expect(Object.keys(answer.headers)).not.toContain('www-authenticate');
        }
  });
});

describe('§7.4 a registry that nobody configured is never dialled', () => {
  /** The upstream's own address, as a client could name it. */
  const trap = () => at.upstream.host;

  test.each<[string, (host: string) => string]>([
    ['ns', (host) => `/v2/library/app/manifests/latest?ns=${host}`],
    ['percent-encoded ns', (host) => `/v2/library/app/manifests/latest?ns=${encodeURIComponent(host)}`],
    ['ns with a scheme', (host) => `/v2/library/app/manifests/latest?ns=http://${host}`],
    ['ns with a user', (host) => `/v2/library/app/manifests/latest?ns=docker.io@${host}`],
    ['ns of a metadata service', () => '/v2/library/app/manifests/latest?ns=169.254.169.254'],
    ['a second ns', (host) => `/v2/library/app/manifests/latest?ns=docker.io&ns=${host}`],
    ['a first ns', (host) => `/v2/library/app/manifests/latest?ns=${host}&ns=docker.io`],
    ['ns in capitals', () => '/v2/library/app/manifests/latest?ns=DOCKER.IO'],
    ['ns with a dot at its end', () => '/v2/library/app/manifests/latest?ns=docker.io.'],
    ['the path', (host) => `/v2/${host}/library/app/manifests/latest`],
    ['the path without a port', () => '/v2/evil.example/library/app/manifests/latest'],
    ['the path as localhost', () => '/v2/localhost/library/app/manifests/latest'],
    ['the path against ns', (host) => `/v2/${host}/app/manifests/latest?ns=evil.example`],
    ['a prefix', (host) => `/${host}/v2/library/app/manifests/latest`],
    ['a prefix against ns', (host) => `/${host}/v2/library/app/manifests/latest?ns=docker.io`],
    ['a ping', (host) => `/${host}/v2/`],
    ['a blob', (host) => `/v2/${host}/library/app/blobs/${contentOf('a layer').digest}`],
    ['tags', (host) => `/v2/${host}/library/app/tags/list`],
    ['referrers', (host) => `/v2/${host}/library/app/referrers/${contentOf('a layer').digest}`],
  ])('by %s', async (_what, path) => {
    const answer = await at.ask(path(trap()));
    expect(answer.status).toBe(404);
    expect(answer.body.toString()).toContain('NAME_UNKNOWN');
    expect(asked()).toEqual([]);
  });

  test('by an absolute request target', async () => {
    const { host } = new URL(at.upstream.url);
    const answer = await sendRaw(
      at.registry.url,
      `GET http://${host}/v2/${name}/manifests/latest HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 404 /);
    expect(asked()).toEqual([]);
  });
});

describe('§7.5 nothing outside of the grammar goes further than the parser', () => {
  const digest = contentOf('a layer').digest;
  const hex = digest.slice(7);

  test.each([
    ['an encoded slash', `/v2/library%2fapp/blobs/${digest}`],
    ['an encoded slash in the reference', '/v2/library/app/manifests/a%2Fb'],
    ['an encoded backslash', `/v2/library%5Capp/blobs/${digest}`],
    ['a double-encoded slash', `/v2/library%252Fapp/blobs/${digest}`],
    ['dots', `/v2/library/app/../app/blobs/${digest}`],
    ['dots at the end', '/v2/library/app/manifests/..'],
    ['encoded dots', `/v2/library/%2e%2e/library/app/blobs/${digest}`],
    ['double-encoded dots', `/v2/library/%252e%252e/app/blobs/${digest}`],
    ['empty components', `/v2/library//app/blobs/${digest}`],
    ['an encoded NUL', `/v2/library/app%00/blobs/${digest}`],
    ['an encoded CR and LF', `/v2/library/app%0d%0aX-Evil:1/blobs/${digest}`],
    ['an encoded LF at the end', `/v2/library/app/manifests/latest%0a`],
    ['upper case', `/v2/Library/app/blobs/${digest}`],
    ['a query in the name', `/v2/library/app%3fx=y/manifests/latest`],
    ['a fragment in the name', `/v2/library/app%23x/manifests/latest`],
    ['a digest in upper case', `/v2/library/app/blobs/sha256:${hex.toUpperCase()}`],
    ['a digest too short', `/v2/library/app/blobs/sha256:${hex.slice(1)}`],
    ['a digest too long', `/v2/library/app/blobs/sha256:${hex}0`],
    ['a sha512 as long as a sha256', `/v2/library/app/blobs/sha512:${hex}`],
    ['a digest that climbs', '/v2/library/app/blobs/sha256:..%2f..%2f..%2fetc%2fpasswd'],
    ['a digest with a LF behind it', `/v2/library/app/blobs/${digest}%0a`],
    ['an algorithm nobody registered', `/v2/library/app/blobs/md5:${hex.slice(32)}`],
    ['an algorithm that every object has', '/v2/library/app/blobs/constructor:x'],
    ['a tag with a space', '/v2/library/app/manifests/a%20b'],
    ['broken percent-encoding', '/v2/library/app/manifests/%'],
    ['a name of 256 characters', `/v2/${'a/'.repeat(127)}aa/manifests/latest`],
  ])('%s', async (_what, path) => {
    const answer = await ask(at.registry.url, path);
    expect([400, 404]).toContain(answer.status);
    expect(answer.headers['x-evil']).toBeUndefined();
    expect(asked()).toEqual([]);
    expect(await committedFiles(at.registry.mirror.dir)).toEqual([]);
  });

  test.each([
    ['a raw NUL', '/v2/library/app\0/manifests/latest'],
    ['a raw LF', '/v2/library/app\n/manifests/latest'],
    ['a raw space', '/v2/library/app /manifests/latest'],
    ['raw bytes above ASCII', '/v2/library/\xe9/manifests/latest'],
    ['a raw backslash', '/v2/library\\app/manifests/latest'],
  ])('%s', async (_what, path) => {
    const answer = await sendRaw(at.registry.url, `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 (400|404) /);
    expect(asked()).toEqual([]);
  });
});
