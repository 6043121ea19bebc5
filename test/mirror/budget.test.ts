// Room for those who fill the cache: who gets it, who waits, who is sent past the disk.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Reservation } from '../../src/mirror/budget.ts';
import { never } from '../store/scratch-store.ts';
import { BudgetScene, idle, named } from './budget-scene.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** What a reservation has come to by now. */
function watch(promise: Promise<Reservation | undefined>) {
  const watched: { state: 'waits' | 'granted' | 'refused' | 'failed'; error?: unknown; reservation?: Reservation } = {
    state: 'waits',
  };
  promise.then(
    (reservation) => {
      watched.state = reservation ? 'granted' : 'refused';
      if (reservation) watched.reservation = reservation;
    },
    (error) => {
      watched.state = 'failed';
      watched.error = error;
    },
  );
  return watched;
}

describe('a blob that fits', () => {
  test('gets its room, and nothing goes for it', async () => {
    const scene = new BudgetScene();
    scene.add('a', 60);
    expect((await scene.granted(40)).isKept).toBe(true);
    expect(scene.evicted).toEqual([]);
  });

  test('may be empty, in a cache that is full', async () => {
    const scene = new BudgetScene();
    scene.add('a', 100);
    expect((await scene.granted(0)).isKept).toBe(true);
    expect(scene.evicted).toEqual([]);
  });

  test('may take all of the budget', async () => {
    const scene = new BudgetScene();
    scene.add('a', 100);
    await scene.fill('b', 100);
    expect([scene.has('a'), scene.has('b')]).toEqual([false, true]);
  });
});

describe('in a full cache', () => {
  test('the least recently used goes, and is gone before the room is granted', async () => {
    const scene = new BudgetScene();
    for (const name of ['a', 'b', 'c', 'd']) scene.add(name, 25);
    const gone = Promise.withResolvers<void>();
    scene.unlink = (digest) => (digest === named('b') ? gone.promise : Promise.resolve());
    const wanted = watch(scene.reserve(50));
    await idle();
    expect(wanted.state).toBe('waits');
    expect([scene.has('a'), scene.has('b'), scene.has('c')]).toEqual([false, false, true]);
    gone.resolve();
    await idle();
    expect(wanted.state).toBe('granted');
    expect(scene.onDisk).toBe(50);
  });

  test('leftovers go before blobs', async () => {
    const scene = new BudgetScene();
    scene.leftoverBytes = 30;
    scene.add('a', 35);
    scene.add('b', 35);
    await scene.granted(20);
    expect([scene.leftoverBytes, scene.evicted.length]).toEqual([10, 0]);
    await scene.granted(20);
    expect([scene.leftoverBytes, scene.evicted]).toEqual([0, [named('a')]]);
  });

  test('many who come at once each have as much evicted as they need, and no more', async () => {
    const scene = new BudgetScene();
    for (let name = 0; name < 10; name++) scene.add(name, 10);
    const reservations = await Promise.all(Array.from({ length: 5 }, () => scene.granted(10)));
    expect(reservations.every(({ isKept }) => isKept)).toBe(true);
    expect(scene.evicted).toEqual([0, 1, 2, 3, 4].map(named));
  });

  test('who comes first is served first, and waits for nobody else', async () => {
    const scene = new BudgetScene();
    for (const name of ['a', 'b']) scene.add(name, 50);
    const gates = new Map(['a', 'b'].map((name) => [named(name), Promise.withResolvers<void>()]));
    scene.unlink = (digest) => gates.get(digest)?.promise ?? Promise.resolve();
    const [first, second] = [watch(scene.reserve(50)), watch(scene.reserve(50))];
    await idle();
    gates.get(named('a'))?.resolve();
    await idle();
    expect([first.state, second.state]).toEqual(['granted', 'waits']);
    gates.get(named('b'))?.resolve();
    await idle();
    expect(second.state).toBe('granted');
  });

  test('what is pinned stays, and what is not goes instead', async () => {
    const scene = new BudgetScene();
    for (const name of ['a', 'b', 'c', 'd']) scene.add(name, 25);
    scene.pin('a');
    await scene.fill('e', 25);
    expect(scene.evicted).toEqual([named('b')]);
  });
});

