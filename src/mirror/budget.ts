// Room on the disk for those who fill the cache: granted before the first byte, in the order in which they came.
import type { Disk } from '../store/disk.ts';
import type { Evictor } from './evictor.ts';
import {
  type Bounds,
  Holdings,
  type HoldingsOptions,
  type Leftovers,
  type Reservation,
  type Terms,
} from './holdings.ts';
import { pastLimit, type Verdict, verdict, type Wanted } from './room.ts';
import { Waiter } from './waiter.ts';

export type { Bounds, Leftovers, Reservation, Size } from './holdings.ts';

export interface BudgetOptions extends HoldingsOptions {
  readonly disk: Pick<Disk, 'space' | 'problem' | 'report'>;
  readonly evictor: Pick<Evictor, 'evict' | 'leavingBytes' | 'pinnedBytes'>;
  readonly leftovers: Leftovers;
  /** How long anybody waits for room at most. */
  readonly waitMs?: number;
}

interface Wish extends Wanted {
  readonly waiter: Waiter<Reservation>;
  passesForDisk: number;
  /** How many releases there had been when there was nothing left to evict. */
  exhaustedAt: number | undefined;
}

const fitting = { kind: 'grant', isKept: true, isOver: false } as const;
const defaultWaitMs = 5000;
/**
 * A file that somebody still reads frees nothing yet, and some file systems take their time: to evict ever more for one
 * blob would empty the cache for nothing. After so many passes it waits, and looks again now and then.
 */
const mostPassesForDisk = 3;
const lookAgainMs = 200;

export class Budget {
  readonly #options: BudgetOptions;
  readonly #holdings: Holdings;
  /** In the order in which they came. */
  readonly #wishes = new Set<Wish>();
  #trim: PromiseWithResolvers<void> | undefined;
  #serving: Promise<void> | undefined;
  #releases = 0;
  #changes = 0;
  #onChange: () => void = () => {};
  #isClosed = false;

  constructor(options: BudgetOptions) {
    this.#options = options;
    this.#holdings = new Holdings(options);
  }

  /** What the cache may take of the disk, as of the last look at it; 0 before the first. */
  get limit(): number {
    return this.#holdings.limit;
  }

