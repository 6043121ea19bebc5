// Manifests over the wire: exact bytes and types, how each answer came about, and HEAD as GET.
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { UpstreamError, type UpstreamFailure } from '../../src/upstream/upstream.ts';
import { altered, patient } from '../mirror/start-mirror.ts';
import { imageManifest, indexManifest } from '../support/fake-image.ts';
import { contentOf } from '../support/served-content.ts';
import { errorOf, meaningOf, type Scene, scene } from './start-registry.ts';

const name = 'library/app';
const tagged = `/v2/${name}/manifests/latest`;
const hour = 3_600_000;

/** Makes the last confirmation of `latest` as old as this. */
function age({ registry: { mirror } }: Scene, ms: number): void {
  const { repository } = mirror.source(name);
  const record = mirror.records.tag(repository, 'latest');
  if (record) mirror.records.putTag(repository, 'latest', { ...record, checkedAt: Date.now() - ms });
}

describe('a manifest', () => {
  test.each([
    ['an OCI image', () => imageManifest(contentOf('{}'), [contentOf('layer')])],
    ['a Docker image', () => imageManifest(contentOf('{}'), [contentOf('layer')], 'docker')],
    ['an OCI index', () => indexManifest([])],
    ['a Docker list', () => indexManifest([], 'docker')],
  ])('that is %s comes byte for byte under its own type, whatever the client accepts', async (_what, make) => {
    await using at = await scene();
    const { mediaType, content } = at.upstream.addManifest(name, 'latest', make());
    for (const path of [tagged, `/v2/${name}/manifests/${content.digest}`])
      for (const accept of ['*/*', 'application/json', 'application/vnd.docker.distribution.manifest.v1+json']) {
        const { status, headers, body } = await at.ask(path, { headers: { accept } });
        expect([status, headers['content-type']]).toEqual([200, mediaType]);
        expect(digestOf(body)).toBe(content.digest);
      }
    const accepted = at.upstream.requests.map(({ headers }) => headers.accept);
    expect(new Set(accepted).size).toBe(1);
  });

  test('has exactly these headers, as a miss and as a hit', async () => {
    await using at = await scene();
    const { manifest, config, layers } = at.upstream.addImage(name);
    const { content, mediaType } = manifest;
    const fixed = {
      'content-length': String(content.size),
      'content-type': mediaType,
      'docker-content-digest': content.digest,
      'docker-distribution-api-version': 'registry/2.0',
      etag: `"${content.digest}"`,
      'oci-namespace': 'docker.io',
    };
    expect(meaningOf(await at.ask(tagged))).toEqual({ ...fixed, 'cache-status': 'stillwater; fwd=uri-miss; stored' });
    expect(meaningOf(await at.ask(tagged))).toEqual({ ...fixed, 'cache-status': 'stillwater; hit' });
    age(at, 2 * hour);
    expect(meaningOf(await at.ask(tagged))).toEqual({
      ...fixed,
      'cache-status': 'stillwater; hit; fwd=stale; fwd-status=200',
    });
    age(at, hour / 2);
    for (const { digest } of [config, ...layers]) await at.ask(`/v2/${name}/blobs/${digest}`);
    await at.upstream.close();
    expect(meaningOf(await at.ask(tagged))).toEqual({
      ...fixed,
      'cache-status': 'stillwater; hit; detail=stale-if-error',
      warning: '110 - "Response is Stale"',
    });
  });

  test.each([
    ['by tag', 'latest', {}],
    ['by digest', undefined, {}],
    ['that is known already', 'latest', { 'if-none-match': '*' }],
    ['with a range', 'latest', { range: 'bytes=0-5' }],
    ['that nobody has', 'nothing', {}],
  ])('answers a HEAD, %s, exactly as a GET', async (_what, reference, headers) => {
    await using at = await scene();
    const { digest } = at.upstream.addImage(name);
    const path = `/v2/${name}/manifests/${reference ?? digest}`;
    await at.ask(path);
    const [head, get] = [await at.ask(path, { method: 'HEAD', headers }), await at.ask(path, { headers })];
    expect(head.status).toBe(get.status);
    const { 'content-length': headLength, ...headMeaning } = meaningOf(head);
    const { 'content-length': getLength, ...getMeaning } = meaningOf(get);
    expect(headMeaning).toEqual(getMeaning);
    if (get.status === 200) expect(headLength).toBe(getLength);
    expect(head.body.length).toBe(0);
  });

  test('asked for by HEAD first is pulled by it', async () => {
    await using at = await scene();
    const { digest } = at.upstream.addImage(name);
    const head = await at.ask(tagged, { method: 'HEAD' });
    expect([head.status, head.headers['docker-content-digest']]).toEqual([200, digest]);
    expect((await at.ask(`/v2/${name}/manifests/${digest}`)).headers['cache-status']).toBe('stillwater; hit');
    expect(at.upstream.count()).toBe(2);
  });

  test('that is known already is 304, and only then', async () => {
    await using at = await scene();
    const { digest } = at.upstream.addImage(name);
    for (const etag of [`"${digest}"`, digest, `W/"${digest}"`]) {
      const { status, body } = await at.ask(tagged, { headers: { 'if-none-match': etag } });
      expect([status, body.length]).toEqual([304, 0]);
    }
    for (const headers of [{}, { 'if-none-match': '"other"' }])
      expect((await at.ask(tagged, { headers })).status).toBe(200);
  });

  test.each([
    ['.INVALID_MANIFEST_NAME', 404, 'MANIFEST_UNKNOWN'],
    ['nothing', 404, 'MANIFEST_UNKNOWN'],
    [contentOf('nothing').digest, 404, 'MANIFEST_UNKNOWN'],
    ['sha256:totallywrong', 400, 'DIGEST_INVALID'],
    ['sha256:baddigeststring', 400, 'DIGEST_INVALID'],
    ['constructor:x', 400, 'DIGEST_INVALID'],
  ])('by the reference %s is %i %s', async (reference, status, code) => {
    await using at = await scene();
    at.upstream.addImage(name);
    const answer = await at.ask(`/v2/${name}/manifests/${reference}`);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(JSON.parse(answer.body.toString())).toMatchObject({ errors: [{ code, message: expect.any(String) }] });
    expect((await at.ask(`/v2/${name}/manifests/${reference}`, { method: 'HEAD' })).status).toBe(status);
  });
});