describe('while running fills hold the room', () => {
  test('one blob goes over the budget, the next waits for a release', async () => {
    const scene = new BudgetScene();
    const running = await scene.granted(90);
    const over = await scene.granted(50);
    expect(over.isKept).toBe(true);
    const third = watch(scene.reserve(50));
    await idle();
    expect(third.state).toBe('waits');
    scene.commit('over', 50, over);
    await idle();
    // It is the one over the budget now: what was committed had to go first.
    expect(third.state).toBe('granted');
    expect(scene.evicted).toEqual([named('over')]);
    running.release();
  });

  test('the wait ends without room after five seconds', async () => {
    const scene = new BudgetScene();
    const held = [await scene.granted(90), await scene.granted(50)];
    const waiting = watch(scene.reserve(50));
    await vi.advanceTimersByTimeAsync(4999);
    expect(waiting.state).toBe('waits');
    await vi.advanceTimersByTimeAsync(1);
    expect(waiting.state).toBe('refused');
    expect(vi.getTimerCount()).toBe(0);
    for (const reservation of held) reservation.release();
    expect((await scene.granted(100)).isKept).toBe(true);
  });

  test('who leaves the queue is not waited for', async () => {
    const scene = new BudgetScene();
    const held = [await scene.granted(90), await scene.granted(50)];
    const leaving = new AbortController();
    const [first, second] = [watch(scene.reserve(60, leaving.signal)), watch(scene.reserve(40))];
    await idle();
    leaving.abort(new Error('gone'));
    await idle();
    expect([first.state, second.state]).toEqual(['failed', 'waits']);
    expect(first.error).toEqual(new Error('gone'));
    held[1]?.release();
    await idle();
    expect(second.state).toBe('granted');
  });

  test('a small one that fits does not wait behind a large one that does not', async () => {
    const scene = new BudgetScene();
    const held = [await scene.granted(60), await scene.granted(70)];
    const [large, small, none] = [watch(scene.reserve(90)), watch(scene.reserve(40)), watch(scene.reserve(1))];
    await idle();
    expect([large.state, small.state, none.state]).toEqual(['waits', 'granted', 'waits']);
    held[1]?.release();
    await idle();
    expect([large.state, none.state]).toEqual(['granted', 'waits']);
    held[0]?.release();
    await idle();
    expect(none.state).toBe('granted');
  });

  test('what is in the cache is not emptied for a wish that could not be met by that', async () => {
    const scene = new BudgetScene();
    const held = [await scene.granted(60), await scene.granted(70)];
    scene.add('a', 30);
    const waiting = watch(scene.reserve(90));
    await idle();
    expect(waiting.state).toBe('waits');
    expect(scene.evicted).toEqual([]);
    for (const reservation of held) reservation.release();
    await idle();
    expect(waiting.state).toBe('granted');
  });

  test('what went over the budget makes place for the next when it has come to fit', async () => {
    const scene = new BudgetScene();
    const running = await scene.granted(90);
    await scene.granted(50);
    running.release();
    expect(await scene.granted(101)).toMatchObject({ isKept: false });
  });

  test('what could not go before is looked at again when one of them has ended', async () => {
    const scene = new BudgetScene();
    scene.add('busy', 50);
    scene.busy.add(named('busy'));
    const running = await scene.granted(50);
    await scene.granted(30);
    const waiting = watch(scene.reserve(30));
    await idle();
    expect(waiting.state).toBe('waits');
    scene.busy.clear();
    scene.commit('running', 50, running);
    await idle();
    expect(waiting.state).toBe('granted');
    expect(scene.evicted).toContainEqual(named('busy'));
  });

  test('what was committed over the budget is brought back under it, without anybody asking', async () => {
    const scene = new BudgetScene();
    for (const name of ['a', 'b']) scene.add(name, 10);
    const running = await scene.granted(80);
    const over = await scene.granted(90);
    expect(scene.evicted).toEqual([]);
    scene.commit('c', 80, running);
    scene.commit('d', 90, over);
    await idle();
    expect(scene.blobBytes).toBe(90);
    expect(scene.has('d')).toBe(true);
  });
});

