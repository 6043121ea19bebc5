// Blobs of an upstream: their transfer, and the proof that a repository gives one out.
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { type FakeUpstreamOptions, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { never, openClient, textOf, upstreamError } from './upstream-scene.ts';

const path = 'library/app';
const missing = digestOf(Buffer.from('missing'));

async function scene(bytes = '0123456789', options: FakeUpstreamOptions = {}) {
  const upstream = await startFakeUpstream(options);
  const { client, ...at } = openClient({ endpoint: upstream.url });
  return {
    upstream,
    client,
    digest: upstream.addBlob(path, bytes).digest as Digest,
    async [Symbol.asyncDispose]() {
      await at[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('a blob', () => {
  test('comes with its size and its bytes', async () => {
    await using at = await scene();
    const transfer = await at.client.fetchBlob(path, at.digest, never);
    expect(transfer?.size).toBe(10);
    expect(await textOf(transfer?.body)).toBe('0123456789');
    expect(at.upstream.requests).toHaveLength(1);
    expect(at.upstream.requests[0]?.headers['accept-encoding']).toBe('identity');
  });

  test('may come without a size', async () => {
    await using at = await scene();
    at.upstream.faults.add({}, { chunked: true });
    const transfer = await at.client.fetchBlob(path, at.digest, never);
    expect(transfer?.size).toBeUndefined();
    expect(await textOf(transfer?.body)).toBe('0123456789');
  });

  test('comes from where the registry redirects to, which sees no authorization', async () => {
    await using at = await scene('0123456789', { cdn: true, auth: {} });
    expect(await textOf((await at.client.fetchBlob(path, at.digest, never))?.body)).toBe('0123456789');
    expect(at.upstream.cdn?.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
  });

  test('that is not there is undefined', async () => {
    await using at = await scene();
    expect(await at.client.fetchBlob(path, missing, never)).toBeUndefined();
  });

  test.each<[string, string, FaultEffect]>([
    ['protocol', 'gzip encoding', { gzip: true }],
    ['protocol', 'answered 206', { status: 206 }],
    ['protocol', 'a web page', { contentType: 'text/html; charset=utf-8', noRanges: true }],
    ['limited', 'HAP429', refusals.abuseLimit],
    ['denied', 'DENIED', refusals.denied],
    ['failing', 'answered 503', refusals.unavailable],
  ])('makes the upstream %s where it says %s', async (failure, said, effect) => {
    await using at = await scene();
    at.upstream.faults.add({}, effect);
    const error = await upstreamError(at.client.fetchBlob(path, at.digest, never));
    expect(error).toMatchObject({ failure, message: expect.stringContaining(said) });
  });

  test('whose transfer breaks off makes the upstream unreachable', async () => {
    await using at = await scene();
    at.upstream.faults.add({}, { dropAfter: 4 });
    const transfer = await at.client.fetchBlob(path, at.digest, never);
    expect((await upstreamError(textOf(transfer?.body))).failure).toBe('unreachable');
  });

  test('whose transfer nobody reads may be aborted', async () => {
    await using at = await scene();
    const gate = new Gate();
    at.upstream.faults.add({}, { holdBody: { after: 4, gate } });
    const controller = new AbortController();
    const transfer = await at.client.fetchBlob(path, at.digest, controller.signal);
    controller.abort(new Error('enough'));
    await expect(textOf(transfer?.body)).rejects.toThrow('enough');
    gate.open();
  });
});

describe('the proof of a blob', () => {
  test('is its first byte, and tells its size', async () => {
    await using at = await scene();
    expect(await at.client.proveBlob(path, at.digest, never)).toBe(10);
    expect(at.upstream.requests).toHaveLength(1);
    expect(at.upstream.requests[0]).toMatchObject({ method: 'GET', status: 206, headers: { range: 'bytes=0-0' } });
    expect(at.upstream.bytesSent('blob')).toBe(1);
  });

  test('is the range that an empty blob does not have', async () => {
    await using at = await scene('');
    expect(await at.client.proveBlob(path, at.digest, never)).toBe(0);
    expect(at.upstream.requests[0]?.status).toBe(416);
  });

  test('is the length of the whole where ranges are not known, without the whole', async () => {
    await using at = await scene('x'.repeat(50_000_000));
    at.upstream.faults.add({}, { noRanges: true });
    expect(await at.client.proveBlob(path, at.digest, never)).toBe(50_000_000);
    await at.upstream.close();
    expect(at.upstream.requests[0]?.isComplete).toBe(false);
  });

  test('follows a redirect with its range', async () => {
    await using at = await scene('0123456789', { cdn: true });
    expect(await at.client.proveBlob(path, at.digest, never)).toBe(10);
    expect(at.upstream.cdn?.requests[0]?.headers.range).toBe('bytes=0-0');
  });

  test('fails for a blob that is not in the repository', async () => {
    await using at = await scene();
    expect(await at.client.proveBlob(path, missing, never)).toBeUndefined();
    expect(await at.client.proveBlob('library/other', at.digest, never)).toBeUndefined();
  });

  test.each<[string, string, FaultEffect]>([
    ['protocol', 'without a length', { noRanges: true, chunked: true }],
    ['protocol', 'answered 206', { status: 206, headers: { 'content-range': 'bytes 0-0/*' } }],
    ['protocol', 'answered 416', { status: 416 }],
    ['protocol', 'a web page', { contentType: 'text/html', noRanges: true }],
    ['unauthorized', 'answered 401', refusals.unauthorized],
    ['limited', 'answered 429', refusals.pullLimit],
    ['failing', 'answered 500', refusals.serverError],
  ])('makes the upstream %s where it is %s', async (failure, said, effect) => {
    await using at = await scene();
    at.upstream.faults.add({}, effect);
    const error = await upstreamError(at.client.proveBlob(path, at.digest, never));
    expect(error).toMatchObject({ failure, message: expect.stringContaining(said) });
  });
});
