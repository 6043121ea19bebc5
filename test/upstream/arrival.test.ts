// An answer piece by piece: what waits for a busy reader, what stays on the connection, and how it ends early.
import type { IncomingHttpHeaders } from 'node:http';
import { describe, expect, test, vi } from 'vitest';
import { Arrival } from '../../src/upstream/arrival.ts';
import { giveBack } from '../../src/upstream/slabs.ts';
import { retainedBytes } from '../support/retained-bytes.ts';
import { never } from './upstream-scene.ts';

vi.mock(import('../../src/upstream/slabs.ts'), async (original) => {
  const real = await original();
  return { ...real, giveBack: vi.fn(real.giveBack) };
});

const KiB = 1024;

/** An arrival whose head has come, and the controller that undici would give it. */
function scene({ signal = never, headers = {} as IncomingHttpHeaders } = {}) {
  const arrival = new Arrival(signal);
  const controller = {
    isPaused: false,
    paused: false,
    aborted: false,
    reason: null,
    abort: vi.fn((reason: Error) => arrival.onResponseError(controller, reason)),
    pause: () => {
      controller.isPaused = true;
    },
    resume: () => {
      controller.isPaused = false;
    },
  };
  arrival.onRequestStart(controller);
  arrival.onResponseStart(controller, 200, headers);
  return { arrival, controller, data: (chunk: Uint8Array) => arrival.onResponseData(controller, chunk) };
}

const lengthOf = async (arrival: Arrival): Promise<number | undefined> => (await arrival.next()).value?.length;

describe('a piece', () => {
  test('goes at once, as it is, to a reader that waits', async () => {
    const { arrival, data } = scene();
    const waiting = arrival.next();
    const piece = Buffer.from('abc');
    data(piece);
    expect((await waiting).value).toBe(piece);
  });

  test('is one with what follows it in memory, however long', async () => {
    const { arrival, data } = scene();
    const memory = Buffer.alloc(100 * KiB, 'abcdefg');
    data(memory.subarray(0, 40 * KiB));
    data(memory.subarray(40 * KiB, 90 * KiB));
    const { value } = await arrival.next();
    expect(value?.buffer).toBe(memory.buffer);
    expect(memory.subarray(0, 90 * KiB).equals(value)).toBe(true);
  });

  test('is one with others that are as small, and not with a large one', async () => {
    const { arrival, data } = scene();
    for (const text of ['one ', 'two ', 'three']) data(Buffer.from(text));
    const large = Buffer.alloc(40 * KiB);
    data(large);
    data(Buffer.from('four'));
    expect(Buffer.from((await arrival.next()).value ?? []).toString()).toBe('one two three');
    expect((await arrival.next()).value).toBe(large);
    expect(await lengthOf(arrival)).toBe(4);
  });
});

describe('what a busy reader leaves', () => {
  test('gathers up to 128 KiB and stays on the connection beyond', async () => {
    const { arrival, controller, data } = scene();
    data(Buffer.alloc(127 * KiB));
    expect(controller.isPaused).toBe(false);
    data(Buffer.alloc(40 * KiB));
    expect(controller.isPaused).toBe(true);
    expect(await lengthOf(arrival)).toBe(127 * KiB);
    expect(controller.isPaused).toBe(false);
  });

  test('is two pieces at most, for each may keep memory from being used again', async () => {
    const { arrival, controller, data } = scene();
    data(Buffer.alloc(40 * KiB));
    expect(controller.isPaused).toBe(false);
    data(Buffer.alloc(1));
    expect(controller.isPaused).toBe(true);
    expect(await lengthOf(arrival)).toBe(40 * KiB);
    expect(controller.isPaused).toBe(false);
  });

  test('is no more than a thousand tiny pieces at a time, for joining them holds up the others', async () => {
    const { arrival, controller, data } = scene();
    for (let turn = 0; turn < 2; turn++) {
      for (let count = 0; count < 1023; count++) data(Buffer.from('a'));
      expect(controller.isPaused).toBe(false);
      data(Buffer.from('a'));
      expect(controller.isPaused).toBe(true);
      expect(await lengthOf(arrival)).toBe(1024);
      expect(controller.isPaused).toBe(false);
    }
  });

  test('keeps none of the memory that tiny pieces came in', async () => {
    const { arrival, data } = scene();
    const before = retainedBytes();
    for (let count = 0; count < 200; count++)
      data(
        Buffer.allocUnsafeSlow(128 * KiB)
          .fill(count)
          .subarray(7, 8),
      );
    expect(retainedBytes() - before).toBeLessThanOrEqual(2 * 128 * KiB);
    const { value } = await arrival.next();
    expect(value).toEqual(Buffer.from(Array.from({ length: 200 }, (_, count) => count)));
  });

  test.each<[string, (at: ReturnType<typeof scene>, ending: AbortController) => void]>([
    ['we end it', (_at, ending) => ending.abort()],
    ['its reader leaves', ({ arrival }) => void arrival.return()],
    [
      'its reader leaves after the end',
      ({ arrival }) => {
        arrival.onResponseEnd();
        void arrival.return();
      },
    ],
    ['nobody wants it', ({ arrival }) => arrival.discard(1000 * KiB, 1000)],
  ])('gives its memory back when %s, each byte once', (_when, leave) => {
    const ending = new AbortController();
    const at = scene({ signal: ending.signal });
    const pieces = [Buffer.alloc(40 * KiB), Buffer.alloc(50 * KiB)];
    for (const piece of pieces) at.data(piece);
    vi.mocked(giveBack).mockClear();
    leave(at, ending);
    expect(vi.mocked(giveBack).mock.calls).toEqual(pieces.map((piece) => [piece]));
    at.arrival.onResponseEnd();
  });

  test('arrives before the end, and before what broke it', async () => {
    for (const isBroken of [false, true]) {
      const { arrival, controller, data } = scene();
      data(Buffer.from('abc'));
      if (isBroken) arrival.onResponseError(controller, new Error('reset'));
      else arrival.onResponseEnd();
      expect(await lengthOf(arrival)).toBe(3);
      if (isBroken) await expect(arrival.next()).rejects.toThrow('reset');
      else expect((await arrival.next()).done).toBe(true);
    }
  });

  test('is dropped when we end it ourselves, with our reason', async () => {
    const ending = new AbortController();
    const { arrival, controller, data } = scene({ signal: ending.signal });
    data(Buffer.from('abc'));
    const reason = new Error('the mirror stops');
    ending.abort(reason);
    await expect(arrival.next()).rejects.toBe(reason);
    expect(controller.abort).toHaveBeenCalledWith(reason);
  });
});