describe('a manifest whose blobs cannot all be served', () => {
  const away = (failure: UpstreamFailure) => ({
    resolve: () => Promise.reject(new UpstreamError(failure, 'not now', { retryAfterMs: 5000 })),
    mayAsk: () => false,
  });

  test.each<[UpstreamFailure, string]>([
    ['away', 'UNAVAILABLE'],
    ['offline', 'UNAVAILABLE'],
    ['login', 'UNAVAILABLE'],
    ['unreachable', 'UNAVAILABLE'],
    ['timeout', 'UNAVAILABLE'],
    ['unauthorized', 'UNAVAILABLE'],
    ['denied', 'UNAVAILABLE'],
    ['limited', 'TOOMANYREQUESTS'],
  ])(
    'is 503 without Retry-After while the upstream is %s, by tag and by digest, for GET and HEAD',
    async (failure, code) => {
      const changes = {};
      await using at = await scene({ wrap: (upstream) => altered(upstream, changes) });
      const { digest, config } = at.upstream.addImage(name);
      await at.ask(tagged);
      Object.assign(changes, away(failure));
      for (const path of [tagged, `/v2/${name}/manifests/${digest}`]) {
        const answer = await at.ask(path);
        expect([answer.status, answer.headers['retry-after']]).toEqual([503, undefined]);
        expect(errorOf(answer)).toMatch(
          new RegExp(`^${code}: .*${config.digest} is missing and cannot be fetched: not now`),
        );
        expect((await at.ask(path, { method: 'HEAD' })).status).toBe(503);
      }
    },
  );

  test('is 200 again as soon as they can', async () => {
    await using at = await scene();
    at.upstream.addImage(name);
    await at.ask(tagged);
    const changes = away('offline');
    const { mirror } = at.registry;
    const source = mirror.source(name);
    const offline = { ...source, upstream: altered(source.upstream, changes) };
    await expect(mirror.mirror.getManifest(offline, { tag: 'latest' }, patient)).rejects.toMatchObject({
      failure: 'offline',
    });
    expect((await at.ask(tagged)).status).toBe(200);
  });
});
