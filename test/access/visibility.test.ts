// What is public is asked once an hour for all who want to know, and nobody waits long to hear it again.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Sight } from '../../src/access/visibility.ts';
import { Gate } from '../support/gate.ts';
import { app, away, hour, minute, noon, Scene, seen, stillSeen } from './visibility-scene.ts';

const other = { ...app, path: 'acme/other' };

beforeEach(() => {
  vi.useFakeTimers({ now: noon, toFake: ['setTimeout', 'clearTimeout', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('an answer', () => {
  test('counts for an hour, and then it is asked for again', async () => {
    const at = new Scene();
    expect(await at.check()).toBe('public');
    at.upstream = false;
    vi.setSystemTime(noon + hour - 1);
    expect([await at.check(), at.asked]).toEqual(['public', 1]);
    vi.setSystemTime(noon + hour);
    expect([await at.check(), at.asked]).toEqual(['private', 2]);
  });

  test('that it is not public counts for a minute, then for two, and so on up to an hour', async () => {
    const at = new Scene();
    at.upstream = false;
    let time = noon;
    for (const minutes of [1, 2, 4, 8, 16, 32, 60, 60]) {
      const asked = at.asked;
      await at.check();
      vi.setSystemTime(time + minutes * minute - 1);
      expect([minutes, await at.check(), at.asked]).toEqual([minutes, 'private', asked + 1]);
      time += minutes * minute;
      vi.setSystemTime(time);
    }
    at.upstream = true;
    expect(await at.check()).toBe('public');
    at.upstream = false;
    vi.setSystemTime(time + hour);
    await at.check();
    vi.setSystemTime(time + hour + minute);
    at.upstream = true;
    expect(await at.check()).toBe('public');
  });

  test('is as old as its question', async () => {
    const at = new Scene();
    at.gate = new Gate();
    const asking = at.check();
    await at.gate.reached;
    vi.setSystemTime(noon + 9000);
    at.gate.open();
    await asking;
    expect(at.kept.get('registry.test/acme/app')).toEqual({ isPublic: true, checkedAt: noon });
  });

  test('is of one repository of one registry, as anybody sees it', async () => {
    const at = new Scene();
    await at.check();
    await at.check({ repository: { ...app, isPrivate: true } });
    expect(at.asked).toBe(1);
    await at.check({ repository: other });
    await at.check({ repository: { ...app, registry: 'elsewhere.test' } });
    expect(at.asked).toBe(3);
  });

  test('from a clock that was set back since is not believed', async () => {
    const at = new Scene();
    await at.check();
    vi.setSystemTime(noon - 1);
    at.upstream = false;
    expect([await at.check(), at.asked]).toEqual(['private', 2]);
  });

  test('is proven for an hour, without a question', async () => {
    const at = new Scene();
    const isProven = () => at.visibility.isProvenPublic(app);
    expect(isProven()).toBe(false);
    await at.check();
    vi.setSystemTime(noon + hour - 1);
    expect(isProven()).toBe(true);
    vi.setSystemTime(noon + hour);
    expect(isProven()).toBe(false);
    expect(at.asked).toBe(1);
    at.upstream = false;
    await at.check();
    expect(isProven()).toBe(false);
  });

  test('stands in for a newer one no longer than it may', async () => {
    const at = new Scene({ staleMs: 30 * 24 * hour });
    await at.check();
    at.upstream = away;
    vi.setSystemTime(noon + 30 * 24 * hour - 1);
    expect(await at.check()).toBe('once public');
    vi.setSystemTime(noon + 30 * 24 * hour + minute);
    expect(await at.check()).toBe('untold');
  });
});

describe('a hundred who want to know at once', () => {
  test.each([true, false])('ask once, and hear the same: %s', async (isPublic) => {
    const at = new Scene();
    at.gate = new Gate();
    at.upstream = isPublic;
    const asking = Array.from({ length: 100 }, () => at.check());
    await at.gate.reached;
    at.gate.open();
    expect(new Set(await Promise.all(asking))).toEqual(new Set([seen(isPublic)]));
    expect(at.asked).toBe(1);
  });

  test('about a repository of their own each, ask for each', async () => {
    const at = new Scene();
    await Promise.all([at.check(), at.check({ repository: other })]);
    expect(at.asked).toBe(2);
  });

  test('ask once more in vain, too, when the answer is old', async () => {
    const at = new Scene();
    await at.check();
    vi.setSystemTime(noon + hour);
    at.upstream = away;
    const told = await Promise.all(Array.from({ length: 100 }, () => at.check()));
    expect(new Set(told)).toEqual(new Set(['once public']));
    expect(at.asked).toBe(2);
  });
});

describe.each([true, false])('an old answer, %s,', (isPublic) => {
  async function old() {
    const at = new Scene();
    at.upstream = isPublic;
    await at.check();
    vi.setSystemTime(noon + hour);
    return at;
  }

  test('stands while the upstream is away, which is asked again after ten seconds', async () => {
    const at = await old();
    at.upstream = away;
    expect([await at.check(), at.asked]).toEqual([stillSeen(isPublic), 2]);
    vi.setSystemTime(noon + hour + 9999);
    expect([await at.check(), at.asked]).toEqual([stillSeen(isPublic), 2]);
    vi.setSystemTime(noon + hour + 10_000);
    expect([await at.check(), at.asked]).toEqual([stillSeen(isPublic), 3]);
    at.upstream = !isPublic;
    vi.setSystemTime(noon + hour + 20_000);
    expect([await at.check(), at.asked]).toEqual([seen(!isPublic), 4]);
  });

  test('stands when patience ends; the answer that comes then counts for the next', async () => {
    const at = await old();
    at.gate = new Gate();
    at.upstream = !isPublic;
    const answers: Sight[] = [];
    const asking = at.check({ patienceMs: 2000 }).then((answer) => answers.push(answer));
    await at.gate.reached;
    await vi.advanceTimersByTimeAsync(1999);
    expect(answers).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await asking;
    expect(answers).toEqual([stillSeen(isPublic)]);
    const next = at.check();
    at.gate.open();
    expect([await next, await at.check(), at.asked]).toEqual([seen(!isPublic), seen(!isPublic), 2]);
  });

  test('gives way to a newer one that comes in time', async () => {
    const at = await old();
    at.upstream = !isPublic;
    expect(await at.check({ patienceMs: 2000 })).toBe(seen(!isPublic));
  });
});

describe('a repository that nobody knows anything of', () => {
  test('is private while the upstream cannot be asked, which is asked again after ten seconds', async () => {
    const at = new Scene();
    at.upstream = away;
    expect([await at.check(), at.asked]).toEqual(['untold', 1]);
    expect(at.kept.size).toBe(0);
    vi.setSystemTime(noon + 9999);
    expect([await at.check(), at.asked]).toEqual(['untold', 1]);
    at.upstream = true;
    vi.setSystemTime(noon + 10_000);
    expect([await at.check(), at.asked]).toEqual(['public', 2]);
  });

  test('is waited for longer than one that is known', async () => {
    const at = new Scene();
    at.gate = new Gate();
    const asking = at.check({ patienceMs: 2000 });
    await vi.advanceTimersByTimeAsync(10_000);
    at.gate.open();
    expect(await asking).toBe('public');
  });

  test('is private where the question throws at once', async () => {
    const at = new Scene();
    const ask = () => {
      throw away;
    };
    expect(await at.check({ ask })).toBe('untold');
  });

  test('is asked for again after a failure from before the clock was set back', async () => {
    const at = new Scene();
    at.upstream = away;
    await at.check();
    vi.setSystemTime(noon - hour);
    at.upstream = true;
    expect(await at.check()).toBe('public');
  });
});

describe('whoever leaves', () => {
  test('hears no answer, and leaves the question to the others', async () => {
    const at = new Scene();
    at.gate = new Gate();
    const leaving = new AbortController();
    const first = at.check({ signal: leaving.signal });
    const second = at.check();
    await at.gate.reached;
    leaving.abort(new Error('left'));
    await expect(first).rejects.toThrow('left');
    expect(at.signals[0]?.aborted).toBe(false);
    at.gate.open();
    expect([await second, await at.check(), at.asked]).toEqual(['public', 'public', 1]);
  });

  test('before asking asks nothing', async () => {
    const at = new Scene();
    await expect(at.check({ signal: AbortSignal.abort(new Error('left')) })).rejects.toThrow('left');
    expect(at.asked).toBe(0);
  });
});