test('a signal is no longer listened to once all has come', () => {
  const ending = new AbortController();
  const { arrival, controller } = scene({ signal: ending.signal });
  arrival.onResponseEnd();
  ending.abort();
  expect(controller.abort).not.toHaveBeenCalled();
});

test('a request that is left before it has a connection is ended as soon as it gets one', async () => {
  const ending = new AbortController();
  const arrival = new Arrival(ending.signal);
  const reason = new Error('nobody waits');
  ending.abort(reason);
  await expect(arrival.head).rejects.toBe(reason);
  const abort = vi.fn();
  arrival.onRequestStart({ abort } as never);
  expect(abort).toHaveBeenCalledWith(reason);
});

test('what comes before the answer proper is no head', async () => {
  const arrival = new Arrival(never);
  arrival.onRequestStart({} as never);
  arrival.onResponseStart({} as never, 103, { link: '</style.css>' });
  arrival.onResponseStart({} as never, 200, {});
  expect((await arrival.head).status).toBe(200);
});

describe('a body that nobody reads', () => {
  test('passes by to its end when little is left', () => {
    const { arrival, controller, data } = scene();
    data(Buffer.alloc(10));
    arrival.discard(20, 1000);
    const passing = Buffer.from('it goes by');
    data(passing);
    expect(giveBack).toHaveBeenLastCalledWith(passing);
    expect(controller.abort).not.toHaveBeenCalled();
    arrival.onResponseEnd();
  });

  test.each<[string, (at: ReturnType<typeof scene>) => void, IncomingHttpHeaders?]>([
    ['says that it is long', () => {}, { 'content-length': '21' }],
    ['has brought more already', ({ data }) => data(Buffer.alloc(21))],
  ])('is cut at once when it %s', (_what, before, headers = {}) => {
    const at = scene({ headers });
    before(at);
    at.arrival.discard(20, 1000);
    expect(at.controller.abort).toHaveBeenCalledOnce();
  });

  test('is cut when more comes than was allowed', () => {
    const { arrival, controller, data } = scene();
    arrival.discard(20, 1000);
    data(Buffer.alloc(20));
    expect(controller.abort).not.toHaveBeenCalled();
    data(Buffer.alloc(1));
    expect(controller.abort).toHaveBeenCalledOnce();
  });

  test('is cut when it takes too long, unless it has ended', () => {
    vi.useFakeTimers();
    try {
      const [slow, quick] = [scene(), scene()];
      for (const { arrival } of [slow, quick]) arrival.discard(20, 1000);
      quick.arrival.onResponseEnd();
      expect(vi.getTimerCount()).toBe(1);
      vi.advanceTimersByTime(1000);
      expect(slow.controller.abort).toHaveBeenCalledOnce();
      expect(quick.controller.abort).not.toHaveBeenCalled();
    } finally {
      vi.useRealTimers();
    }
  });

  test('makes room on a connection that was held up', () => {
    const { arrival, controller, data } = scene();
    data(Buffer.alloc(200 * KiB));
    expect(controller.isPaused).toBe(true);
    arrival.discard(1024 * KiB, 1000);
    expect(controller.isPaused).toBe(false);
    arrival.onResponseEnd();
  });
});

test('a reader that leaves in the middle cuts the connection, and after the end nothing', async () => {
  const [middle, end] = [scene(), scene()];
  middle.data(Buffer.from('abc'));
  end.data(Buffer.from('abc'));
  end.arrival.onResponseEnd();
  for (const { arrival } of [middle, end]) for await (const _ of arrival) break;
  expect(middle.controller.abort).toHaveBeenCalledOnce();
  expect(end.controller.abort).not.toHaveBeenCalled();
});
