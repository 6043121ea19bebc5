// What a reference means now: one HEAD where the registry answers it well, a GET where it does not.
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { manifestAccept } from '../../src/oci/media-types.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { never, openClient, upstreamError } from './upstream-scene.ts';

const path = 'library/app';
const latest = { tag: 'latest' };

async function scene() {
  const upstream = await startFakeUpstream();
  const image = upstream.addImage(path);
  const { client, ...at } = openClient({ endpoint: upstream.url });
  const { mediaType, content } = image.manifest;
  return {
    upstream,
    client,
    descriptor: { mediaType, digest: content.digest as Digest, size: content.size },
    asked: () => upstream.requests.map(({ method, path: url }) => `${method} ${url.replace(`/v2/${path}/`, '')}`),
    async [Symbol.asyncDispose]() {
      await at[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('a tag', () => {
  test('is resolved with one HEAD when its headers are complete', async () => {
    await using at = await scene();
    expect(await at.client.resolve(path, latest, never)).toEqual({ descriptor: at.descriptor });
    expect(at.asked()).toEqual(['HEAD manifests/latest']);
  });

  test('that is not there is undefined, after one HEAD', async () => {
    await using at = await scene();
    expect(await at.client.resolve(path, { tag: 'other' }, never)).toBeUndefined();
    expect(await at.client.resolve('library/other', latest, never)).toBeUndefined();
    expect(at.asked()).toHaveLength(2);
  });

  test.each<[string, FaultEffect]>([
    ['no digest', { dockerContentDigest: null }],
    ['a digest that is none', { dockerContentDigest: 'sha256:totallywrong' }],
    ['a digest of an algorithm every object has', { dockerContentDigest: 'constructor:x' }],
    ['no length', { chunked: true }],
    ['no type', { contentType: null }],
    ['a type that is no manifest', { contentType: 'application/octet-stream' }],
    ['an HTML page', refusals.html],
    ['405', { status: 405 }],
    ['401', refusals.unauthorized],
    ['403', refusals.denied],
    ['400', { status: 400 }],
  ])('is fetched with a GET where HEAD answers %s', async (_, effect) => {
    await using at = await scene();
    at.upstream.faults.add({ method: 'HEAD' }, effect);
    const resolution = await at.client.resolve(path, latest, never);
    expect(resolution?.descriptor).toEqual(at.descriptor);
    expect(digestOf(resolution?.manifest?.bytes ?? Buffer.alloc(0))).toBe(at.descriptor.digest);
    expect(at.asked()).toEqual(['HEAD manifests/latest', 'GET manifests/latest']);
  });

  test.each([
    ['limited', refusals.pullLimit],
    ['limited', refusals.abuseLimit],
    ['failing', refusals.serverError],
    ['failing', refusals.unavailable],
  ] as const)('costs no GET while the upstream is %s', async (failure, effect) => {
    await using at = await scene();
    at.upstream.faults.add({}, effect);
    expect((await upstreamError(at.client.resolve(path, latest, never))).failure).toBe(failure);
    expect(at.asked()).toEqual(['HEAD manifests/latest']);
  });

  test('that HEAD refuses and GET does not find is undefined', async () => {
    await using at = await scene();
    at.upstream.faults.add({ method: 'HEAD' }, refusals.denied);
    expect(await at.client.resolve(path, { tag: 'other' }, never)).toBeUndefined();
  });

  test('that GET refuses as HEAD did is denied', async () => {
    await using at = await scene();
    at.upstream.faults.add({}, refusals.denied);
    expect(await upstreamError(at.client.resolve(path, latest, never))).toMatchObject({
      failure: 'denied',
      message: expect.stringContaining('DENIED requested access to the resource is denied'),
    });
  });
});

test('a digest is resolved without a digest header', async () => {
  await using at = await scene();
  at.upstream.faults.add({}, { dockerContentDigest: null });
  const { digest } = at.descriptor;
  expect(await at.client.resolve(path, { digest }, never)).toEqual({ descriptor: at.descriptor });
  expect(at.asked()).toEqual([`HEAD manifests/${digest}`]);
});

test('a request carries a fixed list of headers, whoever asked us', async () => {
  await using at = await scene();
  await at.client.resolve(path, latest, never);
  await at.client.fetchManifest(path, latest, never);
  for (const { connection: _, ...headers } of at.upstream.requests.map((request) => request.headers))
    expect(headers).toEqual({
      host: at.upstream.host,
      'user-agent': 'stillwater',
      'accept-encoding': 'identity',
      accept: manifestAccept,
    });
});

test('a HEAD leaves its connection to the next request', async () => {
  await using at = await scene();
  await at.client.resolve(path, latest, never);
  expect(at.upstream.requests[0]?.headers.connection).toBe('keep-alive');
});

test('an endpoint may have a path of its own', async () => {
  await using upstream = await startFakeUpstream();
  for (const endpoint of [`${upstream.url}/hub`, `${upstream.url}/hub/`]) {
    await using at = openClient({ endpoint });
    await at.client.resolve(path, latest, never);
  }
  expect(upstream.requests.map((request) => request.path)).toEqual(Array(2).fill(`/hub/v2/${path}/manifests/latest`));
});
