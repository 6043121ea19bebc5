// The guards against upstreams, by their numbers in the security checklist (protocol.md §7): 7, 8 and 10.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { maxManifestBytes } from '../../src/oci/manifest.ts';
import { digestFor, filled } from '../mirror/start-mirror.ts';
import { imageManifest, manifestOf, mediaTypes } from '../support/fake-image.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { contentOf } from '../support/served-content.ts';
import { committedFiles } from '../support/stored-files.ts';
import { type Answer, errorOf, type Scene, scene } from './start-registry.ts';

const name = 'library/app';
const tagged = `/v2/${name}/manifests/latest`;
const hostile = 'x>; rel="prev", <https://evil.example/\r\nX-Evil: 1';
let at: Scene;

beforeEach(async () => {
  at = await scene({ answerTimeoutMs: 5000 });
});
afterEach(() => at[Symbol.asyncDispose]());

async function expectNothingKept(): Promise<void> {
  expect(await committedFiles(at.registry.mirror.dir)).toEqual([]);
  expect(at.registry.mirror.records.totals).toEqual({ bytes: 0, blobs: 0 });
}

describe('§7.7 poisoned content', () => {
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] };
  const layer = { mediaType: mediaTypes.ociLayer, digest: contentOf('x').digest, size: 1 };
  const fine = () => imageManifest(contentOf('{}'), [contentOf('layer')]);

  test('a manifest whose bytes are not those of its digest is refused by digest and by tag', async () => {
    const { content } = at.upstream.addManifest(name, 'latest', fine());
    at.upstream.faults.add({ method: 'GET' }, { body: '{"schemaVersion":2}', dockerContentDigest: null });
    for (const path of [tagged, `/v2/${name}/manifests/${content.digest}`])
      expect((await at.ask(path)).status).toBe(502);
    await expectNothingKept();
  });

  test('a tag whose bytes are not those of Docker-Content-Digest is refused', async () => {
    const { content } = at.upstream.addManifest(name, 'latest', fine());
    // HEAD is refused, so that the tag is fetched by GET and its header is all that names a digest.
    at.upstream.faults.add({ method: 'HEAD' }, { status: 405 });
    at.upstream.faults.add({ method: 'GET' }, { dockerContentDigest: contentOf('other').digest });
    expect((await at.ask(tagged)).status).toBe(502);
    expect((await at.ask(`/v2/${name}/manifests/${content.digest}`)).status).toBe(502);
    await expectNothingKept();
  });

  test('a tag moves only to a digest whose bytes have come', async () => {
    const { content } = at.upstream.addManifest(name, 'latest', fine());
    at.upstream.faults.add({ method: 'HEAD' }, { dockerContentDigest: contentOf('nowhere').digest });
    expect((await at.ask(tagged)).status).toBe(502);
    at.upstream.faults.clear();
    expect((await at.ask(tagged)).headers['docker-content-digest']).toBe(content.digest);
  });

  test.each([
    ['another type inside than outside', manifestOf(mediaTypes.ociManifest, { mediaType: mediaTypes.dockerManifest })],
    ['layers and manifests, as an index', manifestOf(mediaTypes.ociIndex, { ...index, layers: [layer] })],
    ['a config and manifests, as an index', manifestOf(mediaTypes.ociIndex, { ...index, config: layer })],
    ['layers and manifests, as an image', manifestOf(mediaTypes.ociManifest, { layers: [layer], manifests: [] })],
    ['no JSON', { mediaType: mediaTypes.ociManifest, content: contentOf('<html>') }],
  ])('a manifest with %s is refused', async (_what, manifest) => {
    at.upstream.addManifest(name, 'latest', manifest);
    for (const path of [tagged, `/v2/${name}/manifests/${manifest.content.digest}`])
      expect((await at.ask(path)).status).toBe(502);
    await expectNothingKept();
  });

  test.each<[string, FaultEffect]>([
    ['a wrong byte', { flipByteAt: 3 }],
    ['a wrong last byte', { flipByteAt: 6 }],
    ['other bytes of the same length', { status: 200, body: 'A LAYER' }],
  ])('a blob with %s never arrives whole and is not kept', async (_what, effect) => {
    const blob = at.upstream.addBlob(name, 'a layer');
    at.upstream.faults.add({ kind: 'blob' }, effect);
    const answer = await at.ask(`/v2/${name}/blobs/${blob.digest}`);
    expect(answer.isComplete).toBe(false);
    await filled(at.registry.mirror, digestFor(blob));
    await expectNothingKept();
  });
});

