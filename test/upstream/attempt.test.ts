// The time that an endpoint has for one question, and who ended it.
import { describe, expect, test } from 'vitest';
import { Attempt } from '../../src/upstream/attempt.ts';
import { never } from './upstream-scene.ts';

const name = 'upstream registry.test';
const ended = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

describe('an attempt', () => {
  test('ends when its works together took too long', async () => {
    const attempt = new Attempt(never, { name, patienceMs: 100 });
    const clock = new Attempt(never, { name, patienceMs: 60 });
    await attempt.timed(() => clock.timed(() => ended(clock.signal)));
    expect(attempt.signal.aborted).toBe(false);
    const startedAt = performance.now();
    await attempt.timed(() => ended(attempt.signal));
    expect(performance.now() - startedAt).toBeLessThan(90);
    expect(attempt.signal.reason).toMatchObject({ failure: 'timeout', message: `${name} did not answer in time` });
    expect(attempt.isAbandoned).toBe(false);
  });

  test('does not end between two works, nor after the last', async () => {
    const attempt = new Attempt(never, { name, patienceMs: 50 });
    const clock = new Attempt(never, { name, patienceMs: 80 });
    await attempt.timed(async () => {});
    await clock.timed(() => ended(clock.signal));
    await attempt.timed(async () => {});
    expect(attempt.signal.aborted).toBe(false);
  });

  test('ends with the reason of who asked, and is abandoned then', () => {
    const controller = new AbortController();
    const attempt = new Attempt(controller.signal, { name, patienceMs: 50 });
    const reason = new Error('gone');
    controller.abort(reason);
    expect([attempt.signal.reason, attempt.isAbandoned]).toEqual([reason, true]);
  });

  test('passes on what its work throws', async () => {
    const attempt = new Attempt(never, { name, patienceMs: 50 });
    const failing = attempt.timed(async () => {
      throw new Error('failed');
    });
    await expect(failing).rejects.toThrow('failed');
  });
});
