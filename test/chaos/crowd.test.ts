// Many clients want one big blob that is not cached: one fill serves them all, as it arrives, at each one's own pace.
import { describe, expect, test } from 'vitest';
import { BlobClient } from '../support/blob-client.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { startMirror } from '../support/mirror-process.ts';
import { committed, pullManifest } from '../support/pulled-image.ts';
import { generateContent } from '../support/served-content.ts';
import { isCommitted, lyingFiles } from '../support/stored-files.ts';
import { until } from '../support/until.ts';
import { UpstreamProcess } from '../support/upstream-process.ts';

const mebibyte = 1024 * 1024;

describe('a crowd', { timeout: 180_000 }, () => {
  test('of small blobs arrives with every byte in its place', async () => {
    await using upstream = await startFakeUpstream();
    const sizes = Array.from({ length: 150 }, (_, index) => 1 + index ** 2);
    const layers = await Promise.all(sizes.map((size) => generateContent({ size, seed: size })));
    upstream.addImage('library/crumbs', { layers });
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    expect((await fetch(`${mirror.url}/v2/library/crumbs/manifests/latest`)).status).toBe(200);
    const clients = layers.map((content) => {
      const url = `${mirror.url}/v2/library/crumbs/blobs/${content.digest}`;
      return { content, pairs: [new BlobClient(url, { content }), new BlobClient(url, { content })] };
    });
    for (const { content, pairs } of clients) {
      for (const { done } of pairs) {
        expect(await done).toMatchObject({ status: 200, received: content.size, isTrue: true, isComplete: true });
      }
      expect(upstream.count({ method: 'GET', path: content.digest })).toBe(1);
    }
  });

  test('of 20 costs the upstream each byte once, and each reads while it arrives', async () => {
    const size = 256 * mebibyte;
    await using upstream = await UpstreamProcess.start({ size, seed: 11, holdAfter: -1 });
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    const content = await upstream.content();
    const [blob = ''] = await pullManifest(mirror, upstream.image());

    const crowd = Array.from({ length: 20 }, () => new BlobClient(blob, { content }));
    const slow = new BlobClient(blob, { content, bytesPerSecond: 100 * 1024 });
    const leaver = new BlobClient(blob, { content });
    await leaver.firstByte;
    leaver.hangUp();
    // The gate at the upstream's last byte is still closed: whatever arrives here arrives before the end.
    await Promise.all([...crowd, slow].map((client) => client.firstByte));
    const early = await upstream.stats();
    expect(early.bytesSent).toBeLessThan(size);
    await upstream.open();

    const results = await Promise.all(crowd.map((client) => client.done));
    for (const result of results) {
      expect(result).toMatchObject({
        status: 200,
        contentLength: size,
        received: size,
        isTrue: true,
        isComplete: true,
      });
    }
    // The slow one is far from its end, and held nobody up.
    expect(slow.received).toBeLessThan(size / 2);
    slow.hangUp();
    const late = await upstream.stats();
    expect(late.bytesSent, JSON.stringify(late.blobRequests)).toBe(size);
    for (const { status } of late.blobRequests) expect([200, 206]).toContain(status);
    await committed(mirror, upstream.info.layer);
  });

  test('whose every client leaves still gets its blob stored', async () => {
    const size = 32 * mebibyte;
    await using upstream = await UpstreamProcess.start({ size, seed: 12, holdAfter: 4 * mebibyte });
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    const content = await upstream.content();
    const [blob = ''] = await pullManifest(mirror, upstream.image());
    const leavers = Array.from({ length: 5 }, () => new BlobClient(blob, { content }));
    await Promise.all(leavers.map((client) => client.firstByte));
    for (const client of leavers) client.hangUp();
    await Promise.allSettled(leavers.map((client) => client.done));
    await upstream.open();
    const result = await new BlobClient(blob, { content }).done;
    expect(result).toMatchObject({ status: 200, received: size, isTrue: true, isComplete: true });
    expect((await upstream.stats()).bytesSent).toBe(size);
  });

  test.each([0, 5 * mebibyte, 8 * mebibyte - 1])(
    'never gets a blob with a wrong byte at %i whole',
    async (flipByteAt) => {
      const size = 8 * mebibyte;
      await using upstream = await UpstreamProcess.start({ size, seed: 13, flipByteAt });
      await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
      const content = await upstream.content();
      const [blob = ''] = await pullManifest(mirror, upstream.image());
      const crowd = Array.from({ length: 5 }, () => new BlobClient(blob, { content }));
      for (const { done } of crowd) {
        const result = await done.catch(() => undefined);
        // Either no body at all (an error answer), or one that ends short of what it promised.
        if (result?.status !== 200) continue;
        expect(result.isComplete).toBe(false);
        expect(result.received).toBeLessThan(size);
      }
      // Once more from nothing, and no third time.
      await until('the fill has given up', async () => (await mirror.metric('stillwater_fills_in_flight')) === 0);
      expect((await upstream.stats()).bytesSent).toBeLessThanOrEqual(2 * size);
      expect(await isCommitted(mirror.cacheDir, upstream.info.layer)).toBe(false);
      expect(await lyingFiles(mirror.cacheDir)).toEqual([]);

      await upstream.mend();
      const mended = await new BlobClient(blob, { content }).done;
      expect(mended).toMatchObject({ status: 200, received: size, isTrue: true, isComplete: true });
      await committed(mirror, upstream.info.layer);
    },
  );
});
