// The shaped upstream in its own process does what the proofs about broken, slow and far transfers rely on.
import { describe, expect, test } from 'vitest';
import { BlobClient, type PullResult } from './blob-client.ts';
import { type ContentPlan, contentFromPlan } from './planned-content.ts';
import { sha256 } from './served-content.ts';
import { type ChildUpstreamStats, type Shape, UpstreamProcess } from './upstream-process.ts';

const size = 3 * 1024 * 1024 + 5;
const half = 1024 * 1024;

async function pulled(shape: Shape, start = 0): Promise<{ result: PullResult; stats: ChildUpstreamStats }> {
  await using upstream = await UpstreamProcess.start({ size, seed: 5, ...shape });
  const { repository, layer } = upstream.info;
  const url = `${upstream.url}/v2/${repository}/blobs/${layer}`;
  const content = await upstream.content();
  const options = start === 0 ? { content } : { content, start };
  const client = new BlobClient(url, shape.stallAfter === undefined ? options : { ...options, hangUpAfter: half });
  const result = await client.done;
  return { result, stats: await upstream.stats() };
}

describe('the shaped upstream', () => {
  test('breaks each answer anew: in order, by a reset, by standing still, by an end that is too early', async () => {
    expect((await pulled({ dropAfter: half })).result).toMatchObject({
      received: half,
      isTrue: true,
      isComplete: false,
    });
    const reset = await pulled({ resetAfter: half }).catch(() => undefined);
    expect(reset?.result.isComplete ?? false).toBe(false);
    const stalled = await pulled({ stallAfter: half });
    expect(stalled.result).toMatchObject({ received: half, isTrue: true });
    expect(stalled.stats.bytesSent).toBe(half);
    const short = await pulled({ truncateAfter: half }, 10);
    expect(short.result).toMatchObject({ status: 206, received: half, isTrue: true, isComplete: true });
    expect(short.result.headers['content-range']).toBe(`bytes 10-${size - 1}/${size}`);
  });

  test('counts what it sent', async () => {
    const { result, stats } = await pulled({}, size - 7);
    expect(result).toMatchObject({ status: 206, received: 7, isTrue: true, isComplete: true });
    expect(stats).toMatchObject({ blobGets: 1, bytesSent: 7 });
    expect((await pulled({ noRanges: true }, size - 7)).result).toMatchObject({ status: 200, contentLength: size });
  });

  test('is as far away and as slow as it was told to be', async () => {
    const near = await pulled({ delayMs: 30 });
    expect(near.result.firstByteMs).toBeGreaterThanOrEqual(29);
    const far = await pulled({ delayMs: 30, connectDelayMs: 30, bytesPerSecond: 20e6 });
    expect(far.result.firstByteMs).toBeGreaterThanOrEqual(59);
    expect(far.result.totalMs).toBeGreaterThanOrEqual(59 + (size / 20e6) * 1000 * 0.9);
  });

  test('changes its shape while it runs', async () => {
    await using upstream = await UpstreamProcess.start({ size, dropAfter: 1000 });
    const content = await upstream.content();
    const url = `${upstream.url}/v2/${upstream.info.repository}/blobs/${content.digest}`;
    expect((await new BlobClient(url, { content }).done).received).toBe(1000);
    await upstream.reshape({ dropAfter: 2000 });
    expect((await new BlobClient(url, { content }).done).received).toBe(2000);
    await upstream.mend();
    expect((await new BlobClient(url, { content }).done).isComplete).toBe(true);
  });
});

describe('planned content', () => {
  const plans: ContentPlan[] = [
    { size: 100_000, seed: 3 },
    { size: 100_000, seed: 3, kind: 'tar' },
    { size: 100_000, seed: 3, kind: 'crumb' },
    { size: 100_000, seed: 4, kind: 'crumb' },
    { size: 100_000, seed: 19, kind: 'crumb' },
  ];

  test('hashes to its digest, reads the same from anywhere, and is never the same twice', async () => {
    const contents = await Promise.all(plans.map((plan) => contentFromPlan(plan)));
    for (const content of contents) {
      const whole = Buffer.concat([...content.read(0, content.size)]);
      expect(sha256(whole)).toBe(content.digest);
      for (const [start, end] of [
        [0, 10],
        [500, 1100],
        [content.size - 20, content.size],
      ] as const)
        expect(Buffer.concat([...content.read(start, end)]).equals(whole.subarray(start, end))).toBe(true);
    }
    expect(new Set(contents.map(({ digest }) => digest)).size).toBe(plans.length);
    const known = await contentFromPlan(plans[1] as ContentPlan, contents[1]?.digest);
    expect(known.size).toBe(contents[1]?.size);
  });
});