describe('§7.8 what is too large is not read', () => {
  function padded(size: number) {
    const text = JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociManifest });
    return { mediaType: mediaTypes.ociManifest, content: contentOf(text.padEnd(size)) };
  }

  test('a manifest of 4 MiB is taken, and one byte more is not', async () => {
    at.upstream.addManifest(name, 'fits', padded(maxManifestBytes));
    at.upstream.addManifest(name, 'latest', padded(maxManifestBytes + 1));
    const fits = await at.ask(`/v2/${name}/manifests/fits`);
    expect([fits.status, fits.body.length]).toEqual([200, 4 * 1024 * 1024]);
    expect((await at.ask(tagged)).status).toBe(502);
    expect(await committedFiles(at.registry.mirror.dir)).toHaveLength(1);
  });

  test.each<[string, string, FaultEffect]>([
    ['a manifest', tagged, {}],
    ['a refusal of a manifest', tagged, refusals.serverError],
    ['a refusal of a blob', `/v2/${name}/blobs/${contentOf('x').digest}`, refusals.denied],
    ['a list of tags', `/v2/${name}/tags/list`, {}],
    ['an index of referrers', `/v2/${name}/referrers/${contentOf('x').digest}`, {}],
  ])('%s without an end is read no further than its limit', async (_what, path, effect) => {
    at.upstream.addImage(name);
    at.upstream.faults.add({ method: 'GET' }, { ...effect, endless: true });
    expect((await at.ask(path)).status).toBeOneOf([403, 502]);
    expect(at.upstream.server.bytesSent()).toBeLessThan(32 * 1024 * 1024);
  });

  test('a token answer above 64 KiB is refused', async () => {
    await using guarded = await scene({}, { auth: {} });
    guarded.upstream.addImage(name);
    const token = JSON.stringify({ token: 'x' }).padEnd(64 * 1024 + 1);
    guarded.upstream.tokens?.faults.add({}, { status: 200, body: token });
    const answer = await guarded.ask(tagged);
    expect([answer.status, errorOf(answer)]).toEqual([502, expect.stringContaining('more than 65536 bytes')]);
  });

  test('a head above 32 KiB is refused', async () => {
    at.upstream.addImage(name);
    at.upstream.faults.add({}, { headers: { 'x-large': 'a'.repeat(33 * 1024) } });
    expect((await at.ask(tagged)).status).toBe(502);
  });

  test('a blob longer than its manifest says is not begun', async () => {
    const blob = contentOf('longer than told');
    const layers = [{ mediaType: mediaTypes.ociLayer, digest: blob.digest, size: 3 }];
    at.upstream.addBlob(name, blob);
    at.upstream.addManifest(name, 'latest', { schemaVersion: 2, layers }, mediaTypes.ociManifest);
    await at.ask(tagged);
    expect((await at.ask(`/v2/${name}/blobs/${blob.digest}`)).status).toBe(502);
  });

  test('a blob that runs past its told length is cut there, and nothing of it is kept', async () => {
    const blob = contentOf('longer than told');
    const layers = [{ mediaType: mediaTypes.ociLayer, digest: blob.digest, size: 3 }];
    at.upstream.addBlob(name, blob);
    at.upstream.addManifest(name, 'latest', { schemaVersion: 2, layers }, mediaTypes.ociManifest);
    at.upstream.faults.add({ kind: 'blob' }, { endless: true });
    await at.ask(tagged);
    expect((await at.ask(`/v2/${name}/blobs/${blob.digest}`)).isComplete).toBe(false);
    await filled(at.registry.mirror, digestFor(blob));
    expect(at.upstream.bytesSent('blob')).toBeLessThan(32 * 1024 * 1024);
    expect(await committedFiles(at.registry.mirror.dir)).toHaveLength(1);
  });
});

