// Questions about what is public are bounded, in time and in number, whoever asks and leaves.
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { formatRepository, type Repository } from '../../src/oci/repository.ts';
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
    expect(await asking).toBe('untold');
    expect(at.signals[0]?.aborted).toBe(true);
    at.gate.open();
    await vi.advanceTimersByTimeAsync(1);
    expect([await at.check(), at.kept.size, at.asked]).toEqual(['untold', 0, 1]);
    await vi.advanceTimersByTimeAsync(10_000);
    expect([await at.check(), at.asked]).toEqual(['public', 2]);
  });

  test('to how many questions there are at once, whoever has left meanwhile', async () => {
    const at = new Scene();
    at.gate = new Gate();
    const leaving = new AbortController();
    const asking = Array.from({ length: 1000 }, (_, index) =>
      at.check({ repository: madeUp(index), address: `10.0.0.${index % 250}`, signal: leaving.signal }),
    );
    leaving.abort(new Error('left'));
    expect(new Set((await Promise.allSettled(asking)).map(({ status }) => status))).toEqual(new Set(['rejected']));
    expect([await at.check({ address: '10.9.9.9' }), at.asked]).toEqual(['unasked', 1000]);
    at.gate.open();
    await vi.advanceTimersByTimeAsync(1);
    expect([await at.check({ address: '10.9.9.9' }), at.asked]).toEqual(['public', 1001]);
  });

  test('to how many failures are remembered', async () => {
    const at = new Scene();
    at.upstream = away;
    await at.check();
    for (let index = 0; index < 10_000; index++) await at.check({ repository: madeUp(index) });
    at.upstream = true;
    expect(await at.check()).toBe('public');
    expect(await at.check({ repository: madeUp(9999) })).toBe('untold');
  });

  test('to how many answers are remembered that cannot be kept', async () => {
    const at = new Scene();
    at.broken = new Error('the disk is full');
    await at.check();
    for (let index = 0; index < 10_000; index++) await at.check({ repository: madeUp(index) });
    const { asked } = at;
    await at.check({ repository: madeUp(9999) });
    expect(at.asked).toBe(asked);
    await at.check();
    expect(at.asked).toBe(asked + 1);
  });
});

describe('one address that asks for made-up names', () => {
  /** As many names of its own as it may, about which nobody has answered. */
  async function crowd() {
    const at = new Scene();
    await at.check({ repository: known });
    vi.setSystemTime(noon + hour);
    at.gate = new Gate();
    const asking = Array.from({ length: 32 }, (_, index) => at.check({ repository: madeUp(index), address: flood }));
    await at.gate.reached;
    return { at, asking, address: flood };
  }

  test('hears nothing of any other name, and not that it is private', async () => {
    const { at, address } = await crowd();
    expect([await at.check({ address }), at.asked]).toEqual(['unasked', 33]);
    expect(at.kept.size).toBe(1);
  });

  test('still has what was public, as it is here, and joins what others ask', async () => {
    const { at, asking, address } = await crowd();
    expect(await at.check({ repository: known, address })).toBe('once public');
    const theirs = at.check();
    const joined = at.check({ address });
    at.gate?.open();
    expect([await theirs, await joined, at.asked]).toEqual(['public', 'public', 34]);
    await Promise.all(asking);
  });

  test('leaves all others their places, and has its own again once it is answered', async () => {
    const { at, asking, address } = await crowd();
    const theirs = at.check({ address: '2001:db8:1:3::1' });
    expect(at.asked).toBe(34);
    // Of the same subscriber.
    expect(await at.check({ repository: madeUp(50), address: '2001:db8:1:2::99' })).toBe('unasked');
    at.gate?.open();
    expect([await theirs, new Set(await Promise.all(asking))]).toEqual(['public', new Set(['public'])]);
    expect(await at.check({ repository: madeUp(50), address })).toBe('public');
  });

  test('is not refused what needs no question', async () => {
    const { at, address } = await crowd();
    const fresh = { ...app, path: 'acme/fresh' };
    at.kept.set(formatRepository(fresh), { isPublic: true, checkedAt: Date.now() });
    expect(await at.check({ repository: fresh, address })).toBe('public');
    at.kept.set(formatRepository(fresh), { isPublic: false, checkedAt: Date.now() });
    expect(await at.check({ repository: fresh, address })).toBe('private');
  });
});

const flood = '2001:db8:1:2::1';
const known = { ...app, path: 'acme/known' };

function madeUp(index: number): Repository {
  return { ...app, path: `made/up${index}` };
}
