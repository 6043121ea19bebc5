// A real Docker Engine pulls through the mirror and runs what arrived.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Dockerd } from '../support/dockerd.ts';
import { greetings, PullScene } from '../support/pull-scene.ts';
import { RecordedServer } from '../support/recorded-server.ts';
import { sendReply } from '../support/reply.ts';
import { requireRoot, requireTools } from '../support/tool.ts';

const hubLogin = { username: 'hub-user', password: 'hub-secret' };
const isPossible =
  requireTools('dockerd', 'docker', 'containerd', 'runc', 'docker-registry', 'skopeo', 'busybox', 'openssl') &&
  requireRoot();

describe.skipIf(!isPossible)('dockerd --registry-mirror', { timeout: 120_000 }, () => {
  let scene: PullScene;
  let dockerd: Dockerd;

  beforeAll(async () => {
    scene = await PullScene.start({ largeLayerBytes: 200 * 1024 * 1024 });
    dockerd = await Dockerd.start({ mirrors: [scene.front.url], hubLogin });
  });

  afterAll(async () => {
    await dockerd?.[Symbol.asyncDispose]();
    await scene?.[Symbol.asyncDispose]();
  });

  async function requestsDuring(work: () => Promise<unknown>): Promise<string[]> {
    const before = scene.front.requests.length;
    await work();
    return scene.front.lines.slice(before);
  }

  test.each(['oci', 'docker', 'multi', 'docker-multi'] as const)('pulls hello:%s and runs it', async (tag) => {
    await dockerd.docker('pull', `hello:${tag}`);
    expect(await dockerd.printedBy(`hello:${tag}`)).toBe(greetings[tag]);
  });

  test('pulls again from the cache after the image is removed and the upstream has died', async () => {
    await dockerd.docker('pull', 'hello:offline');
    expect(await dockerd.printedBy('hello:offline')).toBe(greetings.offline);
    await dockerd.forget('hello:offline');
    const requests = await scene.withoutUpstream(() => requestsDuring(() => dockerd.docker('pull', 'hello:offline')));
    expect(requests.filter((line) => line.includes('/blobs/')).length).toBeGreaterThan(0);
    expect(await dockerd.printedBy('hello:offline')).toBe(greetings.offline);
  });

  test('gives a second daemon that never saw the image all of it without the upstream', async () => {
    await dockerd.docker('pull', 'hello:multi');
    await using second = await Dockerd.start({ mirrors: [scene.front.url] });
    await scene.withoutUpstream(() => second.docker('pull', 'hello:multi'));
    expect(await second.printedBy('hello:multi')).toBe(greetings.multi);
  });

  test('re-pulls an unchanged tag with two requests', async () => {
    await dockerd.docker('pull', 'hello:oci');
    const requests = await requestsDuring(() => dockerd.docker('pull', 'hello:oci'));
    expect(requests).toEqual(['GET /v2/', 'HEAD /v2/library/hello/manifests/oci']);
  });

  test('pulls by digest', async () => {
    await dockerd.docker('pull', 'hello:docker');
    const format = '{{index .RepoDigests 0}}';
    const reference = (await dockerd.docker('inspect', '--format', format, 'hello:docker')).trim();
    expect(reference).toMatch(/^hello@sha256:[0-9a-f]{64}$/);
    await using second = await Dockerd.start({ mirrors: [scene.front.url] });
    await second.docker('pull', reference);
    expect(await second.printedBy(reference)).toBe(greetings.docker);
  });

  test('pulls a layer of 200 MiB', async () => {
    await dockerd.docker('pull', 'large');
    expect(await dockerd.printedBy('large')).toBe('hello from a large image');
  });

  test('falls through to the next mirror for an image the upstream does not have', async () => {
    await using next = await emptyRegistry();
    await using second = await Dockerd.start({ mirrors: [scene.front.url, next.url] });
    await expect(second.docker('pull', 'nobody/has-this')).rejects.toThrow();
    expect(next.count({ path: '/v2/nobody/has-this/manifests/latest' })).toBeGreaterThan(0);
  });

  test('is never shown the Hub password', async () => {
    await dockerd.docker('pull', 'hello:docker-multi');
    expect(scene.front.requests.length).toBeGreaterThan(0);
    expect(scene.front.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
    expect(scene.front.requests.filter(({ status }) => status === 401)).toEqual([]);
  });

  test('would have been shown it, had it asked', async () => {
    // The counter-test: it proves that the login above is one that dockerd hands to any mirror that challenges.
    await using greedy = await RecordedServer.start({
      kindOf: () => 'other',
      handle: (exchange) => sendReply(exchange, { status: 401, headers: { 'www-authenticate': 'Basic realm="m"' } }),
    });
    await using second = await Dockerd.start({ mirrors: [greedy.url], hubLogin });
    await expect(second.docker('pull', 'hello:oci')).rejects.toThrow();
    const shown = greedy.requests.map(({ headers }) => headers.authorization).filter(Boolean);
    expect(shown).toContain(`Basic ${Buffer.from('hub-user:hub-secret').toString('base64')}`);
  });
});

function emptyRegistry(): Promise<RecordedServer> {
  return RecordedServer.start({
    kindOf: () => 'other',
    handle: (exchange) => sendReply(exchange, { status: exchange.url.pathname === '/v2/' ? 200 : 404 }),
  });
}