describe('a blob that is larger than the budget', () => {
  test('passes through and nothing is evicted for it', async () => {
    const scene = new BudgetScene();
    scene.add('a', 100);
    const large = await scene.granted(1000);
    expect(large.isKept).toBe(false);
    scene.commit('large', 1000, large);
    await idle();
    expect([scene.has('a'), scene.evicted.length]).toEqual([true, 0]);
  });

  test('keeps no smaller one from the budget, only a second one over it', async () => {
    const scene = new BudgetScene();
    scene.add('a', 100);
    const large = await scene.granted(1000);
    expect(await scene.fill('b', 60)).toMatchObject({ isKept: true });
    const second = watch(scene.reserve(101));
    await idle();
    expect(second.state).toBe('waits');
    large.release();
    await idle();
    expect(second.reservation?.isKept).toBe(false);
  });

  test('goes past the disk when that cannot take it', async () => {
    const scene = new BudgetScene();
    scene.totalBytes = 500;
    scene.add('a', 100);
    expect(await scene.reserve(401)).toBeUndefined();
    expect(await scene.reserve(400)).toMatchObject({ isKept: false });
    expect(scene.evicted).toEqual([]);
  });
});

describe('pins', () => {
  test('of less than the budget leave the rest of it', async () => {
    const scene = new BudgetScene();
    scene.add('pinned', 80);
    scene.pin('pinned');
    scene.add('a', 20);
    expect(await scene.fill('b', 20)).toMatchObject({ isKept: true });
    expect(scene.evicted).toEqual([named('a')]);
    expect(await scene.fill('c', 21)).toMatchObject({ isKept: false });
    expect(scene.evicted).toEqual([named('a')]);
  });

  test('of more than the budget let others pass through, one at a time', async () => {
    const scene = new BudgetScene();
    scene.add('pinned', 150);
    scene.pin('pinned');
    scene.add('a', 10);
    const first = await scene.granted(20);
    expect(first.isKept).toBe(false);
    expect([scene.has('pinned'), scene.has('a')]).toEqual([true, false]);
    const second = watch(scene.reserve(20));
    await idle();
    expect(second.state).toBe('waits');
    first.release();
    await idle();
    expect(second.reservation?.isKept).toBe(false);
  });

  test('that end give their room back', async () => {
    const scene = new BudgetScene();
    scene.add('a', 100);
    scene.pin('a');
    (await scene.granted(10)).release();
    scene.unpin('a');
    expect(await scene.fill('b', 10)).toMatchObject({ isKept: true });
    expect(scene.evicted).toEqual([named('a')]);
  });
});

