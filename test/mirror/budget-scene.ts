// A cache whose disk is a few numbers: what lies on it, what others take of it, and who unlinks when.
import { pino } from 'pino';
import { Budget, type BudgetOptions, type Reservation } from '../../src/mirror/budget.ts';
import { Evictor } from '../../src/mirror/evictor.ts';
import { Pins } from '../../src/mirror/pins.ts';
import { createMetrics } from '../../src/observe/metrics.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { isDiskFault } from '../../src/store/disk.ts';
import { Records } from '../../src/store/records.ts';
import { never } from '../store/scratch-store.ts';

const somewhere = { registry: 'docker.io', path: 'library/redis' };

export function named(name: string | number): Digest {
  return digestOf(Buffer.from(String(name)));
}

export class BudgetScene {
  readonly records = new Records(':memory:');
  readonly pins: Pins;
  readonly evictor: Evictor;
  readonly budget: Budget;
  /** Of blobs that have a name. */
  readonly files = new Map<Digest, number>();
  readonly evicted: Digest[] = [];
  readonly busy = new Set<Digest>();
  /** Of spools, written or not, as the disk sees them. */
  spoolBytes = 0;
  /** Of files without a name, until they are unlinked or their last reader has gone. */
  namelessBytes = 0;
  othersBytes = 0;
  totalBytes = 1_000_000;
  leftoverBytes = 0;
  problem: string | undefined;
  looks = 0;
  readonly limits: number[] = [];
  /** What is waited for before a file is gone. */
  unlink: (digest: Digest) => Promise<void> = async () => {};
  /** What is waited for before it is known what room the disk had. */
  look: () => Promise<void> = async () => {};

  constructor(options: Partial<BudgetOptions> = {}) {
    this.pins = new Pins({ records: this.records, store: { readAll: async () => undefined } });
    const store = { remove: (digest: Digest) => this.#remove(digest) };
    const log = pino({ level: 'silent' });
    const isBusy = (digest: Digest) => this.busy.has(digest);
    this.evictor = new Evictor({
      records: this.records,
      store,
      pins: this.pins,
      metrics: createMetrics(),
      log,
      isBusy,
    });
    this.budget = new Budget({
      disk: this.#disk(),
      records: this.records,
      evictor: this.evictor,
      leftovers: this.#leftovers(),
      maxSize: { bytes: 100 },
      minFree: 0,
      onBudget: (limit) => this.limits.push(limit),
      ...options,
    });
  }

  get free(): number {
    return this.totalBytes - this.othersBytes - this.onDisk;
  }

  /** What the cache has on the disk. */
  get onDisk(): number {
    return this.blobBytes + this.namelessBytes + this.spoolBytes + this.leftoverBytes;
  }

  get blobBytes(): number {
    return this.files.values().reduce((sum, bytes) => sum + bytes, 0);
  }

  has(name: string | number): boolean {
    return this.files.has(named(name));
  }

  /** A blob that is here already. */
  add(name: string | number, size: number): void {
    this.files.set(named(name), size);
    this.records.putBlob(named(name), size);
  }

  pin(name: string | number): void {
    this.records.pin(somewhere, named(name));
  }

  unpin(name: string | number): void {
    this.records.unpin(somewhere, named(name));
  }

  reserve(size: number, signal: AbortSignal = never): Promise<Reservation | undefined> {
    return this.budget.reserve(size, signal);
  }

  /** For a reservation that must be granted. */
  async granted(size: number): Promise<Reservation> {
    const reservation = await this.reserve(size);
    if (!reservation) throw new Error(`no room for ${size}`);
    return reservation;
  }

  /** A fill from its grant to its end. */
  async fill(name: string | number, size: number): Promise<Reservation | undefined> {
    const reservation = await this.reserve(size);
    if (reservation) this.commit(name, size, reservation);
    return reservation;
  }

  /** Writes all of it, and in one turn puts the record and releases. */
  commit(name: string | number, size: number, reservation: Reservation): void {
    reservation.wrote(size);
    if (reservation.isKept) this.add(name, size);
    reservation.release();
  }

  async #remove(digest: Digest): Promise<void> {
    const size = this.files.get(digest) ?? 0;
    this.files.delete(digest);
    this.evicted.push(digest);
    this.namelessBytes += size;
    await this.unlink(digest);
    this.namelessBytes -= size;
  }

  #disk(): BudgetOptions['disk'] {
    const scene = this;
    return {
      async space() {
        scene.looks++;
        const space = { total: scene.totalBytes, free: scene.free };
        await scene.look();
        return space;
      },
      get problem() {
        return scene.problem;
      },
      report(error) {
        if (isDiskFault(error)) scene.problem = (error as Error).message;
        return isDiskFault(error);
      },
    };
  }

  #leftovers(): BudgetOptions['leftovers'] {
    const scene = this;
    return {
      get bytes() {
        return scene.leftoverBytes;
      },
      async drop(bytes) {
        const dropped = Math.min(bytes, scene.leftoverBytes);
        await undefined;
        scene.leftoverBytes -= dropped;
        return dropped;
      },
    };
  }
}

/** Until everything that can go on without a timer has gone on. */
export async function idle(turns = 20): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}
