// Makes room: what goes first, what never goes, and what is true when it is done.
import fc from 'fast-check';
import { pino } from 'pino';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Evictor, type EvictorOptions } from '../../src/mirror/evictor.ts';
import { Pins } from '../../src/mirror/pins.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { Records } from '../../src/store/records.ts';
import { readFrom, ScratchStore } from '../store/scratch-store.ts';

afterEach(() => {
  vi.useRealTimers();
});

const redis = { registry: 'docker.io', path: 'library/redis' };
const day = 24 * 3600 * 1000;

function named(name: string): Digest {
  return digestOf(Buffer.from(name));
}

/** Blobs in an index, files that are only names, and an evictor over both. */
class Scene {
  readonly records = new Records(':memory:');
  readonly metrics = createMetrics();
  readonly names = new Map<Digest, string>();
  /** In the order in which they were removed. */
  readonly removed: string[] = [];
  readonly evictor: Evictor;
  readonly pins: Pins;
  /** What happens between the removal of a name and the end of its file. */
  unlink: (name: string) => Promise<void> = async () => {};

  constructor(options: Partial<EvictorOptions> = {}) {
    const remove = (digest: Digest) => {
      const name = this.names.get(digest) ?? '?';
      this.removed.push(name);
      expect(this.records.blob(digest)).toBeUndefined();
      return this.unlink(name);
    };
    this.pins = new Pins({ records: this.records, store: { readAll: async () => undefined } });
    this.evictor = new Evictor({
      records: this.records,
      store: { remove },
      pins: this.pins,
      metrics: this.metrics,
      log: pino({ level: 'silent' }),
      ...options,
    });
  }

  add(name: string, size: number): void {
    this.names.set(named(name), name);
    this.records.putBlob(named(name), size);
  }

  addMany(count: number, size = 1): string[] {
    const names = Array.from({ length: count }, (_, index) => `blob ${index}`);
    this.records.batch(() => {
      for (const name of names) this.add(name, size);
    });
    return names;
  }

  find(name: string, size: number, usedAt: number): void {
    this.names.set(named(name), name);
    this.records.putUnproven(named(name), size, usedAt);
  }

  use(name: string): void {
    this.records.touch(this.records.blob(named(name))?.id ?? -1);
  }

  pin(name: string): void {
    this.records.pin(redis, named(name));
  }

  async counted(reason: string): Promise<number | undefined> {
    const { values } = await this.metrics.evictions.get();
    return values.find(({ labels }) => labels.reason === reason)?.value;
  }
}

