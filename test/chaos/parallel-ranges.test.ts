// containerd's way: 64 open-ended ranges at once, each hung up after its chunk, on a blob that nobody has yet.
import { describe, expect, test } from 'vitest';
import { BlobClient } from '../support/blob-client.ts';
import { startMirror } from '../support/mirror-process.ts';
import { committed, pullManifest } from '../support/pulled-image.ts';
import { tell } from '../support/tell.ts';
import { UpstreamProcess } from '../support/upstream-process.ts';

const mebibyte = 1024 * 1024;
const chunk = 16 * mebibyte;
const ranges = 64;
const size = ranges * chunk;

describe('64 open-ended ranges with hang-ups', { timeout: 120_000 }, () => {
  test('are served from one fill: every chunk is right, and a cold blob of 1 GiB is sent 1.05 times', async () => {
    await using upstream = await UpstreamProcess.start({ size, seed: 41 });
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    const content = await upstream.content();
    const [blob = ''] = await pullManifest(mirror, upstream.image());

    const pulls = Array.from(
      { length: ranges },
      (_, index) => new BlobClient(blob, { content, start: index * chunk, hangUpAfter: chunk }),
    );
    for (const [index, { done }] of pulls.entries()) {
      const result = await done;
      expect(result).toMatchObject({ status: 206, contentLength: size - index * chunk, isTrue: true });
      expect(result.received).toBeGreaterThanOrEqual(chunk);
      expect(result.headers['content-range']).toBe(`bytes ${index * chunk}-${size - 1}/${size}`);
    }
    await committed(mirror, content.digest, 60_000);
    const { bytesSent } = await upstream.stats();
    tell({ 'parallel ranges, upstream bytes / blob': bytesSent / size });
    expect(bytesSent / size).toBeGreaterThanOrEqual(1);
    expect(bytesSent / size).toBeLessThanOrEqual(1.05);
  });
});
