// Long work in short turns: when it rests, for how long, and that it ends when nobody waits for it.
import { afterEach, expect, test, vi } from 'vitest';
import { Pace, type PaceOptions } from '../../../src/mirror/images/pace.ts';

afterEach(() => vi.restoreAllMocks());

/** A clock that stands still but for `work`. */
function paced(options: Omit<PaceOptions, 'wait'> = {}, signal = new AbortController().signal) {
  let now = 1000;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const waits: number[] = [];
  const wait = async (ms: number) => {
    waits.push(ms);
    now += ms;
  };
  const pace = new Pace(signal, { ...options, wait });
  return {
    waits,
    async work(ms: number): Promise<void> {
      now += ms;
      await pace.rest();
    },
  };
}

test('a turn goes on until it has taken long enough, and then lets all others have theirs', async () => {
  const { work, waits } = paced();
  for (const ms of [2, 2, 0.5]) await work(ms);
  expect(waits).toEqual([]);
  await work(0.5);
  expect(waits).toEqual([0]);
  await work(4);
  expect(waits).toEqual([0]);
  await work(1);
  expect(waits).toEqual([0, 0]);
});

test('with a share of the time it rests for the rest, once its head start is over', async () => {
  const { work, waits } = paced({ share: 1 / 4, headStartMs: 15 });
  for (const ms of [10, 10, 10, 4, 4]) await work(ms);
  expect(waits).toEqual([0, 0, 30, 24]);
});

test('whoever waits for the loop comes in between', async () => {
  const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
  const pace = new Pace(new AbortController().signal);
  let turns = 0;
  setImmediate(() => turns++);
  await pace.rest();
  expect(turns).toBe(0);
  now.mockReturnValue(1006);
  await pace.rest();
  expect(turns).toBe(1);
});

test('it ends when its signal fires, before and during a rest', async () => {
  const leaving = new AbortController();
  const now = vi.spyOn(performance, 'now').mockReturnValue(1000);
  const pace = new Pace(leaving.signal, { share: 1e-4 });
  now.mockReturnValue(1006);
  const resting = pace.rest();
  leaving.abort(new Error('gone'));
  await expect(resting).rejects.toThrow('gone');
  await expect(pace.rest()).rejects.toThrow('gone');
});
