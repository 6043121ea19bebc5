// A waiter that may leave what others own.
import { getEventListeners } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import { abandonable } from '../../src/upstream/abandonable.ts';

const reason = new Error('nobody waits');

function unheardRejections(): unknown[] {
  const unheard: unknown[] = [];
  const hear = (error: unknown) => void unheard.push(error);
  process.on('unhandledRejection', hear);
  onTestFinished(() => void process.off('unhandledRejection', hear));
  return unheard;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('a wait that may be abandoned', () => {
  test('settles as the work does, and leaves no listener behind', async () => {
    const { signal } = new AbortController();
    expect(await abandonable(Promise.resolve(7), signal)).toBe(7);
    await expect(abandonable(Promise.reject(new Error('failed')), signal)).rejects.toThrow('failed');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('ends with the signal’s reason while the work goes on', async () => {
    const controller = new AbortController();
    const { promise, resolve } = Promise.withResolvers<number>();
    const waiting = abandonable(promise, controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    resolve(7);
    expect(await promise).toBe(7);
  });

  test.each(['before', 'during'] as const)('that was abandoned %s is not hurt when the work fails', async (when) => {
    const unheard = unheardRejections();
    const controller = new AbortController();
    const { promise, reject } = Promise.withResolvers<number>();
    if (when === 'before') controller.abort(reason);
    const waiting = abandonable(promise, controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    reject(new Error('failed with nobody there'));
    await turn();
    await turn();
    expect(unheard).toEqual([]);
  });
});
