// With `offline` on the mirror gives what it has, whatever its age, refuses the rest at once, and speaks to nobody.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { imageManifest, indexManifest } from '../support/fake-image.ts';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { SilentServer } from '../support/silent-server.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { until } from '../support/until.ts';
import { ask, pullWhole } from '../support/whole-pull.ts';

const recorder = fileURLToPath(new URL('../support/dial-recorder.ts', import.meta.url));
const env = { NODE_OPTIONS: `--import=${recorder}` };
// Old enough for any bound in a moment.
const tags = { ttl: '1ms', staleIfError: '1ms', revalidateTimeout: '2s' };
const other = `sha256:${'ab'.repeat(32)}`;

const dials = (mirror: MirrorProcess) => mirror.output.filter((line) => line.startsWith('dial-recorder: '));

describe('an offline mirror', { timeout: 60_000 }, () => {
  let dir: TempDir;
  let cached: AddedImage;
  let half: AddedImage;
  let index: string;
  let silent: SilentServer;
  let mirror: MirrorProcess;

  beforeAll(async () => {
    dir = await tempDir('offline');
    silent = await SilentServer.start();
    const cacheDir = join(dir.path, 'cache');
    await using upstream = await startFakeUpstream();
    cached = upstream.addImage('library/app', { tag: '1.0', layers: ['one layer', 'another layer'] });
    index = addIndex(upstream, cached);
    half = upstream.addImage('library/app', { tag: 'half', layers: ['a layer that nobody has pulled'] });
    {
      await using online = await startMirror({
        upstreams: { 'docker.io': upstream.url, 'ghcr.io': upstream.url },
        cacheDir,
        env,
      });
      for (const image of ['library/app:1.0', 'library/app:multi', 'ghcr.io/library/app:1.0'])
        await pullWhole(online.url, image);
      await ask(online.url, '/v2/library/app/manifests/half');
      await until('all is recorded', async () => (await online.metric('stillwater_cache_blobs')) === 6);
      // The recorder works: whoever dials is heard.
      expect(dials(online).length).toBeGreaterThan(0);
    }
    const command = join(dir.path, 'was-run');
    const upstreams = {
      'docker.io': { endpoints: [silent.url], credentials: { exec: ['touch', command] }, visibility: 'public' },
      'ghcr.io': 'https://registry.invalid',
    };
    mirror = await startMirror({ upstreams, cacheDir, env, config: { offline: true, tags } });
  });

  afterAll(async () => {
    await mirror?.[Symbol.asyncDispose]();
    await silent?.[Symbol.asyncDispose]();
    await dir?.remove();
  });

  test.each(['library/app:1.0', 'library/app:multi', 'ghcr.io/library/app:1.0'])(
    'gives %s whole, though it is older than staleIfError',
    async (image) => {
      const { digest, totalMs } = await pullWhole(mirror.url, image);
      expect(digest).toBe(image.endsWith('multi') ? index : cached.digest);
      expect(totalMs).toBeLessThan(2_000);
    },
  );

  test('gives an image by its digest, and the tags that it knows', async () => {
    await pullWhole(mirror.url, `library/app@${cached.digest}`);
    const list = await ask(mirror.url, '/v2/library/app/tags/list');
    expect(list.status).toBe(200);
    expect(JSON.parse(list.body.toString())).toMatchObject({ tags: ['1.0', 'half', 'multi'] });
  });

  test.each([
    ['a tag', '/v2/library/app/manifests/2.0'],
    ['another repository', '/v2/library/nothing/manifests/latest'],
    ['a manifest', `/v2/library/app/manifests/${other}`],
    ['a blob', `/v2/library/app/blobs/${other}`],
    ['a tag of a registry whose name nobody can resolve', '/v2/ghcr.io/library/app/manifests/2.0'],
    ['the tags of a repository that it never saw', '/v2/library/nothing/tags/list'],
    ['a tag of a registry that it never saw', '/v2/quay.io/library/nothing/manifests/latest'],
  ])('answers 503 at once for %s that is not cached', async (_, path) => {
    for (const method of ['HEAD', 'GET']) {
      const { status, body, totalMs, headers } = await ask(mirror.url, path, { method });
      expect(status).toBe(503);
      expect(totalMs).toBeLessThan(500);
      expect(headers.get('www-authenticate')).toBeNull();
      if (method === 'HEAD') continue;
      expect(JSON.parse(body.toString()).errors[0]).toMatchObject({ code: 'UNAVAILABLE' });
      expect(body.toString()).toMatch(/offline/);
    }
  });

  test('keeps the manifest of an image whose layers are not all here', async () => {
    for (const reference of ['half', half.digest]) {
      const { status, body } = await ask(mirror.url, `/v2/library/app/manifests/${reference}`);
      expect([reference, status]).toEqual([reference, 503]);
      // It says which one is missing.
      expect(body.toString()).toMatch(new RegExp([half.config, ...half.layers].map(({ digest }) => digest).join('|')));
    }
  });

  test('has dialled nobody, looked no name up and asked no program for a login', async () => {
    expect(dials(mirror)).toEqual([]);
    expect(silent.connections).toBe(0);
    expect(existsSync(join(dir.path, 'was-run'))).toBe(false);
    expect(await mirror.metric('stillwater_upstream_requests_total')).toBeUndefined();
  });

  test('is ready, for nothing is amiss', async () => {
    expect((await mirror.readiness()).isReady).toBe(true);
  });
});

/** One image for two platforms would do; the second is one that nobody pulls. */
function addIndex(upstream: FakeUpstream, { manifest }: AddedImage): string {
  const config = upstream.addBlob('library/app', '{"architecture":"arm64","os":"linux"}');
  const children = [
    { manifest, platform: { architecture: 'amd64', os: 'linux' } },
    { manifest: imageManifest(config, []), platform: { architecture: 'arm64', os: 'linux' } },
  ];
  return upstream.addManifest('library/app', 'multi', indexManifest(children)).content.digest;
}
