// Last uses on the disk: read at start, written in small turns while they change.
import type { IndexConnection } from './index-connection.ts';
import type { Use } from './least-recent.ts';
import { pageOf, Usage } from './usage.ts';

/** What a kill may lose of recency. */
const flushMs = 10_000;
/** A full flush is spread over turns, so that none holds up the event loop. */
const pagesPerTurn = 64;
const turnMs = 25;

export class UsagePages {
  readonly #index: IndexConnection;
  readonly #onFault: ((error: unknown) => void) | undefined;
  #usage = new Usage();
  #timer: NodeJS.Timeout | undefined;

  constructor(index: IndexConnection, onFault: ((error: unknown) => void) | undefined) {
    this.#index = index;
    this.#onFault = onFault;
  }

  load(): void {
    this.#usage = new Usage(this.#index.statements.uses.all() as { page: number; times: Uint8Array }[]);
  }

  /** A new id, in the batch that adds its blob. */
  add(usedAt: number | undefined): number {
    const usage = this.#usage;
    const id = usage.add(usedAt);
    this.#index.onRollback(() => usage.forget(id));
    this.#write(pageOf(id));
    return id;
  }

  /** In the batch that deletes its blob. */
  forget(id: number): void {
    const usage = this.#usage;
    const usedAt = usage.forget(id);
    this.#index.onRollback(() => usage.restore(id, usedAt));
    this.#plan();
  }

  touch(id: number): void {
    this.#usage.touch(id);
    this.#plan();
  }

  usedAt(id: number): number | undefined {
    return this.#usage.usedAt(id);
  }

  oldest(limit: number, after: Use | undefined): Use[] {
    return this.#usage.oldest(limit, after);
  }

  flush(): void {
    this.#flush(Number.POSITIVE_INFINITY);
  }

  close(): void {
    clearTimeout(this.#timer);
    try {
      this.flush();
    } catch (error) {
      this.#onFault?.(error);
    }
  }

  #plan(): void {
    this.#timer ??= setTimeout(() => this.#flushInTurns(this.#usage.dirtyPages), flushMs).unref();
  }

  #flushInTurns(left: number): void {
    try {
      this.#flush(Math.min(left, pagesPerTurn));
      left -= pagesPerTurn;
    } catch (error) {
      this.#onFault?.(error);
      left = 0;
    }
    this.#timer = left > 0 ? setTimeout(() => this.#flushInTurns(left), turnMs).unref() : undefined;
    if (left <= 0 && this.#usage.dirtyPages > 0) this.#plan();
  }

  #flush(limit: number): void {
    const usage = this.#usage;
    const pages = usage.takeDirty(limit);
    try {
      this.#index.batch(() => {
        for (const page of pages) this.#write(page);
      });
    } catch (error) {
      usage.keepDirty(pages);
      throw error;
    }
  }

  #write(page: number): void {
    const times = this.#usage.page(page);
    if (times) this.#index.statements.putUses.run(page, times);
  }
}
