// Prefetches at set times: when they begin, what becomes of two at once, and how others take their place.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { PrefetchRequest } from '../../src/jobs/prefetch/prefetch.ts';
import { type ScheduleEntry, startSchedule } from '../../src/jobs/schedule.ts';
import { platform } from './prefetch/prefetch-scene.ts';

const minute = 60_000;
const noon = new Date(2026, 2, 10, 12, 0, 30).getTime();

/** A schedule over prefetches that end when the test says so. */
function scene(entries: readonly ScheduleEntry[], { isSlowToEnd = false } = {}) {
  const begun: (PrefetchRequest & { end(): void; fail(): void; readonly signal: AbortSignal })[] = [];
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => lines.push((JSON.parse(line) as { msg: string }).msg) });
  const prefetcher = {
    run: (request: PrefetchRequest, { signal }: { readonly signal: AbortSignal }) =>
      new Promise<never>((resolve, reject) => {
        const end = () => resolve(undefined as never);
        if (!isSlowToEnd) signal.addEventListener('abort', end);
        begun.push({ ...request, signal, end, fail: () => reject(new Error('a bug')) });
      }),
  };
  return { begun, lines, schedule: startSchedule({ entries, prefetcher, log }) };
}

/** So many minutes on, with all that is due in them. */
const pass = (minutes: number) => vi.advanceTimersByTimeAsync(minutes * minute);
const images = (begun: readonly PrefetchRequest[]) => begun.map((request) => request.images.join());

beforeEach(() => {
  vi.useFakeTimers({ now: noon });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a schedule', () => {
  test('prefetches at its times, patiently, for the platforms it names', async () => {
    const { begun, schedule } = scene([
      { cron: '15 12 * * *', images: ['a', 'b'], platforms: ['linux/arm64', 'linux/amd64'] },
    ]);
    await using _ = schedule;
    await pass(14);
    expect(begun).toEqual([]);
    await pass(1);
    const platforms = [platform('linux/arm64'), platform('linux/amd64')];
    expect(begun).toMatchObject([{ images: ['a', 'b'], platforms, isPatient: true }]);
    begun[0]?.end();
    await pass(24 * 60);
    expect(begun).toHaveLength(2);
  });

  test.each([
    [undefined, []],
    [['all'], 'all'],
    [['linux/amd64', 'all'], 'all'],
  ])('that says %j of platforms wishes for %j', async (platforms, wish) => {
    const { begun, schedule } = scene([{ cron: '* * * * *', images: ['a'], platforms }]);
    await using _ = schedule;
    await pass(1);
    expect(begun[0]?.platforms).toEqual(wish);
  });

  test('tells what is next, the soonest first, in local time', async () => {
    const { schedule } = scene([
      { cron: '0 3 * * *', images: ['night'] },
      { cron: '5 12 * * *', images: ['soon'] },
    ]);
    await using _ = schedule;
    expect(schedule.next()).toEqual([
      { images: ['soon'], at: new Date(2026, 2, 10, 12, 5).getTime() },
      { images: ['night'], at: new Date(2026, 2, 11, 3, 0).getTime() },
    ]);
  });

  test('refuses an expression that is none', () => {
    expect(() => scene([{ cron: '61 * * * *', images: [] }])).toThrow('minute');
    expect(() => scene([{ cron: '* * * * * *', images: [] }])).toThrow();
  });
});

describe('what is due while another one runs', () => {
  test('waits for its end', async () => {
    const { begun, schedule } = scene([
      { cron: '1 12 * * *', images: ['first'] },
      { cron: '2 12 * * *', images: ['second'] },
    ]);
    await using _ = schedule;
    await pass(5);
    expect(images(begun)).toEqual(['first']);
    begun[0]?.end();
    await pass(0);
    expect(images(begun)).toEqual(['first', 'second']);
  });

  test('is left out, and that is told, where it is the same one', async () => {
    const { begun, lines, schedule } = scene([{ cron: '* * * * *', images: ['a'] }]);
    await using _ = schedule;
    await pass(3);
    expect(begun).toHaveLength(1);
    expect(lines.filter((line) => line.includes('left out'))).toHaveLength(2);
    begun[0]?.end();
    await pass(1);
    expect(begun).toHaveLength(2);
  });

  test('comes although the first one failed', async () => {
    const { begun, lines, schedule } = scene([{ cron: '* * * * *', images: ['a'] }]);
    await using _ = schedule;
    await pass(1);
    begun[0]?.fail();
    await pass(1);
    expect(begun).toHaveLength(2);
    expect(lines).toContain('a scheduled prefetch failed');
  });
});

