// Questions about what is public are bounded, in time and in number, whoever asks and leaves.
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Gate } from '../support/gate.ts';
import { app, away, hour, noon, Scene } from './visibility-scene.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: noon, toFake: ['setTimeout', 'clearTimeout', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

test('whoever has an answer leaves nothing behind', async () => {
  const at = new Scene();
  const { signal } = new AbortController();
  await at.check({ signal });
  vi.setSystemTime(noon + hour);
  await at.check({ signal });
  expect([at.asked, vi.getTimerCount(), getEventListeners(signal, 'abort')]).toEqual([2, 0, []]);
});

describe('there is a bound', () => {
  test('to how long a question lasts: it ends as one that failed, and what comes later is not heard', async () => {
    const at = new Scene();
    at.gate = new Gate();
    const asking = at.check();
    await at.gate.reached;
    await vi.advanceTimersByTimeAsync(29_999);
    expect(at.signals[0]?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await asking).toBe(false);
    expect(at.signals[0]?.aborted).toBe(true);
    at.gate.open();
    await vi.advanceTimersByTimeAsync(1);
    expect([await at.check(), at.kept.size, at.asked]).toEqual([false, 0, 1]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect([await at.check(), at.asked]).toEqual([true, 2]);
  });

  test('to how many questions there are at once, whoever has left meanwhile', async () => {
    const at = new Scene();
    at.gate = new Gate();
    const leaving = new AbortController();
    const asking = Array.from({ length: 1000 }, (_, index) =>
      at.check({ repository: { ...app, path: `made/up${index}` }, signal: leaving.signal }),
    );
    leaving.abort(new Error('left'));
    expect(new Set((await Promise.allSettled(asking)).map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect([await at.check(), at.asked]).toEqual([false, 1000]);
    at.gate.open();
    await vi.advanceTimersByTimeAsync(1);
    expect([await at.check(), at.asked]).toEqual([true, 1001]);
  });

  test('to how many failures are remembered', async () => {
    const at = new Scene();
    at.upstream = away;
    await at.check();
    for (let index = 0; index < 10_000; index++) await at.check({ repository: { ...app, path: `made/up${index}` } });
    at.upstream = true;
    expect(await at.check()).toBe(true);
    expect(await at.check({ repository: { ...app, path: 'made/up9999' } })).toBe(false);
  });
});
