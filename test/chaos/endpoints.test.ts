// Several endpoints of one upstream: whatever the first ones do, the image comes, and the login stays with the registry.
import { describe, expect, test } from 'vitest';
import { BlobClient } from '../support/blob-client.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { freePort } from '../support/free-port.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { committed, pullManifest } from '../support/pulled-image.ts';
import { SilentServer } from '../support/silent-server.ts';
import { lyingFiles } from '../support/stored-files.ts';
import { tell } from '../support/tell.ts';
import { requireTools } from '../support/tool.ts';
import { type Shape, UpstreamProcess } from '../support/upstream-process.ts';
import { pullWhole } from '../support/whole-pull.ts';

const mebibyte = 1024 * 1024;
const repository = 'library/app';
const image = `${repository}:1.0`;

function mirrorOf(...endpoints: string[]): Promise<MirrorProcess> {
  return startMirror({ upstreams: { 'docker.io': { endpoints } } });
}

/** The same image wherever it is added. */
function addImage(upstream: FakeUpstream): AddedImage {
  return upstream.addImage(repository, { tag: '1.0', layers: ['one layer', 'another layer'] });
}

describe('an upstream of several endpoints', { timeout: 60_000 }, () => {
  test('pulls past a dead one', async () => {
    await using registry = await startFakeUpstream();
    addImage(registry);
    await using mirror = await mirrorOf(`http://127.0.0.1:${await freePort()}`, registry.url);
    const { totalMs } = await pullWhole(mirror.url, image);
    expect(totalMs).toBeLessThan(3_000);
  });

  test('pulls past a hanging one within the time of one answer, and the next image at once', async () => {
    await using silent = await SilentServer.start();
    await using registry = await startFakeUpstream();
    addImage(registry);
    registry.addImage('library/other', { tag: '1.0' });
    await using mirror = await mirrorOf(silent.url, registry.url);
    const first = await pullWhole(mirror.url, image);
    const second = await pullWhole(mirror.url, 'library/other:1.0');
    tell({ 'first pull, ms': first.totalMs, 'second pull, ms': second.totalMs });
    expect(silent.connections).toBeGreaterThan(0);
    expect(first.totalMs).toBeLessThan(10_000);
    expect(second.totalMs).toBeLessThan(1_000);
  });

  test('pulls through another Stillwater, and from the registry itself once that one is gone', async () => {
    await using registry = await startFakeUpstream();
    const first = addImage(registry);
    registry.addImage('library/other', { tag: '1.0' });
    await using inner = await startMirror({ upstreams: { 'ghcr.io': registry.url } });
    const upstreams = { 'ghcr.io': { endpoints: [`${inner.url}/ghcr.io`, registry.url] } };
    await using outer = await startMirror({ upstreams });
    expect((await pullWhole(outer.url, `ghcr.io/${image}`)).digest).toBe(first.digest);
    expect(await inner.metric('stillwater_requests_total', 'upstream="ghcr.io"')).toBeGreaterThanOrEqual(4);
    // What the inner one has asked for the outer one never asks for itself.
    for (const blob of [first.config, ...first.layers]) expect(registry.count({ path: blob.digest })).toBe(1);
    await inner.kill();
    await pullWhole(outer.url, 'ghcr.io/library/other:1.0');
  });

  test('asks the registry itself when another Stillwater cannot reach it', async () => {
    await using registry = await startFakeUpstream();
    addImage(registry);
    await using inner = await mirrorOf(`http://127.0.0.1:${await freePort()}`);
    await using outer = await mirrorOf(inner.url, registry.url);
    await pullWhole(outer.url, image);
  });

  test.skipIf(!requireTools('docker-registry'))('pulls through a distribution registry in proxy mode', async () => {
    await using registry = await startFakeUpstream();
    await using behind = await startFakeUpstream();
    for (const upstream of [registry, behind]) addImage(upstream);
    await using proxy = await DockerRegistry.start({ proxyOf: registry.url });
    await using mirror = await mirrorOf(proxy.url, behind.url);
    expect((await pullWhole(mirror.url, image)).digests).toHaveLength(4);
    expect(behind.requests).toEqual([]);
  });

  const breaks: readonly (readonly [string, Shape])[] = [
    ['drops', { dropAfter: 4 * mebibyte }],
    ['resets', { resetAfter: 4 * mebibyte }],
    ['stalls', { stallAfter: 4 * mebibyte }],
  ];

  test.each(breaks)(
    'goes on at the byte reached when the first one %s every body in the middle',
    async (how, shape) => {
      const size = 96 * mebibyte;
      await using accelerator = await UpstreamProcess.start({ size, seed: 71, ...shape });
      await using registry = await UpstreamProcess.start({ size, seed: 71 });
      const endpoints = [accelerator.url, registry.url];
      await using mirror = await startMirror({ upstreams: { 'docker.io': { endpoints, idleTimeout: '1s' } } });
      const content = await registry.content();
      const [blob = ''] = await pullManifest(mirror, registry.image());
      const result = await new BlobClient(blob, { content }).done;
      expect(result).toMatchObject({ status: 200, received: size, isTrue: true, isComplete: true });
      await committed(mirror, content.digest);
      const [first, second] = [await accelerator.stats(), await registry.stats()];
      const share = (first.bytesSent + second.bytesSent) / size;
      tell({ break: how, 'bytes of both / blob': share, 'of the first': first.bytesSent / size, ms: result.totalMs });
      expect(first.bytesSent).toBeGreaterThanOrEqual(4 * mebibyte);
      expect(second.bytesSent).toBeGreaterThan(0);
      expect(share).toBeLessThanOrEqual(1.02);
      // Whoever broke off is asked last for that blob: the first connections are all it gets.
      expect(first.blobGets).toBeLessThanOrEqual(8);
    },
  );

  const lies: readonly (readonly [string, Shape])[] = [
    ['a wrong first byte', { flipByteAt: 0 }],
    ['a wrong byte in the middle', { flipByteAt: 5 * mebibyte }],
    ['a wrong last byte', { flipByteAt: 16 * mebibyte - 1 }],
    ['a wrong byte and then breaks off', { flipByteAt: 1000, dropAfter: 4 * mebibyte }],
  ];

  test.each(lies)('fetches a blob from the next one when the first gives %s', async (_, shape) => {
    const size = 16 * mebibyte;
    await using accelerator = await UpstreamProcess.start({ size, seed: 72, ...shape });
    await using registry = await UpstreamProcess.start({ size, seed: 72 });
    await using mirror = await mirrorOf(accelerator.url, registry.url);
    const content = await registry.content();
    const [blob = ''] = await pullManifest(mirror, registry.image());
    // What has left cannot be taken back: the first client may be cut short, and asks once more as all of them do.
    const first = await new BlobClient(blob, { content }).done.catch(() => undefined);
    if (first?.isComplete && first.status === 200) expect(first).toMatchObject({ received: size, isTrue: true });
    const again = await new BlobClient(blob, { content }).done;
    expect(again).toMatchObject({ status: 200, received: size, isTrue: true, isComplete: true });
    expect((await accelerator.stats()).blobGets).toBeGreaterThan(0);
    await committed(mirror, content.digest);
    expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
  });

  test('fetches a blob from the next one when the first has another length for it', async () => {
    await using accelerator = await startFakeUpstream();
    await using registry = await startFakeUpstream();
    for (const upstream of [accelerator, registry]) addImage(upstream);
    // What a cache that was cut off while it stored a layer gives for ever: fewer bytes, with a length that fits them.
    accelerator.faults.add({ kind: 'blob' }, { status: 200, contentType: 'application/octet-stream', body: 'one' });
    await using mirror = await mirrorOf(accelerator.url, registry.url);
    await pullWhole(mirror.url, image);
    expect(accelerator.count({ kind: 'blob' })).toBeGreaterThan(0);
  });

  test('fetches a manifest from the next one when the first gives other bytes for its digest', async () => {
    await using accelerator = await startFakeUpstream();
    await using registry = await startFakeUpstream();
    const { digest } = addImage(registry);
    addImage(accelerator);
    accelerator.faults.add({ method: 'GET', kind: 'manifest' }, { flipByteAt: 40, dockerContentDigest: digest });
    await using mirror = await mirrorOf(accelerator.url, registry.url);
    expect((await pullWhole(mirror.url, image)).digest).toBe(digest);
    expect(accelerator.count({ method: 'GET', kind: 'manifest' })).toBeGreaterThan(0);
  });

  const { denied, html, notFound, pullLimit, unauthorized, unavailable } = refusals;
  const answers: readonly (readonly [number, FaultEffect])[] = [
    [200, html],
    [401, unauthorized],
    [403, denied],
    [404, notFound],
    [429, pullLimit],
    [503, unavailable],
  ];

  test.each(answers)('believes no wrong %i of an accelerator about what the registry has', async (status, answer) => {
    for (const kind of ['manifest', 'blob'] as const) {
      await using accelerator = await startFakeUpstream();
      await using registry = await startFakeUpstream();
      addImage(accelerator);
      const { digest } = addImage(registry);
      accelerator.faults.add({ kind }, answer);
      await using mirror = await mirrorOf(accelerator.url, registry.url);
      expect((await pullWhole(mirror.url, image)).digest).toBe(digest);
      expect(accelerator.requests.filter((request) => request.status === status).length).toBeGreaterThan(0);
      expect(registry.count({ kind })).toBeGreaterThan(0);
    }
  });

  test('believes the registry itself when it has no such thing', async () => {
    await using accelerator = await startFakeUpstream();
    await using registry = await startFakeUpstream();
    await using mirror = await mirrorOf(accelerator.url, registry.url);
    expect((await fetch(`${mirror.url}/v2/${repository}/manifests/1.0`)).status).toBe(404);
    expect(accelerator.count({ kind: 'manifest' })).toBeGreaterThan(0);
    expect(registry.count({ kind: 'manifest' })).toBeGreaterThan(0);
  });
});

