// An answer about a repository that cannot be written down is an answer all the same.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { app, away, hour, minute, noon, Scene, seen, stillSeen } from './visibility-scene.ts';

beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(noon);
});

afterEach(() => {
  vi.useRealTimers();
});

describe('an answer that cannot be kept', () => {
  const full = new Error('the disk is full');

  test.each([
    [true, hour],
    [false, minute],
  ])('counts all the same, for its time: %s', async (isPublic, fresh) => {
    const at = new Scene();
    at.broken = full;
    at.upstream = isPublic;
    expect([await at.check(), at.asked]).toEqual([seen(isPublic), 1]);
    expect(at.visibility.isProvenPublic(app)).toBe(isPublic);
    at.upstream = !isPublic;
    vi.setSystemTime(noon + fresh - 1);
    expect([await at.check(), at.asked]).toEqual([seen(isPublic), 1]);
    vi.setSystemTime(noon + fresh);
    expect([await at.check(), at.asked]).toEqual([seen(!isPublic), 2]);
  });

  test.each([true, false])('takes the place of one that could be, %s, also when it is old itself', async (isPublic) => {
    const at = new Scene();
    at.upstream = isPublic;
    await at.check();
    vi.setSystemTime(noon + hour);
    at.broken = full;
    at.upstream = !isPublic;
    expect([await at.check(), await at.check(), at.asked]).toEqual([seen(!isPublic), seen(!isPublic), 2]);
    expect(at.visibility.isProvenPublic(app)).toBe(!isPublic);
    at.upstream = away;
    vi.setSystemTime(noon + 2 * hour);
    expect(await at.check()).toBe(stillSeen(!isPublic));
  });

  test('gives way to a newer one that can be', async () => {
    const at = new Scene();
    at.broken = full;
    await at.check();
    at.broken = undefined;
    at.upstream = false;
    vi.setSystemTime(noon + hour);
    await at.check();
    expect([await at.check(), at.asked]).toEqual(['private', 2]);
  });
});
