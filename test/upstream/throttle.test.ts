// A rate for all blobs of an upstream together.
import { describe, expect, test, vi } from 'vitest';
import { Throttle } from '../../src/upstream/throttle.ts';
import { get, never, openTransport, startServer } from './upstream-scene.ts';

const kib = 1024;

async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

describe('a throttle', () => {
  test('lets bytes through at its rate, however many take them', async () => {
    const throttle = new Throttle(1000 * kib);
    const taker = async () => {
      for (let taken = 0; taken < 100 * kib; taken += 10 * kib) await throttle.take(10 * kib, never);
    };
    const spentMs = await elapsedMs(() => Promise.all([taker(), taker(), taker(), taker()]));
    // A tenth of a second is the credit at the start.
    expect(spentMs).toBeGreaterThan(280);
    expect(spentMs).toBeLessThan(3000);
  });

  test('gives no more credit for a long silence than for a short one', async () => {
    const throttle = new Throttle(100 * kib);
    await throttle.take(kib, never);
    vi.useFakeTimers({ toFake: ['performance'] });
    vi.advanceTimersByTime(60_000);
    const startedAt = Date.now();
    await throttle.take(30 * kib, never);
    vi.useRealTimers();
    expect(Date.now() - startedAt).toBeGreaterThan(180);
  });

  test('lets go of who leaves', async () => {
    const throttle = new Throttle(1);
    const controller = new AbortController();
    const taking = throttle.take(1000, controller.signal);
    controller.abort();
    await expect(taking).rejects.toThrow();
  });
});

describe('an upstream with a rate', () => {
  const blob = { body: Buffer.alloc(200 * kib) };

  test('sends its blobs at that rate over all its connections and endpoints', async () => {
    await using server = await startServer(blob);
    const throttle = new Throttle(1000 * kib);
    await using one = openTransport({ throttle });
    await using other = openTransport({ throttle });
    const fetched = async (transport: typeof one.transport) =>
      (await transport.send(get(`${server.url}/x`))).bytes(200 * kib);
    const spentMs = await elapsedMs(() => Promise.all([one, one, other].map(({ transport }) => fetched(transport))));
    expect(spentMs).toBeGreaterThan(450);
  });

  test.each(['manifest', 'proof', 'tags', 'referrers', 'token'] as const)('answers a %s at once', async (kind) => {
    await using server = await startServer(blob);
    await using scene = openTransport({ throttle: new Throttle(1) });
    const response = await scene.transport.send(get(`${server.url}/x`, { kind }));
    expect(await response.bytes(200 * kib)).toHaveLength(200 * kib);
  });

  test('hears an abort of ours at once, as what it is', async () => {
    await using server = await startServer(blob);
    await using scene = openTransport({ throttle: new Throttle(1) });
    const controller = new AbortController();
    const response = await scene.transport.send(get(`${server.url}/x`, { signal: controller.signal }));
    const reading = response.bytes(200 * kib);
    const reason = new Error('the mirror stops');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
  });

  test('is not late when the rate is what holds it up', async () => {
    await using server = await startServer({ body: Buffer.alloc(6000), bytesPerSecond: 20_000 });
    await using scene = openTransport({ throttle: new Throttle(6000), idleTimeoutMs: 200 });
    expect(await (await scene.transport.send(get(`${server.url}/x`))).bytes(6000)).toHaveLength(6000);
  });
});