describe('an endpoint that is not the registry itself', { timeout: 60_000 }, () => {
  const credentials = { username: 'builder', password: 'p4ss-word-of-the-registry' };

  /** How an accelerator asks for a login; the registry's own token server is at `realm`. */
  const greeds: readonly (readonly [string, (realm: string) => string])[] = [
    ['Basic', () => 'Basic realm="accelerator"'],
    ["a token of the registry's own token server", (realm) => `Bearer realm="${realm}",service="registry.example"`],
    ['a token of its own token server', () => `Bearer realm="OWN/token",service="accelerator"`],
  ];

  test.each(greeds)('is never shown the login or a token of the registry: it asks for %s', async (_, challenge) => {
    await using registry = await startFakeUpstream({ auth: { credentials } });
    addImage(registry);
    await using own = await startFakeUpstream({ auth: {} });
    await using accelerator = await startFakeUpstream({
      intercept: async ({ response, record }) => {
        record.status = 401;
        const asked = challenge(registry.tokens?.realm ?? '').replace('OWN/token', elsewhere(own.tokens?.realm));
        response.writeHead(401, { 'www-authenticate': asked, 'content-length': '0' }).end();
        return true;
      },
    });
    const endpoints = [elsewhere(accelerator.url), registry.url];
    await using mirror = await startMirror({
      upstreams: { 'docker.io': { endpoints, credentials, visibility: 'public' } },
    });
    for (const tag of ['1.0', '1.1']) {
      registry.addImage(repository, { tag, layers: [`layer of ${tag}`] });
      await pullWhole(mirror.url, `${repository}:${tag}`);
    }
    expect(registry.tokens?.issued).toBeGreaterThan(0);
    expect(accelerator.requests.length).toBeGreaterThan(0);
    const shown = accelerator.requests.map(({ headers }) => headers.authorization ?? '');
    expect(shown.filter((authorization) => /^basic/i.test(authorization))).toEqual([]);
    expect(shown.filter((given) => registry.tokens?.permits(given, `repository:${repository}:pull`))).toEqual([]);
    const told = [...(own.tokens?.requests ?? []), ...own.requests].flatMap(
      ({ headers }) => headers.authorization ?? [],
    );
    expect(told).toEqual([]);
  });
});

/** Another name for the same address is another host. */
function elsewhere(url = ''): string {
  return url.replace('127.0.0.1', 'localhost');
}