describe('§7.10 what an upstream writes into its head stays there', () => {
  const foreign = {
    'set-cookie': 'session=1',
    link: '<https://evil.example/>; rel="next"',
    location: 'https://evil.example/',
    'www-authenticate': 'Basic realm="evil"',
    warning: '299 - "evil"',
    'retry-after': '60',
    'cache-control': 'max-age=31536000',
    'strict-transport-security': 'max-age=31536000',
    'x-evil': '1',
    server: 'evil',
    via: '1.1 evil',
  };
  const connection = ['connection', 'content-length', 'content-type', 'date', 'keep-alive'];
  const ours = ['docker-distribution-api-version', 'oci-namespace', ...connection];
  const content = [...ours, 'docker-content-digest', 'etag', 'cache-status'];

  function fields({ headers }: Answer): string[] {
    return Object.keys(headers);
  }

  test('an answer has no field that is not on its list', async () => {
    const { digest } = at.upstream.addImage(name);
    const blob = at.upstream.addBlob(name, 'a layer');
    at.upstream.faults.add({}, { headers: foreign });
    const lists: [string, readonly string[]][] = [
      [tagged, content],
      [`/v2/${name}/manifests/${digest}`, content],
      [`/v2/${name}/blobs/${blob.digest}`, [...content, 'accept-ranges']],
      [`/v2/${name}/tags/list`, ours],
      [`/v2/${name}/referrers/${digest}`, ours],
      [`/v2/${name}/manifests/nothing`, ours],
      [`/v2/${name}/blobs/${contentOf('nothing').digest}`, ours],
    ];
    for (const [path, allowed] of lists)
      for (const method of ['GET', 'HEAD']) {
        const answer = await at.ask(path, { method });
        expect(fields(answer).filter((field) => !allowed.includes(field))).toEqual([]);
        expect(JSON.stringify(answer.headers)).not.toContain('evil');
      }
  });

  // A page that stands where a blob belongs begins as a blob: only its digest tells, at its end.
  const { html: _page, ...plain } = refusals;
  test.each(Object.entries(plain))('nor has a refusal: %s', async (_what, effect) => {
    at.upstream.faults.add({}, { ...effect, headers: foreign });
    for (const path of [tagged, `/v2/${name}/blobs/${contentOf('x').digest}`, `/v2/${name}/tags/list`]) {
      const answer = await at.ask(path);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(fields(answer).filter((field) => !ours.includes(field))).toEqual([]);
    }
  });

  test.each([
    'manifests/latest',
    `blobs/${contentOf('a layer').digest}`,
    'tags/list',
    `referrers/${contentOf('x').digest}`,
  ])('a content encoding that nobody asked for is refused: %s', async (target) => {
    at.upstream.addImage(name);
    at.upstream.addBlob(name, 'a layer');
    at.upstream.faults.add({ method: 'GET' }, { gzip: true });
    const answer = await at.ask(`/v2/${name}/${target}`);
    expect(answer.status).toBe(502);
    expect(answer.headers['content-encoding']).toBeUndefined();
  });

  test.each([
    ['https://evil.example/', 'v1.2_b-c', `</v2/${name}/tags/list?n=1&last=v1.2_b-c>; rel="next"`],
    // What is no tag is not handed on: to our own registry it is a cursor, to another origin it leads nowhere.
    ['', hostile, `</v2/${name}/tags/list?n=1&last=latest>; rel="next"`],
    ['https://evil.example/', hostile, undefined],
  ])('a link of tags is our own path, and names nothing but a tag: %s?last=%j', async (address, last, expected) => {
    at.upstream.addImage(name);
    const link = `<${address}?last=${encodeURIComponent(last)}>; rel="next"`;
    at.upstream.faults.add({ kind: 'tags' }, { headers: { link } });
    const { headers } = await at.ask(`/v2/${name}/tags/list?n=1`);
    expect(headers.link).toBe(expected);
    expect(headers['x-evil']).toBeUndefined();
  });

  test('the parameters of a media type stay behind', async () => {
    const { manifest } = at.upstream.addImage(name);
    at.upstream.faults.add({}, { contentType: `${manifest.mediaType}; charset=utf-8; evil="1"` });
    expect((await at.ask(tagged)).headers['content-type']).toBe(manifest.mediaType);
  });
});
