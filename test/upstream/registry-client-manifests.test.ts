// Manifests as an upstream gives them: exact bytes, checked against every digest that names them.
import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { maxManifestBytes } from '../../src/oci/manifest.ts';
import { mediaTypes } from '../../src/oci/media-types.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { type ClientScene, never, openClient, upstreamError } from './upstream-scene.ts';

const path = 'library/app';
const latest = { tag: 'latest' };
const wrong = digestOf(Buffer.from('wrong'));

type Scene = ClientScene & { readonly upstream: FakeUpstream; readonly bytes: Buffer; readonly digest: Digest };

async function scene(effect?: FaultEffect): Promise<Scene> {
  const upstream = await startFakeUpstream();
  const { content } = upstream.addImage(path).manifest;
  if (effect) upstream.faults.add({}, effect);
  const at = openClient({ endpoint: upstream.url });
  return {
    ...at,
    upstream,
    bytes: Buffer.concat([...content.read(0, content.size)]),
    digest: content.digest as Digest,
    async [Symbol.asyncDispose]() {
      await at[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('a manifest', () => {
  test('comes with its exact bytes, by tag and by digest', async () => {
    await using at = await scene();
    for (const reference of [latest, { digest: at.digest }]) {
      const manifest = await at.client.fetchManifest(path, reference, never);
      expect(Buffer.from(manifest?.bytes ?? '')).toEqual(at.bytes);
      expect(manifest?.descriptor).toEqual({
        mediaType: mediaTypes.ociManifest,
        digest: at.digest,
        size: at.bytes.length,
      });
    }
  });

  test('that is not there is undefined', async () => {
    await using at = await scene();
    expect(await at.client.fetchManifest(path, { tag: 'other' }, never)).toBeUndefined();
    expect(await at.client.fetchManifest(path, { digest: wrong }, never)).toBeUndefined();
  });

  test.each<[string, FaultEffect]>([
    ['no digest header', { dockerContentDigest: null }],
    ['a digest header that is none', { dockerContentDigest: 'nonsense' }],
    ['no length', { chunked: true }],
    ['a type with parameters', { contentType: `${mediaTypes.ociManifest}; charset=utf-8` }],
    ['an encoding that is none', { headers: { 'content-encoding': 'identity' } }],
  ])('may come with %s', async (_, effect) => {
    await using at = await scene(effect);
    const manifest = await at.client.fetchManifest(path, latest, never);
    expect(manifest?.descriptor).toMatchObject({ mediaType: mediaTypes.ociManifest, digest: at.digest });
  });

  test('may be named by a sha512 digest', async () => {
    await using at = await scene();
    const digest = digestOf(at.bytes, 'sha512');
    at.upstream.faults.add({}, { body: at.bytes, status: 200, contentType: mediaTypes.ociManifest });
    expect((await at.client.fetchManifest(path, { digest }, never))?.descriptor.digest).toBe(digest);
    at.upstream.faults.add({}, { dockerContentDigest: digest });
    expect((await at.client.fetchManifest(path, latest, never))?.descriptor.digest).toBe(digest);
  });
});

describe('a lie', () => {
  test('is a digest header that the bytes do not hash to', async () => {
    await using at = await scene({ dockerContentDigest: wrong });
    for (const reference of [latest, { digest: at.digest }])
      expect(await upstreamError(at.client.fetchManifest(path, reference, never))).toMatchObject({
        failure: 'protocol',
        message: expect.stringContaining(`do not hash to ${wrong}`),
      });
  });

  test('is a body that does not hash to the digest asked for, whatever the header says', async () => {
    for (const dockerContentDigest of [null, undefined]) {
      await using at = await scene({ flipByteAt: 3, ...(dockerContentDigest === null && { dockerContentDigest }) });
      const error = await upstreamError(at.client.fetchManifest(path, { digest: at.digest }, never));
      expect(error).toMatchObject({ failure: 'protocol', message: expect.stringContaining(at.digest) });
    }
  });

  test('is another manifest, whole and consistent, in place of the one asked for', async () => {
    const body = JSON.stringify({ schemaVersion: 2 });
    const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
    await using at = await scene({ body, dockerContentDigest: digest });
    const error = await upstreamError(at.client.fetchManifest(path, { digest: at.digest }, never));
    expect(error.failure).toBe('protocol');
  });

  test('is an HTML page with status 200', async () => {
    await using at = await scene(refusals.html);
    expect(await upstreamError(at.client.fetchManifest(path, latest, never))).toMatchObject({
      failure: 'protocol',
      message: expect.stringContaining('as text/html'),
    });
    expect((await upstreamError(at.client.resolve(path, latest, never))).failure).toBe('protocol');
  });

  test('is a compressed body: nobody asked for it', async () => {
    await using at = await scene({ gzip: true });
    for (const attempt of [at.client.fetchManifest(path, latest, never), at.client.resolve(path, latest, never)])
      expect(await upstreamError(attempt)).toMatchObject({
        failure: 'protocol',
        message: expect.stringContaining('gzip encoding'),
      });
  });
});

describe('a manifest above 4 MiB', () => {
  test('is refused, one of exactly 4 MiB is not', async () => {
    const body = Buffer.alloc(maxManifestBytes + 1, ' ');
    const largest = body.subarray(1);
    await using at = await scene({ body: largest, dockerContentDigest: null });
    expect((await at.client.fetchManifest(path, latest, never))?.bytes).toHaveLength(maxManifestBytes);
    at.upstream.faults.add({}, { body });
    expect((await upstreamError(at.client.fetchManifest(path, latest, never))).failure).toBe('protocol');
  });

  test('is not read to an end that never comes', async () => {
    await using at = await scene({ endless: true });
    expect(await upstreamError(at.client.fetchManifest(path, latest, never))).toMatchObject({
      failure: 'protocol',
      message: expect.stringContaining(`more than ${maxManifestBytes} bytes`),
    });
    expect(at.upstream.bytesSent('manifest')).toBeLessThan(4 * maxManifestBytes);
  });
});

test.each([
  ['limited', refusals.pullLimit, 'TOOMANYREQUESTS You have reached your unauthenticated pull rate limit.'],
  ['limited', refusals.abuseLimit, 'Too Many Requests (HAP429).'],
  ['denied', refusals.denied, 'DENIED requested access'],
  ['unauthorized', refusals.unauthorized, 'UNAUTHORIZED authentication required'],
  ['failing', refusals.serverError, 'Internal Server Error'],
  ['failing', refusals.unavailable, 'an HTML page'],
  ['protocol', { status: 418, body: 'teapot' }, 'teapot'],
  ['protocol', { status: 204 }, 'answered 204'],
  ['failing', { status: 500, body: '{"errors":"x"}' }, 'answered 500'],
  ['failing', { status: 500, body: 'null' }, 'answered 500'],
  ['failing', { status: 500, endless: true }, 'answered 500'],
] as const)('an upstream is %s with %j', async (failure, effect, said) => {
  await using at = await scene(effect);
  const error = await upstreamError(at.client.fetchManifest(path, latest, never));
  expect(error.failure).toBe(failure);
  expect(error.message).toContain(said);
});

test('what an upstream says is quoted short, on one line', async () => {
  await using at = await scene({ status: 500, body: `one\r\ntwo\0\u001b[31m${'x'.repeat(5000)}` });
  const { message } = await upstreamError(at.client.fetchManifest(path, latest, never));
  expect(message).toMatch(/^[\x20-\x7e]{1,500}$/);
  expect(message).toContain('one two');
});
