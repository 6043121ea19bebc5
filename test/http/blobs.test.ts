// Blobs over the wire: how each answer came about, its fixed headers, and HEAD as GET.
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestFor, filled } from '../mirror/start-mirror.ts';
import { Gate } from '../support/gate.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import { meaningOf, type Scene, scene } from './start-registry.ts';

const name = 'library/app';
let at: Scene;
let blob: ServedContent;
let path: string;

beforeEach(async () => {
  at = await scene();
  blob = at.upstream.addBlob(name, 'a layer '.repeat(1000));
  path = `/v2/${name}/blobs/${blob.digest}`;
});
afterEach(() => at[Symbol.asyncDispose]());

const fixed = () => ({
  'accept-ranges': 'bytes',
  'content-length': String(blob.size),
  'content-type': 'application/octet-stream',
  'docker-content-digest': blob.digest,
  'docker-distribution-api-version': 'registry/2.0',
  etag: `"${blob.digest}"`,
  'oci-namespace': 'docker.io',
});

/** Pulls it into the store. */
async function store(): Promise<void> {
  await at.ask(path);
  await filled(at.registry.mirror, digestFor(blob));
}

describe('a blob', () => {
  test('has exactly these headers, as a miss and as a hit', async () => {
    const miss = await at.ask(path);
    await filled(at.registry.mirror, digestFor(blob));
    const hit = await at.ask(path);
    expect(meaningOf(miss)).toEqual({ ...fixed(), 'cache-status': 'stillwater; fwd=uri-miss; stored' });
    expect(meaningOf(hit)).toEqual({ ...fixed(), 'cache-status': 'stillwater; hit' });
    for (const answer of [miss, hit]) {
      expect(answer).toMatchObject({ status: 200, isComplete: true });
      expect(answer.body.toString()).toBe('a layer '.repeat(1000));
    }
  });

  test('that is arriving is joined', async () => {
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 100, gate } });
    const first = at.ask(path);
    await gate.reached;
    const second = at.ask(path);
    const head = await at.ask(path, { method: 'HEAD' });
    gate.open();
    const joined = { ...fixed(), 'cache-status': 'stillwater; fwd=uri-miss; collapsed' };
    expect(meaningOf(head)).toEqual(joined);
    expect((await first).isComplete).toBe(true);
    expect(['collapsed', 'hit']).toContain((await second).headers['cache-status']?.toString().split('; ').at(-1));
    expect(at.upstream.count()).toBe(1);
  });

  test.each([
    ['plain', {}],
    ['of a range', { range: 'bytes=5-9' }],
    ['of a range past the end', { range: 'bytes=9999999-' }],
    ['that is known already', { 'if-none-match': '*' }],
  ])('answers a HEAD, %s, exactly as a GET', async (_what, headers) => {
    await store();
    const [head, get] = [await at.ask(path, { method: 'HEAD', headers }), await at.ask(path, { headers })];
    expect(head.status).toBe(get.status);
    expect(meaningOf(head)).toEqual(meaningOf(get));
    expect(head.body.length).toBe(0);
    expect(head.isComplete).toBe(true);
  });

  test('that is not here is told to HEAD without being pulled', async () => {
    const head = await at.ask(path, { method: 'HEAD' });
    expect(head.status).toBe(200);
    expect(meaningOf(head)).toMatchObject(fixed());
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=0-0']);
    expect(at.registry.mirror.records.totals.blobs).toBe(0);
  });

  test.each(['GET', 'HEAD'])('that nobody has is 404 for %s', async (method) => {
    const answer = await at.ask(`/v2/${name}/blobs/${contentOf('nothing').digest}`, { method });
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toBe('application/json');
    if (method === 'GET') expect(answer.body.toString()).toContain('BLOB_UNKNOWN');
    else expect(answer.body.length).toBe(0);
  });

  test('of no bytes is served', async () => {
    const empty = at.upstream.addBlob(name, '');
    for (const outcome of ['miss', 'hit']) {
      const answer = await at.ask(`/v2/${name}/blobs/${empty.digest}`);
      expect(answer).toMatchObject({ status: 200, isComplete: true });
      expect(answer.headers['content-length']).toBe('0');
      expect(answer.headers['cache-status']).toContain(outcome);
      await filled(at.registry.mirror, digestFor(empty));
    }
    const head = await at.ask(`/v2/${name}/blobs/${empty.digest}`, { method: 'HEAD' });
    expect([head.status, head.headers['content-length']]).toEqual([200, '0']);
  });

  test('of sha512 is served and verified', async () => {
    const bytes = 'a layer with a long digest';
    const digest = `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
    at.upstream.addBlob(name, { ...contentOf(bytes), digest });
    for (const status of ['miss', 'hit']) {
      const answer = await at.ask(`/v2/${name}/blobs/${digest}`);
      expect(answer.body.toString()).toBe(bytes);
      expect(answer.headers['docker-content-digest']).toBe(digest);
      expect(answer.headers['cache-status']).toContain(status);
      await filled(at.registry.mirror, digestFor({ digest }));
    }
  });

  test('that is a manifest is 404', async () => {
    const { digest } = at.upstream.addImage(name);
    await at.ask(`/v2/${name}/manifests/latest`);
    expect((await at.ask(`/v2/${name}/blobs/${digest}`)).status).toBe(404);
  });
});

describe('If-None-Match', () => {
  test.each(['"DIGEST"', 'DIGEST', 'W/"DIGEST"', '"other", "DIGEST"'])('of %s is 304 without a body', async (form) => {
    await store();
    const answer = await at.ask(path, { headers: { 'if-none-match': form.replace('DIGEST', blob.digest) } });
    expect([answer.status, answer.body.length]).toEqual([304, 0]);
    expect(answer.headers.etag).toBe(`"${blob.digest}"`);
  });

  test('of something else is 200', async () => {
    await store();
    for (const etag of [`"${contentOf('other').digest}"`, '""', '"*"x'])
      expect((await at.ask(path, { headers: { 'if-none-match': etag } })).status).toBe(200);
  });

  test('wins over a range', async () => {
    await store();
    const headers = { 'if-none-match': `"${blob.digest}"`, range: 'bytes=0-4' };
    expect((await at.ask(path, { headers })).status).toBe(304);
  });

  test('is answered by 304 only if it was sent', async () => {
    await store();
    expect((await at.ask(path, { headers: { 'if-modified-since': new Date().toUTCString() } })).status).toBe(200);
  });
});

test('a client may take gzip: the bytes stay as they are', async () => {
  const { headers, body } = await at.ask(path, { headers: { 'accept-encoding': 'gzip' } });
  expect(headers['content-encoding']).toBeUndefined();
  expect(body.length).toBe(blob.size);
  expect(at.upstream.requests[0]?.headers['accept-encoding']).toBe('identity');
});
