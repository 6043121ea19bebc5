// The disk is too small, full, or read-only: pulls go on, the mirror says so, and caching comes back by itself.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BlobClient } from '../support/blob-client.ts';
import { run } from '../support/command.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { pullManifest } from '../support/pulled-image.ts';
import { ScratchDisk } from '../support/scratch-disk.ts';
import { sha256 } from '../support/served-content.ts';
import { isCommitted } from '../support/stored-files.ts';
import { tempDir } from '../support/temp-dir.ts';
import { requireRoot, requireTool } from '../support/tool.ts';
import { until } from '../support/until.ts';
import { UpstreamProcess } from '../support/upstream-process.ts';

const mebibyte = 1024 * 1024;
const isPossible = requireRoot();
const cache = { minFree: '8MiB', siblings: false };

async function pullWhole(mirror: MirrorProcess, upstream: UpstreamProcess, image = 0): Promise<void> {
  for (const [layer, url] of (await pullManifest(mirror, upstream.image(image))).entries()) {
    const content = await upstream.content(image, layer);
    const result = await new BlobClient(url, { content }).done;
    expect(result).toMatchObject({ status: 200, received: content.size, isTrue: true, isComplete: true });
  }
}

/** A small image that nobody has pulled is stored. */
async function keeps(mirror: MirrorProcess, upstream: UpstreamProcess, image: number): Promise<void> {
  await pullWhole(mirror, upstream, image);
  for (const { digest } of upstream.image(image).layers)
    await until(`${digest} is kept`, () => isCommitted(mirror.cacheDir, digest));
}

async function isTold(mirror: MirrorProcess): Promise<boolean> {
  const { isReady, text } = await mirror.readiness();
  return !isReady && /cache/.test(text) && (await mirror.metric('stillwater_cache_writable')) === 0;
}

async function isWell(mirror: MirrorProcess): Promise<boolean> {
  return (await mirror.readiness()).isReady && (await mirror.metric('stillwater_cache_writable')) === 1;
}

describe.skipIf(!isPossible)('a disk of 200 MiB and an image of 500', { timeout: 90_000 }, () => {
  const images = [
    {
      repository: 'library/big',
      layers: [
        { size: 350 * mebibyte, seed: 61, kind: 'tar' as const },
        { size: 150 * mebibyte, seed: 62, kind: 'tar' as const },
      ],
    },
    { repository: 'library/small', layers: [{ size: 4 * mebibyte, seed: 63 }] },
  ];

  test('is pulled by a raw client, every byte right, and small images are kept all the same', async () => {
    await using disk = await ScratchDisk.mount(200 * mebibyte);
    await using upstream = await UpstreamProcess.start({ images });
    await using mirror = await startMirror({
      upstreams: { 'docker.io': upstream.url },
      config: { cache },
      cacheDir: disk.path,
    });
    await pullWhole(mirror, upstream);
    await keeps(mirror, upstream, 1);
    await pullWhole(mirror, upstream);
    expect(await isWell(mirror)).toBe(true);
  });

  test.skipIf(!requireTool('skopeo'))('is pulled by skopeo, every byte right', async () => {
    await using disk = await ScratchDisk.mount(200 * mebibyte);
    await using upstream = await UpstreamProcess.start({ images });
    await using mirror = await startMirror({
      upstreams: { 'docker.io': upstream.url },
      config: { cache: { ...cache, siblings: true } },
      cacheDir: disk.path,
    });
    await using dir = await tempDir('skopeo');
    const target = join(dir.path, 'copy');
    const source = `docker://${mirror.host}/docker.io/library/big:latest`;
    await run('skopeo', ['--insecure-policy', 'copy', '--src-tls-verify=false', source, `dir:${target}`]);
    const digests = new Set<string>();
    for (const file of await readdir(target)) digests.add(sha256(await readFile(join(target, file))));
    const { manifest, config, layers } = upstream.image();
    for (const digest of [manifest, config, ...layers.map((layer) => layer.digest)]) expect(digests).toContain(digest);
  });
});

describe.skipIf(!isPossible)('a disk that fails while the mirror runs', { timeout: 90_000 }, () => {
  const size = 48 * mebibyte;
  const images = ['running', 'meanwhile', 'after'].map((name, index) => ({
    repository: `library/${name}`,
    layers: [{ size, seed: 70 + index }],
  }));

  type Break = (disk: ScratchDisk) => Promise<() => Promise<void>>;
  const ways: readonly (readonly [string, Break])[] = [
    ['somebody else fills it', (disk) => disk.fill()],
    ['it becomes read-only', (disk) => disk.makeReadOnly()],
  ];

  test.each(ways)(
    'because %s: pulls go on, the mirror says so, and caching resumes by itself',
    async (_, breakDisk) => {
      await using disk = await ScratchDisk.mount(400 * mebibyte);
      await using upstream = await UpstreamProcess.start({ images, holdAfter: 2 * mebibyte });
      await using mirror = await startMirror({
        upstreams: { 'docker.io': upstream.url },
        config: { cache },
        cacheDir: disk.path,
      });
      const [url = ''] = await pullManifest(mirror, upstream.image(0));
      const content = await upstream.content(0);
      const running = new BlobClient(url, { content });
      await running.firstByte;
      const mendDisk = await breakDisk(disk);
      await upstream.open();
      expect(await running.done).toMatchObject({ status: 200, received: size, isTrue: true, isComplete: true });
      await pullWhole(mirror, upstream, 1);
      await until('the mirror says so', () => isTold(mirror));
      expect(await isCommitted(mirror.cacheDir, upstream.image(1).layers[0]?.digest ?? '')).toBe(false);

      await mendDisk();
      await until('the mirror is well again', () => isWell(mirror));
      await keeps(mirror, upstream, 2);
      await keeps(mirror, upstream, 1);
    },
  );
});