describe('other entries', () => {
  test('take the place of those before, and what runs goes on', async () => {
    const { begun, schedule } = scene([
      { cron: '1 12 * * *', images: ['old'] },
      { cron: '3 12 * * *', images: ['never'] },
    ]);
    await using _ = schedule;
    await pass(1);
    schedule.use([{ cron: '4 12 * * *', images: ['new'] }]);
    expect(schedule.next()).toMatchObject([{ images: ['new'] }]);
    expect(begun[0]?.signal.aborted).toBe(false);
    begun[0]?.end();
    await pass(5);
    expect(images(begun)).toEqual(['old', 'new']);
  });

  test('leave out what waits and is no more among them', async () => {
    const { begun, schedule } = scene([
      { cron: '1 12 * * *', images: ['old'] },
      { cron: '2 12 * * *', images: ['waiting'] },
    ]);
    await using _ = schedule;
    await pass(3);
    schedule.use([]);
    begun[0]?.end();
    await pass(3);
    expect(images(begun)).toEqual(['old']);
  });

  test('keep the place of what waits and is still among them', async () => {
    const waiting = { cron: '2 12 * * *', images: ['waiting'], platforms: ['linux/amd64'] };
    const { begun, schedule } = scene([{ cron: '1 12 * * *', images: ['old'] }, waiting]);
    await using _ = schedule;
    await pass(3);
    schedule.use([structuredClone(waiting), { cron: '4 12 * * *', images: ['new'] }]);
    begun[0]?.end();
    await pass(0);
    expect(images(begun)).toEqual(['old', 'waiting']);
    begun[1]?.end();
    await pass(24 * 60);
    expect(images(begun)).toEqual(['old', 'waiting', 'new']);
    begun[2]?.end();
    await pass(0);
    expect(images(begun)).toEqual(['old', 'waiting', 'new', 'waiting']);
  });

  test('that are wrong change nothing', async () => {
    const { begun, schedule } = scene([{ cron: '1 12 * * *', images: ['old'] }]);
    await using _ = schedule;
    const timers = vi.getTimerCount();
    const [other, wrong] = [
      { cron: '1 12 * * *', images: ['new'] },
      { cron: 'never', images: [] },
    ];
    expect(() => schedule.use([other, wrong])).toThrow();
    expect(vi.getTimerCount()).toBe(timers);
    await pass(1);
    expect(images(begun)).toEqual(['old']);
  });
});

test('entries whose place others took are forgotten', async () => {
  vi.useRealTimers();
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const { schedule } = scene([]);
  await using _ = schedule;
  const given = Array.from({ length: 20 }, (_, number) => {
    const entry = { cron: `${number} 3 1 1 *`, images: [`image${number}`] };
    schedule.use([entry]);
    return new WeakRef(entry);
  });
  // What was looked at in a turn lives until its end.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  expect(given.map((entry) => entry.deref() !== undefined)).toEqual([...Array(19).fill(false), true]);
});

test('its end ends the prefetch that runs, waits for that, and begins none', async () => {
  const entries = [
    { cron: '1 12 * * *', images: ['a'] },
    { cron: '2 12 * * *', images: ['b'] },
  ];
  const { begun, schedule } = scene(entries, { isSlowToEnd: true });
  await pass(3);
  let isOver = false;
  const ending = schedule[Symbol.asyncDispose]().then(() => {
    isOver = true;
  });
  await pass(1);
  expect([begun[0]?.signal.aborted, isOver]).toEqual([true, false]);
  begun[0]?.end();
  await ending;
  await pass(24 * 60);
  expect(begun).toHaveLength(1);
});
