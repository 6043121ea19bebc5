// The ways in which clients address content, what is answered to each, and that writes are refused.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { errorOf, type StartedRegistry, startRegistry } from './start-registry.ts';

let hub: FakeUpstream;
let ghcr: FakeUpstream;
let registry: StartedRegistry;
let digests: { hub: string; ghcr: string; hubBlob: string };

beforeAll(async () => {
  [hub, ghcr] = [await startFakeUpstream(), await startFakeUpstream()];
  registry = await startRegistry({ upstreams: { 'docker.io': hub, 'ghcr.io': ghcr } });
  digests = {
    hub: hub.addImage('library/app').digest,
    ghcr: ghcr.addImage('org/app').digest,
    hubBlob: hub.addBlob('library/app', 'a layer').digest,
  };
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
  await ghcr[Symbol.asyncDispose]();
});

describe('content is found', () => {
  test.each([
    ['by its bare name', '/v2/library/app/manifests/latest', 'docker.io'],
    ['by its short name', '/v2/app/manifests/latest', 'docker.io'],
    ['by ns', '/v2/library/app/manifests/latest?ns=docker.io', 'docker.io'],
    ['by ns of another registry', '/v2/org/app/manifests/latest?ns=ghcr.io', 'ghcr.io'],
    ['by a registry in the path', '/v2/ghcr.io/org/app/manifests/latest', 'ghcr.io'],
    ['by a registry in the path and ns', '/v2/ghcr.io/org/app/manifests/latest?ns=ghcr.io', 'ghcr.io'],
    ['by a registry in front', '/ghcr.io/v2/org/app/manifests/latest', 'ghcr.io'],
    ['by the default registry in front', '/docker.io/v2/app/manifests/latest', 'docker.io'],
  ])('%s', async (_what, path, host) => {
    const { status, headers } = await registry.ask(path);
    expect(status).toBe(200);
    expect(headers['oci-namespace']).toBe(host);
    expect(headers['docker-content-digest']).toBe(host === 'ghcr.io' ? digests.ghcr : digests.hub);
  });

  test('under all of these shapes as one thing in the cache', async () => {
    for (const shape of ['/v2/library/app', '/v2/app', '/v2/docker.io/app', '/docker.io/v2/library/app']) {
      const { headers } = await registry.ask(`${shape}/blobs/${digests.hubBlob}?ns=docker.io`);
      expect(headers['docker-content-digest']).toBe(digests.hubBlob);
    }
    expect(hub.count({ kind: 'blob' })).toBe(1);
  });
});

describe('the ping', () => {
  test.each(['/v2/', '/v2', '/docker.io/v2/', '/ghcr.io/v2/', '/v2/?ns=ghcr.io'])(
    '%s is 200 {}, without a request to the upstream or a challenge',
    async (path) => {
      const asked = hub.count() + ghcr.count();
      const answer = await registry.ask(path, { headers: { authorization: 'Basic Og==' } });
      expect([answer.status, answer.body.toString()]).toEqual([200, '{}']);
      expect(answer.headers).toMatchObject({
        'content-type': 'application/json',
        'docker-distribution-api-version': 'registry/2.0',
        'oci-namespace': path.includes('ghcr') ? 'ghcr.io' : 'docker.io',
      });
      expect(answer.headers['www-authenticate']).toBeUndefined();
      expect((await registry.ask(path, { method: 'HEAD' })).status).toBe(200);
      expect(hub.count() + ghcr.count()).toBe(asked);
    },
  );
});

describe('a registry that is not configured is 404 at once, without a dial:', () => {
  test.each([
    '/v2/evil.example/app/manifests/latest',
    '/v2/app/manifests/latest?ns=evil.example',
    '/evil.example/v2/app/manifests/latest',
    '/evil.example/v2/',
    '/v2/?ns=evil.example',
    '/v2/localhost:1234/app/manifests/latest',
    '/v2/169.254.169.254/latest/manifests/meta-data',
    '/v2/app/manifests/latest?ns=docker.io&ns=evil.example',
    '/v2/ghcr.io/org/app/manifests/latest?ns=docker.io',
  ])('%s', async (path) => {
    const asked = hub.count() + ghcr.count();
    const answer = await registry.ask(path);
    expect([answer.status, errorOf(answer)]).toEqual([
      404,
      expect.stringMatching(/^NAME_UNKNOWN: .*configur|NAME_UNKNOWN: .*names different/),
    ]);
    expect(hub.count() + ghcr.count()).toBe(asked);
    const { values } = await registry.mirror.metrics.upstreamRequests.get();
    for (const { labels } of values) expect(['docker.io', 'ghcr.io']).toContain(labels.upstream);
  });
});

describe('a write is refused', () => {
  test.each([
    ['POST', '/v2/library/app/blobs/uploads/', 'docker.io'],
    ['POST', '/v2/ghcr.io/org/app/blobs/uploads/?mount=sha256:x&from=y', 'ghcr.io'],
    ['PATCH', '/v2/library/app/blobs/uploads/some-id', 'docker.io'],
    ['PUT', '/v2/library/app/blobs/uploads/some-id?digest=x', 'docker.io'],
    ['GET', '/v2/library/app/blobs/uploads/some-id', 'docker.io'],
    ['PUT', '/v2/org/app/manifests/latest?ns=ghcr.io', 'ghcr.io'],
    ['DELETE', '/v2/library/app/manifests/latest', 'docker.io'],
    ['DELETE', `/v2/library/app/blobs/sha256:${'ab'.repeat(32)}`, 'docker.io'],
    ['POST', '/v2/', 'docker.io'],
    ['OPTIONS', '/v2/library/app/manifests/latest', 'docker.io'],
  ])('%s %s', async (method, path, host) => {
    const asked = hub.count() + ghcr.count();
    const answer = await registry.ask(path, { method });
    expect(answer.status).toBe(405);
    expect(answer.headers.allow).toBe('GET, HEAD');
    expect(errorOf(answer)).toBe(`UNSUPPORTED: this is a pull-through mirror: push to ${host} itself`);
    expect(hub.count() + ghcr.count()).toBe(asked);
  });
});

test.each([
  '/v2/app/manifests/nothing',
  '/v2/UPPER/manifests/latest',
  '/v2/app/blobs/sha256:bad',
  '/v2/app/manifests/.bad',
  '/v2/app%2fapp/manifests/latest',
  '/v2/nothing',
  '/v2/evil.example/app/manifests/latest',
])('%s says which API answers, as every path under /v2/ does', async (path) => {
  const { status, headers } = await registry.ask(path);
  expect(status).toBeGreaterThanOrEqual(400);
  expect(headers['docker-distribution-api-version']).toBe('registry/2.0');
});
