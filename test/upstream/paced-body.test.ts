// A drip ends, and only the upstream's own time is held against it.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { pacedBody } from '../../src/upstream/paced-body.ts';
import type { Throttle } from '../../src/upstream/throttle.ts';
import { never } from './upstream-scene.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

/** Pieces of `bytes`, each `everyMs` after it was asked for. */
async function* sender(count: number, bytes: number, everyMs: number): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < count; sent++) {
    vi.advanceTimersByTime(everyMs);
    yield Buffer.alloc(bytes);
  }
}

async function read(
  body: AsyncIterable<Uint8Array>,
  { pauseMs = 0, throttle = undefined as Throttle | undefined } = {},
) {
  let length = 0;
  for await (const chunk of pacedBody(body, { throttle, idleTimeoutMs: 1000, signal: never })) {
    length += chunk.length;
    vi.advanceTimersByTime(pauseMs);
  }
  return length;
}

describe('a body', () => {
  test('that drips ends after two idle time-outs', async () => {
    await expect(read(sender(1000, 1, 100))).rejects.toMatchObject({
      name: 'TimeoutError',
      message: '21 bytes in 2 s',
    });
  });

  test('that is small may take as long', async () => {
    expect(await read(sender(20, 1, 100))).toBe(20);
  });

  test('that brings 64 KiB in each two idle time-outs may go on for ever', async () => {
    expect(await read(sender(1000, 64 * 1024, 1900))).toBe(1000 * 64 * 1024);
    expect(await read(sender(1000, 4 * 1024, 120))).toBe(1000 * 4 * 1024);
  });

  test('that becomes a drip ends then', async () => {
    const body = (async function* () {
      yield* sender(100, 64 * 1024, 1000);
      yield* sender(100, 1, 900);
    })();
    await expect(read(body)).rejects.toMatchObject({ message: '3 bytes in 3 s' });
  });

  test('is not blamed for a slow reader', async () => {
    expect(await read(sender(100, 1, 10), { pauseMs: 60_000 })).toBe(100);
  });

  test('is not blamed for our own rate', async () => {
    const throttle = { take: async () => void vi.advanceTimersByTime(60_000) } as unknown as Throttle;
    expect(await read(sender(100, 1, 10), { throttle })).toBe(100);
  });

  test('is let go of when its reader leaves', async () => {
    const source = sender(10, 1, 0);
    for await (const _ of pacedBody(source, { throttle: undefined, idleTimeoutMs: 1000, signal: never })) break;
    expect(await source.next()).toEqual({ done: true, value: undefined });
  });
});