  /**
   * Room for a blob, when all that had to go for it is gone. `undefined`: the disk cannot take it, or could not within
   * `waitMs`; stream past it. Rejects with the signal's reason. `claimed`: bytes of it that lie here as a leftover which
   * `leftovers` counts no longer; the reservation begins with them, and without one they are the caller's again.
   */
  async reserve(size: number, signal: AbortSignal, claimed = 0): Promise<Reservation | undefined> {
    const { disk, waitMs = defaultWaitMs } = this.#options;
    signal.throwIfAborted();
    if (this.#isClosed || disk.problem !== undefined) return undefined;
    const unclaim = this.#holdings.claim(Math.min(claimed, size));
    const onSettled = () => {
      this.#wishes.delete(wish);
      unclaim();
      this.#changed();
    };
    const waiter = new Waiter<Reservation>({ signal, waitMs, onSettled });
    const wish: Wish = { size, claimed: Math.min(claimed, size), waiter, passesForDisk: 0, exhaustedAt: undefined };
    this.#wishes.add(wish);
    this.#changed();
    return waiter.settled;
  }

  /** What is too much by the new bounds goes, as far as `trim` can. */
  async use(bounds: Bounds): Promise<void> {
    this.#holdings.use(bounds);
    await this.trim();
  }

  /**
   * Brings use under the limit as far as pins and running fills allow, or until the disk refuses. Rejects when the index
   * does.
   */
  async trim(): Promise<void> {
    if (this.#isClosed) return;
    this.#planTrim();
    await this.#trim?.promise;
  }

  /** Grants nothing any more; resolves when nothing is being evicted. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const { waiter } of this.#wishes) waiter.settle(undefined);
    this.#changed();
    await this.#serving;
    this.#trim?.resolve();
  }

  #planTrim(): void {
    if (!this.#trim) {
      this.#trim = Promise.withResolvers();
      this.#trim.promise.catch(() => {}); // nobody may have asked for it
    }
    this.#changed();
  }

  #changed(): void {
    this.#changes++;
    this.#onChange();
    this.#serving ??= this.#serve();
  }

  /** `isLeaving`: room may come without anybody telling. */
  #change(isLeaving: boolean): Promise<void> {
    return new Promise((resolve) => {
      const again = isLeaving ? setTimeout(() => this.#onChange(), lookAgainMs) : undefined;
      this.#onChange = () => {
        clearTimeout(again);
        resolve();
      };
    });
  }

  /** The only one who evicts and grants: no two make room for the same wish. */
  async #serve(): Promise<void> {
    await undefined; // whoever asked finishes its turn first
    for (;;) {
      const seen = this.#changes;
      const [first] = this.#wishes;
      if (this.#isClosed) break;
      if (this.#trim) await this.#trimNow(this.#trim);
      else if (!first) break;
      else if (!(await this.#answer(first))) {
        const isLeaving = first.passesForDisk > 0 || this.#options.evictor.leavingBytes > 0;
        if (this.#changes === seen) await this.#change(isLeaving);
      }
    }
    this.#serving = undefined;
  }

  /** Settles the wish; resolves to false when it must wait. */
  async #answer(wish: Wish): Promise<boolean> {
    const { waiter } = wish;
    try {
      for (;;) {
        const found = await this.#judge(wish);
        if (waiter.isSettled) return true;
        if (found.kind === 'wait') {
          this.#grantWhoFits();
          return false;
        }
        if (found.kind !== 'evict') {
          waiter.settle(found.kind === 'grant' ? this.#hold(wish, found) : undefined);
          return true;
        }
        if (found.isForDisk) wish.passesForDisk++;
        if ((await this.#makeRoom(found.bytes)) < found.bytes) wish.exhaustedAt = this.#releases;
      }
    } catch (error) {
      if (this.#options.disk.report(error)) waiter.settle(undefined);
      else waiter.fail(error);
      return true;
    }
  }

  async #judge(wish: Wish): Promise<Verdict> {
    const { disk, evictor } = this.#options;
    await this.#holdings.measure(wish.size);
    if (disk.problem !== undefined) return { kind: 'refuse' };
    // Most of the time there is room, and nobody needs to know what is pinned.
    if (this.#fits(wish)) return fitting;
    const figures = this.#holdings.figures(await evictor.pinnedBytes());
    const isExhausted = wish.exhaustedAt === this.#releases;
    const found = verdict(isExhausted ? { ...figures, evictable: 0 } : figures, wish);
    const isHopeless = found.kind === 'evict' && found.isForDisk && wish.passesForDisk >= mostPassesForDisk;
    if (isHopeless || (found.kind === 'refuse' && wish.passesForDisk > 0)) return { kind: 'wait' };
    return found;
  }

  #fits(wish: Wish): boolean {
    const found = verdict(this.#holdings.figures(), wish);
    return found.kind === 'grant' && !found.isOver;
  }

  /**
   * While the first waits for a fill to end, others need not. It loses nothing by that: within the budget they never
   * keep it from going over it.
   */
  #grantWhoFits(): void {
    for (const wish of this.#wishes) if (this.#fits(wish)) wish.waiter.settle(this.#hold(wish, fitting));
  }

  #hold(wish: Wish, terms: Terms): Reservation {
    return this.#holdings.hold(wish, terms, () => {
      this.#releases++;
      this.#planTrim();
    });
  }

  async #trimNow(trim: PromiseWithResolvers<void>): Promise<void> {
    this.#trim = undefined;
    try {
      await this.#holdings.measure(0);
      if (pastLimit(this.#holdings.figures()) > 0) {
        const figures = this.#holdings.figures(await this.#options.evictor.pinnedBytes());
        const bytes = Math.min(pastLimit(figures), figures.evictable);
        if (bytes > 0) await this.#makeRoom(bytes);
      }
      trim.resolve();
    } catch (error) {
      if (this.#options.disk.report(error)) trim.resolve();
      else trim.reject(error);
    }
  }

  /** Leftovers first: they are worth less than what is whole. */
  async #makeRoom(bytes: number): Promise<number> {
    const { leftovers, evictor } = this.#options;
    const dropped = leftovers.bytes > 0 ? await leftovers.drop(bytes) : 0;
    return dropped < bytes ? dropped + (await evictor.evict(bytes - dropped)) : dropped;
  }
}
