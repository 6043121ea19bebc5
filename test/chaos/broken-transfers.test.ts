// Every answer of the upstream breaks after 7 MiB, for ever: clients see a pause, and the upstream sends each byte once.
import { describe, expect, test } from 'vitest';
import { BlobClient } from '../support/blob-client.ts';
import { startMirror } from '../support/mirror-process.ts';
import { committed, pullManifest } from '../support/pulled-image.ts';
import { tell } from '../support/tell.ts';
import { type Shape, UpstreamProcess } from '../support/upstream-process.ts';

const mebibyte = 1024 * 1024;
const size = 256 * mebibyte;
const piece = 7 * mebibyte;
const clients = 8;

const flavours: readonly (readonly [string, Shape])[] = [
  ['is dropped', { dropAfter: piece }],
  ['is reset', { resetAfter: piece }],
  ['stands still', { stallAfter: piece }],
  ['ends too early, in order', { truncateAfter: piece }],
];

describe('a transfer that breaks every 7 MiB of 256', { timeout: 90_000 }, () => {
  test.each(flavours)(
    'because it %s: 8 clients get every byte, the upstream sends 1.02 of them',
    async (flavour, shape) => {
      await using upstream = await UpstreamProcess.start({ size, seed: 31, ...shape });
      const upstreams = { 'docker.io': { endpoints: [upstream.url], idleTimeout: '1s' } };
      await using mirror = await startMirror({ upstreams });
      const content = await upstream.content();
      const [blob = ''] = await pullManifest(mirror, upstream.image());

      const startedAt = performance.now();
      const pulls = Array.from({ length: clients }, () => new BlobClient(blob, { content }));
      for (const { done } of pulls) {
        const whole = { status: 200, contentLength: size, received: size, isTrue: true, isComplete: true };
        expect(await done).toMatchObject(whole);
      }
      await committed(mirror, content.digest);
      const { bytesSent, blobGets } = await upstream.stats();
      const seconds = (performance.now() - startedAt) / 1000;
      tell({ break: flavour, 'upstream bytes / blob': bytesSent / size, requests: blobGets, seconds });
      // No answer brings more than 7 MiB, so fewer requests would mean that the upstream never broke.
      expect(blobGets).toBeGreaterThanOrEqual(size / piece);
      expect(bytesSent / size).toBeGreaterThanOrEqual(1);
      expect(bytesSent / size).toBeLessThanOrEqual(1.02);
      expect(await mirror.metric('stillwater_fill_resumes_total')).toBeGreaterThan(0);
      expect((await mirror.metric('stillwater_fill_failures_total')) ?? 0).toBe(0);
    },
  );

  test('and has no ranges: each break begins anew, so it ends in an error and never in a wrong byte', async () => {
    const shape = { dropAfter: piece, noRanges: true };
    await using upstream = await UpstreamProcess.start({ size: 32 * mebibyte, seed: 32, ...shape });
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    const content = await upstream.content();
    const [blob = ''] = await pullManifest(mirror, upstream.image());
    const result = await new BlobClient(blob, { content }).done.catch(() => undefined);
    expect(result?.status === 200 && result.isComplete).toBe(false);
    if (result?.status === 200) expect(result.isTrue).toBe(true);
    await upstream.mend();
    expect(await new BlobClient(blob, { content }).done).toMatchObject({ status: 200, isTrue: true, isComplete: true });
  });
});