describe('making room', () => {
  test('takes the least recently used first, and no more than it must', async () => {
    const scene = new Scene();
    for (const name of ['a', 'b', 'c', 'd']) scene.add(name, 10);
    scene.use('a');
    expect(await scene.evictor.evict(15)).toBe(20);
    expect(scene.removed).toEqual(['b', 'c']);
    expect(scene.records.totals).toEqual({ bytes: 20, blobs: 2 });
    expect(await scene.counted('size')).toBe(2);
  });

  test('of nothing removes nothing', async () => {
    const scene = new Scene();
    scene.add('a', 10);
    expect(await scene.evictor.evict(0)).toBe(0);
    expect(await scene.evictor.evict(-5)).toBe(0);
    expect(scene.removed).toEqual([]);
  });

  test('gives what there is when there is not enough', async () => {
    const scene = new Scene();
    scene.add('a', 10);
    expect(await scene.evictor.evict(1000)).toBe(10);
    expect(await scene.evictor.evict(1000)).toBe(0);
  });

  test('spares what is pinned, and what is busy', async () => {
    const scene = new Scene({ isBusy: (digest) => digest === named('busy') });
    for (const name of ['pinned', 'busy', 'free', 'last']) scene.add(name, 10);
    scene.pin('pinned');
    expect(await scene.evictor.evict(10)).toBe(10);
    expect(scene.removed).toEqual(['free']);
    expect(await scene.evictor.evict(1000)).toBe(10);
    expect(scene.removed).toEqual(['free', 'last']);
    expect(await scene.evictor.pinnedBytes()).toBe(10);
  });

  test('takes what is pinned no longer in its turn', async () => {
    const scene = new Scene();
    for (const name of ['a', 'b', 'c', 'd']) scene.add(name, 10);
    for (const name of ['a', 'b']) scene.pin(name);
    await scene.evictor.evict(10);
    scene.records.unpin(redis, named('a'));
    await scene.evictor.evict(10);
    expect(scene.removed).toEqual(['c', 'a']);
  });

  test('takes what is older than the pins, although it came later', async () => {
    const scene = new Scene();
    scene.add('pinned', 10);
    scene.pin('pinned');
    scene.add('b', 10);
    await scene.evictor.evict(10);
    scene.find('found', 10, 1000);
    expect(await scene.evictor.evict(10)).toBe(10);
    expect(scene.removed).toEqual(['b', 'found']);
  });

  test('is over when the files are gone', async () => {
    const scene = new Scene();
    scene.addMany(3, 10);
    const gone = Promise.withResolvers<void>();
    scene.unlink = (name) => (name === 'blob 1' ? gone.promise : Promise.resolve());
    let isOver = false;
    const evicted = scene.evictor.evict(30).finally(() => {
      isOver = true;
    });
    await vi.waitFor(() => expect(scene.removed).toHaveLength(3));
    expect(scene.evictor.leavingBytes).toBe(30);
    expect(isOver).toBe(false);
    gone.resolve();
    expect(await evicted).toBe(30);
    expect(scene.evictor.leavingBytes).toBe(0);
  });

  test('by two at once takes nothing twice', async () => {
    const scene = new Scene();
    const names = scene.addMany(200);
    const freed = await Promise.all([scene.evictor.evict(100), scene.evictor.evict(100), scene.evictor.expire(-day)]);
    expect(freed.reduce((sum, bytes) => sum + bytes)).toBe(200);
    expect(scene.removed.toSorted()).toEqual(names.toSorted());
  });

  test('of very many small ones lets others have their turn', async () => {
    const scene = new Scene();
    scene.addMany(2000);
    const perTurn: number[] = [];
    let seen = 0;
    const look = () => {
      perTurn.push(scene.removed.length - seen);
      seen = scene.removed.length;
      if (seen < 2000) setImmediate(look);
    };
    setImmediate(look);
    scene.unlink = () => new Promise((resolve) => setImmediate(resolve));
    expect(await scene.evictor.evict(2000)).toBe(2000);
    expect(Math.max(...perTurn)).toBeLessThanOrEqual(64);
  });

  test('past very many that are pinned lets others have their turn, and is quick the next time', async () => {
    const scene = new Scene();
    const names = scene.addMany(1000);
    for (const name of names) scene.pin(name);
    scene.add('free', 1);
    scene.add('free too', 1);
    const oldest = vi.spyOn(scene.records, 'oldest');
    let turns = 0;
    const count = () => {
      turns++;
      if (scene.removed.length === 0) setImmediate(count);
    };
    setImmediate(count);
    expect(await scene.evictor.evict(1)).toBe(1);
    expect(turns).toBeGreaterThan(10);
    expect(oldest.mock.calls.length).toBeGreaterThan(10);
    oldest.mockClear();
    expect(await scene.evictor.evict(1)).toBe(1);
    expect(oldest.mock.calls.length).toBe(1);
    expect(scene.removed).toEqual(['free', 'free too']);
  });

  test('ends between two turns when the mirror stops', async () => {
    const stopping = new AbortController();
    const scene = new Scene({ stopping: stopping.signal });
    scene.addMany(1000);
    scene.unlink = async () => stopping.abort();
    const freed = await scene.evictor.evict(1000);
    expect(freed).toBeGreaterThan(0);
    expect(freed).toBeLessThan(100);
    expect(scene.records.totals.blobs).toBe(1000 - freed);
  });

  test('never takes what was pinned while it was at it', async () => {
    const scene = new Scene();
    scene.addMany(200);
    scene.unlink = async (name) => {
      if (name === 'blob 0') scene.pin('blob 199');
    };
    expect(await scene.evictor.evict(1000)).toBe(199);
    expect(scene.removed).not.toContain('blob 199');
  });
});

describe('forgetting what nobody uses', () => {
  test('takes what was last used before that, and spares what is pinned', async () => {
    const scene = new Scene();
    const now = Date.now();
    scene.find('ancient', 1, now - 40 * day);
    scene.find('pinned', 2, now - 35 * day);
    scene.find('old', 4, now - 31 * day);
    scene.find('young', 8, now - 29 * day);
    scene.add('new', 16);
    scene.pin('pinned');
    expect(await scene.evictor.expire(30 * day)).toBe(5);
    expect(scene.removed).toEqual(['ancient', 'old']);
    expect(await scene.counted('age')).toBe(2);
    expect(await scene.evictor.expire(30 * day)).toBe(0);
  });
});

