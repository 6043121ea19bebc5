// Places for so many at once, and a queue for the others.
import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { Places } from '../../src/upstream/places.ts';
import { never } from './upstream-scene.ts';

describe('places', () => {
  test('are given at once while there are some, then in the order of asking', async () => {
    const places = new Places(2);
    const [leave] = [await places.take(never), await places.take(never)];
    const taken: string[] = [];
    const waiting = ['third', 'fourth'].map(async (who) => {
      const done = await places.take(never);
      taken.push(who);
      done();
    });
    expect(taken).toEqual([]);
    leave?.();
    await Promise.all(waiting);
    expect(taken).toEqual(['third', 'fourth']);
  });

  test('are given first to who has fewest: a crowd holds up its own', async () => {
    const places = new Places(2);
    const crowd = [await places.take(never, 'crowd'), await places.take(never, 'crowd')];
    const taken: string[] = [];
    const waiting = ['crowd', 'crowd', 'one', 'other', 'one', 'crowd'].map(async (whose, index) => {
      const leave = await places.take(never, whose);
      taken.push(`${whose} ${index}`);
      return leave;
    });
    crowd[0]?.();
    for (const next of [2, 3, 4, 0, 1, 5]) (await waiting[next])?.();
    expect(taken).toEqual(['one 2', 'other 3', 'one 4', 'crowd 0', 'crowd 1', 'crowd 5']);
    crowd[1]?.();
    // All are free again, and nothing is kept of who had them.
    await Promise.all([places.take(never, 'crowd'), places.take(never, 'crowd')]);
    await expect(places.take(AbortSignal.timeout(20))).rejects.toThrow();
  });

  test('given back twice are one place', async () => {
    const places = new Places(1);
    const leave = await places.take(never);
    leave();
    leave();
    await places.take(never);
    const second = places.take(AbortSignal.timeout(20));
    await expect(second).rejects.toThrow();
  });

  test('are not kept for who left the queue', async () => {
    const places = new Places(1);
    const leave = await places.take(never);
    const controller = new AbortController();
    const gone = places.take(controller.signal);
    const next = places.take(never);
    const reason = new Error('gone');
    controller.abort(reason);
    await expect(gone).rejects.toBe(reason);
    leave();
    expect(await next).toBeTypeOf('function');
    await expect(places.take(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
  });
});
