// The budget under random fills, pins, readers, aborts and neighbours: what must hold whatever comes when.
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Reservation } from '../../src/mirror/budget.ts';
import { BudgetScene, idle, named } from './budget-scene.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const maxSize = 100;
const minFree = 20;
const largest = 150;

interface Held {
  readonly size: number;
  readonly reservation: Reservation;
  written: number;
}

/** Fills that write, commit and fail as they are told; looks at every rule whenever anything has changed. */
class Storm {
  readonly scene = new BudgetScene({ maxSize: { bytes: maxSize }, minFree });
  readonly held: Held[] = [];
  readonly pinned = new Set<number>();
  readonly leaving: AbortController[] = [];
  /** Passes that nobody waits for while the storm goes on. */
  readonly passes: Promise<unknown>[] = [];
  /** Broken rules: an exception where they are found would only fail somebody's fill. */
  readonly broken: string[] = [];
  #names = 0;
  #open = 0;
  #mostPinned = 0;

  constructor(total: number) {
    this.scene.totalBytes = total;
    this.scene.unlink = async (digest) => {
      for (const name of this.pinned) if (digest === named(name)) this.broken.push(`${name} was pinned`);
      this.check();
      await new Promise((resolve) => setImmediate(resolve));
    };
  }

  get isQuiet(): boolean {
    return this.#open === 0;
  }

  reserve(size: number): void {
    const leaving = new AbortController();
    this.leaving.push(leaving);
    this.#open++;
    const granted = (reservation: Reservation | undefined) => {
      this.#open--;
      if (!reservation) return;
      this.held.push({ size, reservation, written: 0 });
      this.check();
      // What was granted can be written, however much the others write.
      const room = this.scene.free - minFree - this.#unwritten();
      if (room < 0) this.broken.push(`${size} was granted, and the disk lacks ${-room}`);
    };
    const failed = (error: Error) => {
      this.#open--;
      if (error.name !== 'AbortError') this.broken.push(error.message);
    };
    this.scene.reserve(size, leaving.signal).then(granted, failed);
  }

  write(at: number, bytes: number): void {
    const held = this.#at(at);
    if (held) this.#write(held, Math.min(bytes, held.size - held.written));
  }

  commit(at: number): void {
    const held = this.#take(at);
    if (!held) return;
    this.#write(held, held.size - held.written);
    this.scene.spoolBytes -= held.size;
    if (held.reservation.isKept) this.scene.add(this.#names++, held.size);
    held.reservation.release();
    this.check();
  }

  fail(at: number): void {
    const held = this.#take(at);
    if (!held) return;
    this.scene.spoolBytes -= held.written;
    // Half of all that breaks off is kept for the next fill.
    if (at % 2 === 0) this.scene.leftoverBytes += held.written;
    held.reservation.release();
    this.check();
  }

  pin(at: number): void {
    const name = this.#names === 0 ? 0 : at % this.#names;
    if (this.pinned.delete(name)) this.scene.unpin(name);
    else if (this.scene.has(name)) {
      this.pinned.add(name);
      this.scene.pin(name);
    }
  }

  check(): void {
    const pinned = [...this.pinned].reduce((sum, name) => sum + (this.scene.files.get(named(name)) ?? 0), 0);
    // What is unpinned again goes with the next eviction, not at once.
    this.#mostPinned = Math.max(this.#mostPinned, pinned);
    const use = this.scene.onDisk + this.#unwritten();
    if (use > Math.max(maxSize, this.#mostPinned) + largest) this.broken.push(`${use} bytes are in use`);
  }

  #unwritten(): number {
    return this.held.reduce((sum, { size, written }) => sum + size - written, 0);
  }

  #write(held: Held, bytes: number): void {
    held.written += bytes;
    this.scene.spoolBytes += bytes;
    held.reservation.wrote(bytes);
  }

  #at(at: number): Held | undefined {
    return this.held[at % Math.max(1, this.held.length)];
  }

  #take(at: number): Held | undefined {
    return this.held.splice(at % Math.max(1, this.held.length), 1)[0];
  }
}

const size = fc.oneof(fc.constantFrom(0, 1, maxSize, maxSize + 1, largest), fc.nat(largest), fc.nat(30), fc.nat(30));
const step = fc.oneof(
  { weight: 6, arbitrary: size.map((size) => (storm: Storm) => storm.reserve(size)) },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.nat(99), fc.nat(60)).map(
      ([at, bytes]) =>
        (storm: Storm) =>
          storm.write(at, bytes),
    ),
  },
  { weight: 4, arbitrary: fc.nat(99).map((at) => (storm: Storm) => storm.commit(at)) },
  { weight: 1, arbitrary: fc.nat(99).map((at) => (storm: Storm) => storm.fail(at)) },
  { weight: 1, arbitrary: fc.nat(99).map((at) => (storm: Storm) => storm.pin(at)) },
  { weight: 1, arbitrary: fc.nat(99).map((at) => (storm: Storm) => storm.leaving.at(-1 - (at % 5))?.abort()) },
  { weight: 1, arbitrary: fc.constant((storm: Storm) => storm.passes.push(storm.scene.budget.trim())) },
  { weight: 1, arbitrary: fc.constant((storm: Storm) => storm.passes.push(storm.scene.evictor.expire(-60_000))) },
  { weight: 1, arbitrary: fc.nat(3000).map((ms) => () => void vi.advanceTimersByTime(ms)) },
);
const steps = fc.array(fc.tuple(step, fc.nat(3)), { maxLength: 80 });

async function ends(storm: Storm): Promise<void> {
  for (let round = 0; round < 200 && !(storm.isQuiet && storm.held.length === 0); round++) {
    storm.commit(0);
    await idle(10);
    vi.advanceTimersByTime(500);
  }
  expect(storm.broken).toEqual([]);
  expect(storm.isQuiet).toBe(true);
  expect(storm.held).toEqual([]);
}

test.each([
  ['a large disk', 1_000_000],
  ['a disk of little more than the budget', 200],
  ['a disk that is smaller than the budget', 90],
])('keeps to its limit on %s, whatever comes when', async (_, total) => {
  await fc.assert(
    fc.asyncProperty(steps, async (steps) => {
      const storm = new Storm(total);
      for (const [act, turns] of steps) {
        act(storm);
        storm.check();
        await idle(turns);
      }
      await ends(storm);
      for (const name of storm.pinned) storm.scene.unpin(name);
      await Promise.all(storm.passes);
      await storm.scene.budget.trim();
      expect(storm.scene.onDisk).toBeLessThanOrEqual(Math.min(maxSize, total - minFree));
      await storm.scene.budget.close();
      storm.scene.records.close();
    }),
    { numRuns: 200 },
  );
});

test('gives way to whoever else fills the disk, and takes nothing that must stay free', async () => {
  const neighbour = fc.integer({ min: 0, max: 600 });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(neighbour, fc.nat(60)), { maxLength: 40 }), async (rounds) => {
      const storm = new Storm(400);
      for (const [others, wanted] of rounds) {
        // Its neighbours take what they like of what is free, and leave again.
        storm.scene.othersBytes = Math.min(others, 400 - storm.scene.onDisk);
        storm.reserve(wanted);
        await idle(10);
        storm.commit(0);
        await idle(10);
        if (storm.scene.free < minFree) await storm.scene.budget.trim();
        expect(storm.scene.free >= minFree || storm.scene.onDisk === 0).toBe(true);
      }
      await ends(storm);
      await storm.scene.budget.close();
      storm.scene.records.close();
    }),
    { numRuns: 100 },
  );
});