describe('when something refuses', () => {
  const full = Object.assign(new Error('database or disk is full'), { code: 'ERR_SQLITE_ERROR', errcode: 13 });
  const readOnly = Object.assign(new Error('readonly database'), { code: 'ERR_SQLITE_ERROR', errcode: 8 });

  test('what is let go of with a blob goes after its file too, where a full disk takes nothing before', async () => {
    const scene = new Scene();
    scene.add('blob', 10);
    const acts: string[] = [];
    let freeBytes = 0;
    const evictor = new Evictor({
      ...scene,
      records: {
        oldest: (limit, after) => scene.records.oldest(limit, after),
        deleteBlob: (digest) => scene.records.deleteBlob(digest),
        batch: (work) => {
          if (freeBytes === 0) throw full;
          return scene.records.batch(work);
        },
      },
      store: {
        remove: async () => {
          acts.push('file');
          freeBytes += 10;
        },
      },
      log: pino({ level: 'silent' }),
    });
    await expect(evictor.remove([], () => acts.push('never'))).rejects.toThrow('full');
    expect(await evictor.remove([{ digest: named('blob'), size: 10 }], () => acts.push('links'))).toBe(10);
    expect(acts).toEqual(['file', 'links', 'file']);
    expect(await evictor.remove([], () => acts.push('tags'))).toBe(0);
    expect(acts).toEqual(['file', 'links', 'file', 'tags']);
    expect(scene.records.totals.blobs).toBe(0);
  });

  test('an index that a full disk keeps from forgetting: the files go first, then their records', async () => {
    const scene = new Scene();
    scene.addMany(3, 10);
    const removed: Digest[] = [];
    let freeBytes = 0;
    const evictor = new Evictor({
      records: {
        oldest: (limit, after) => scene.records.oldest(limit, after),
        deleteBlob: (digest) => scene.records.deleteBlob(digest),
        batch: (work) => {
          if (freeBytes === 0) throw full;
          return scene.records.batch(work);
        },
      },
      store: {
        remove: async (digest) => {
          removed.push(digest);
          freeBytes += 10;
        },
      },
      pins: scene.pins,
      metrics: scene.metrics,
      log: pino({ level: 'silent' }),
    });
    expect(await evictor.evict(15)).toBe(20);
    expect(scene.records.totals.blobs).toBe(1);
    expect(new Set(removed)).toEqual(new Set([named('blob 0'), named('blob 1')]));
    expect(evictor.leavingBytes).toBe(0);
  });

  test('an index that cannot be written keeps its files', async () => {
    const scene = new Scene();
    scene.addMany(3, 10);
    vi.spyOn(scene.records, 'deleteBlob').mockImplementation(() => {
      throw readOnly;
    });
    await expect(scene.evictor.evict(15)).rejects.toBe(readOnly);
    expect(scene.removed).toEqual([]);
    expect(scene.records.totals).toEqual({ bytes: 30, blobs: 3 });
  });

  test('a file that cannot be removed ends it: the index must not be emptied for nothing', async () => {
    const scene = new Scene();
    scene.addMany(200);
    scene.unlink = () => Promise.reject(new Error('EIO'));
    await expect(scene.evictor.evict(200)).rejects.toThrow('EIO');
    expect(scene.records.totals.blobs).toBeGreaterThan(100);
    expect(scene.evictor.leavingBytes).toBe(0);
  });
});

test('a reader of an evicted blob finishes, and the blob can come back at once', async () => {
  await using scratch = await ScratchStore.open();
  const scene = new Scene({ store: scratch.store });
  const bytes = Buffer.from('the bytes of a blob');
  const digest = digestOf(bytes);
  await scratch.store.put(digest, bytes);
  scene.records.putBlob(digest, bytes.length);
  const content = await scratch.store.open(digest, bytes.length);
  await scene.evictor.evict(1);
  expect(await scratch.store.has(digest, bytes.length)).toBe(false);
  expect(content && (await readFrom(content))).toEqual(bytes);
  await content?.close();
  await scratch.store.put(digest, bytes);
  expect(await scratch.store.has(digest, bytes.length)).toBe(true);
});

test('whatever is used, pinned and found: an eviction is that of an exact least-recently-used list', async () => {
  const name = fc.nat(15).map((number) => `blob ${number}`);
  const step = fc.oneof(
    fc.record({ kind: fc.constant('add' as const), name, size: fc.nat(20) }),
    fc.record({ kind: fc.constant('use' as const), name }),
    fc.record({ kind: fc.constant('pin' as const), name }),
    fc.record({ kind: fc.constant('unpin' as const), name }),
    fc.record({ kind: fc.constant('evict' as const), bytes: fc.nat(40) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const scene = new Scene();
      let list: { name: string; size: number }[] = [];
      const pinned = new Set<string>();
      for (const step of steps) {
        const known = 'name' in step ? list.find((entry) => entry.name === step.name) : undefined;
        if (step.kind === 'add') {
          scene.add(step.name, step.size);
          list = [...list.filter((entry) => entry !== known), { name: step.name, size: step.size }];
        } else if (step.kind === 'use' && known) {
          scene.use(step.name);
          list = [...list.filter((entry) => entry !== known), known];
        } else if (step.kind === 'pin') {
          scene.pin(step.name);
          pinned.add(step.name);
        } else if (step.kind === 'unpin') {
          scene.records.unpin(redis, named(step.name));
          pinned.delete(step.name);
        } else if (step.kind === 'evict') {
          const expected: string[] = [];
          let freed = 0;
          for (const entry of list.filter((entry) => !pinned.has(entry.name))) {
            if (freed >= step.bytes) break;
            expected.push(entry.name);
            freed += entry.size;
          }
          scene.removed.length = 0;
          expect(await scene.evictor.evict(step.bytes)).toBe(freed);
          expect(scene.removed).toEqual(expected);
          list = list.filter((entry) => !expected.includes(entry.name));
        }
      }
      expect(scene.records.totals.blobs).toBe(list.length);
    }),
    { numRuns: 100 },
  );
});