describe('the disk', () => {
  test('is the limit when the budget is larger', async () => {
    const scene = new BudgetScene({ maxSize: { bytes: 10_000 }, minFree: 50 });
    scene.totalBytes = 200;
    scene.add('a', 100);
    await scene.fill('b', 50);
    expect(scene.budget.limit).toBe(150);
    await scene.fill('c', 10);
    expect(scene.evicted).toEqual([named('a')]);
    expect(await scene.reserve(151)).toBeUndefined();
  });

  test('has a share for the cache', async () => {
    const scene = new BudgetScene({ maxSize: { share: 0.25 }, minFree: { share: 0.5 } });
    scene.totalBytes = 400;
    expect(scene.budget.limit).toBe(0);
    await scene.fill('a', 100);
    expect(scene.budget.limit).toBe(100);
    await scene.fill('b', 100);
    expect(scene.evicted).toEqual([named('a')]);
    scene.othersBytes = 150;
    await scene.budget.trim();
    expect(scene.budget.limit).toBe(50);
    expect(scene.limits).toEqual([100, 50]);
  });

  test('that has less than must stay free takes nothing, and nothing is evicted for nothing', async () => {
    const scene = new BudgetScene({ minFree: 5000 });
    scene.totalBytes = 500;
    scene.add('a', 10);
    expect(await scene.reserve(1)).toBeUndefined();
    expect(scene.evicted).toEqual([]);
  });

  test('that others fill takes the cache back, down to what must stay free', async () => {
    const scene = new BudgetScene({ maxSize: { bytes: 800 }, minFree: 100 });
    scene.totalBytes = 1000;
    for (let name = 0; name < 8; name++) scene.add(name, 100);
    await scene.budget.trim();
    expect([scene.budget.limit, scene.evicted.length]).toEqual([800, 0]);
    scene.othersBytes = 350;
    await scene.fill('new', 50);
    expect(scene.free).toBeGreaterThanOrEqual(100);
    expect(scene.budget.limit).toBe(550);
    expect(scene.evicted).toHaveLength(3);
  });

  test('has no room twice for what running fills have not written yet', async () => {
    const scene = new BudgetScene({ maxSize: { bytes: 10_000 } });
    scene.totalBytes = 100;
    const first = await scene.granted(60);
    const second = watch(scene.reserve(60));
    await idle();
    expect(second.state).toBe('waits');
    first.wrote(60);
    scene.spoolBytes = 60;
    await idle();
    expect(second.state).toBe('waits');
    first.release();
    scene.spoolBytes = 0;
    await idle();
    expect(second.state).toBe('granted');
  });

  test('is not believed to have what a fill wrote while it was asked', async () => {
    const scene = new BudgetScene({ maxSize: { bytes: 10_000 } });
    scene.totalBytes = 100;
    const running = await scene.granted(40);
    const told = Promise.withResolvers<void>();
    scene.look = () => told.promise;
    const waiting = watch(scene.reserve(70));
    await idle();
    running.wrote(40);
    scene.spoolBytes = 40;
    told.resolve();
    await idle();
    expect(waiting.state).toBe('waits');
  });

  test('is still full of what is on its way out', async () => {
    const scene = new BudgetScene();
    scene.add('a', 200);
    const gone = Promise.withResolvers<void>();
    scene.unlink = () => gone.promise;
    const expired = scene.evictor.expire(-60_000);
    await idle();
    const waiting = watch(scene.reserve(50));
    await idle();
    expect(waiting.state).toBe('waits');
    gone.resolve();
    expect(await expired).toBe(200);
    await vi.advanceTimersByTimeAsync(200);
    await idle();
    expect(waiting.state).toBe('granted');
  });

  test('is looked at again when room is short, and believed for a second when there is plenty', async () => {
    const gibibyte = 2 ** 30;
    const scene = new BudgetScene({ maxSize: { bytes: 100 * gibibyte } });
    scene.totalBytes = 10 * gibibyte;
    for (let count = 0; count < 5; count++) (await scene.granted(10)).release();
    expect(scene.looks).toBe(1);
    vi.advanceTimersByTime(1001);
    (await scene.granted(10)).release();
    expect(scene.looks).toBe(2);
    (await scene.granted(9.5 * gibibyte)).release();
    expect(scene.looks).toBe(3);
  });

  test('whose readers hold on to what was evicted costs a wish no more than three times its size', async () => {
    const scene = new BudgetScene({ maxSize: { bytes: 10_000 } });
    scene.totalBytes = 100;
    for (let name = 0; name < 10; name++) scene.add(name, 10);
    // Every file that goes is still open somewhere.
    scene.unlink = async () => {
      scene.othersBytes += 10;
    };
    const waiting = watch(scene.reserve(10));
    await idle();
    expect(waiting.state).toBe('waits');
    expect(scene.evicted).toHaveLength(3);
    scene.othersBytes -= 10;
    await vi.advanceTimersByTimeAsync(200);
    await idle();
    expect(waiting.state).toBe('granted');
    expect(scene.evicted).toHaveLength(3);
  });

  test('with a problem is not asked for room', async () => {
    const scene = new BudgetScene();
    scene.problem = 'full';
    expect(await scene.reserve(1)).toBeUndefined();
    scene.problem = undefined;
    expect(await scene.reserve(1)).toBeDefined();
  });

  test('that gets a problem sends those who wait past it', async () => {
    const scene = new BudgetScene();
    const held = [await scene.granted(90), await scene.granted(50)];
    const waiting = watch(scene.reserve(50));
    await idle();
    scene.problem = 'full';
    held[0]?.release();
    await idle();
    expect(waiting.state).toBe('refused');
  });

  test('that does not answer keeps nobody waiting for longer', async () => {
    const scene = new BudgetScene();
    scene.look = () => new Promise(() => {});
    const waiting = [watch(scene.reserve(1)), watch(scene.reserve(2))];
    await vi.advanceTimersByTimeAsync(5000);
    expect(waiting.map(({ state }) => state)).toEqual(['refused', 'refused']);
  });

  test('that fails is reported, and is no failure of the pull', async () => {
    const scene = new BudgetScene();
    scene.look = () => Promise.reject(Object.assign(new Error('broken'), { code: 'EIO' }));
    expect(await scene.reserve(1)).toBeUndefined();
    expect(scene.problem).toBe('broken');
    scene.problem = undefined;
    await scene.budget.trim();
    expect(scene.problem).toBe('broken');
  });
});

describe('what nobody foresaw', () => {
  test('is told to who asked, and harms no other', async () => {
    const scene = new BudgetScene();
    scene.add('a', 100);
    scene.unlink = () => Promise.reject(new Error('unforeseen'));
    const first = watch(scene.reserve(10));
    await idle();
    expect(first.error).toEqual(new Error('unforeseen'));
    scene.unlink = async () => {};
    expect(await scene.fill('b', 10)).toMatchObject({ isKept: true });
  });

  test('is no failure of who releases, and is told to who asks next', async () => {
    const scene = new BudgetScene();
    const held = [await scene.granted(90), await scene.granted(50)];
    const waiting = watch(scene.reserve(50));
    await idle();
    scene.records.close();
    held[0]?.release();
    await idle();
    expect(waiting.state).toBe('failed');
    await expect(scene.reserve(1)).rejects.toThrow();
  });

  test('is told to who trims', async () => {
    const scene = new BudgetScene();
    scene.add('a', 200);
    scene.unlink = () => Promise.reject(new Error('unforeseen'));
    await expect(scene.budget.trim()).rejects.toThrow('unforeseen');
  });
});

describe('a reservation', () => {
  test('released twice gives its room back once', async () => {
    const scene = new BudgetScene();
    const [first] = [await scene.granted(50), await scene.granted(50)];
    first?.release();
    first?.release();
    first?.wrote(50);
    expect(await scene.granted(50)).toMatchObject({ isKept: true });
    expect(await scene.granted(1)).toMatchObject({ isKept: true });
    const over = watch(scene.reserve(1));
    await idle();
    expect(over.state).toBe('waits');
  });

  test('counts what was written once, however much it is told', async () => {
    const scene = new BudgetScene({ maxSize: { bytes: 10_000 } });
    scene.totalBytes = 100;
    const first = await scene.granted(40);
    for (const bytes of [30, 30, -1000, 40, 1000]) first.wrote(bytes);
    scene.spoolBytes = 40;
    await scene.granted(60);
    const third = watch(scene.reserve(1));
    await idle();
    expect(third.state).toBe('waits');
  });

  test('begins with the leftover that it takes over', async () => {
    const scene = new BudgetScene();
    scene.totalBytes = 100;
    scene.add('a', 20);
    scene.spoolBytes = 70;
    const reservation = await scene.budget.reserve(80, never, 70);
    expect(scene.evicted).toEqual([]);
    expect(reservation?.isKept).toBe(true);
    reservation?.wrote(10);
    scene.spoolBytes = 80;
    expect(await scene.fill('b', 20)).toMatchObject({ isKept: true });
    expect(scene.evicted).toEqual([named('a')]);
  });

  test('has the leftover counted while it waits, and not when it has left', async () => {
    const scene = new BudgetScene();
    const held = [await scene.granted(60), await scene.granted(70)];
    const leaving = new AbortController();
    const large = watch(scene.budget.reserve(90, leaving.signal, 30));
    const small = watch(scene.reserve(40));
    await idle();
    expect([large.state, small.state]).toEqual(['waits', 'waits']);
    leaving.abort();
    await idle();
    expect(small.state).toBe('granted');
    for (const reservation of held) reservation.release();
  });

  test('is not made for a signal that has fired', async () => {
    const scene = new BudgetScene();
    await expect(scene.reserve(1, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
    expect(scene.looks).toBe(0);
  });

  test('is given back when its owner left while others made room for it', async () => {
    const scene = new BudgetScene();
    scene.add('a', 100);
    const gone = Promise.withResolvers<void>();
    scene.unlink = () => gone.promise;
    const leaving = new AbortController();
    const left = watch(scene.reserve(100, leaving.signal));
    await idle();
    leaving.abort();
    gone.resolve();
    await idle();
    expect(left.state).toBe('failed');
    expect(await scene.granted(100)).toMatchObject({ isKept: true });
  });
});

describe('trimming', () => {
  test('brings a budget that became smaller into force', async () => {
    const scene = new BudgetScene();
    for (let name = 0; name < 500; name++) scene.add(name, 1);
    await Promise.all([scene.budget.trim(), scene.budget.trim()]);
    expect(scene.blobBytes).toBe(100);
    expect(scene.evicted[0]).toBe(named(0));
  });

  test('spares what is pinned, and ends', async () => {
    const scene = new BudgetScene();
    scene.add('a', 150);
    scene.pin('a');
    scene.add('b', 10);
    await scene.budget.trim();
    expect(scene.evicted).toEqual([named('b')]);
  });

  test('leaves a cache alone that is within its limit', async () => {
    const scene = new BudgetScene();
    scene.add('a', 100);
    await scene.budget.trim();
    expect(scene.evicted).toEqual([]);
    expect(scene.budget.limit).toBe(100);
  });
});

describe('a budget that is closed', () => {
  test('grants nothing, keeps nobody waiting, and waits for the eviction that runs', async () => {
    const scene = new BudgetScene();
    scene.add('a', 100);
    const gone = Promise.withResolvers<void>();
    scene.unlink = () => gone.promise;
    const waiting = watch(scene.reserve(100));
    await idle();
    let isClosed = false;
    const closed = scene.budget.close().then(() => {
      isClosed = true;
    });
    await idle();
    expect([waiting.state, isClosed]).toEqual(['refused', false]);
    gone.resolve();
    await closed;
    expect(await scene.reserve(1)).toBeUndefined();
    await scene.budget.trim();
    scene.records.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test('takes back what is released after the index is closed', async () => {
    const scene = new BudgetScene();
    const held = await scene.granted(50);
    await scene.budget.close();
    scene.records.close();
    held.release();
    await idle();
  });

  test('may have been idle', async () => {
    const scene = new BudgetScene();
    await scene.budget.close();
    await scene.budget.close();
  });
});
