// The open index: transactions, and what happens when the file proves damaged.
import type { DatabaseSync } from 'node:sqlite';
import { Checkpoints } from './checkpoints.ts';
import { isDamage, isFull, moveAside, openIndex } from './index-file.ts';
import type { Statements } from './index-statements.ts';

export type OnDamaged = (why: string, movedTo: string) => void;

export class IndexConnection {
  readonly #path: string;
  readonly #checkpoints: Checkpoints;
  #load: () => void = () => {};
  #onDamaged: OnDamaged | undefined;
  #database!: DatabaseSync;
  #statements!: Statements;
  #isFresh = false;
  #undo: (() => void)[] = [];

  /** Nothing works before `open`. */
  constructor(path: string) {
    this.#path = path;
    this.#checkpoints = new Checkpoints(path, () => this.#checkpoint());
  }

  get isFresh(): boolean {
    return this.#isFresh;
  }

  /** What is read now may still be taken back. */
  get isInBatch(): boolean {
    return this.#database.isTransaction;
  }

  get statements(): Statements {
    return this.#statements;
  }

  /**
   * `load` reads what is kept in memory; it runs again should another file take this one's place. Without `onDamaged`
   * damage throws. With it a damaged file is moved aside and a new one begun, now or whenever it shows.
   */
  open(load: () => void, onDamaged?: OnDamaged): void {
    this.#load = load;
    this.#onDamaged = onDamaged;
    try {
      this.#open();
    } catch (error) {
      if (!onDamaged || !isDamage(error)) throw error;
      this.#renew(error);
    }
  }

  /** `work` runs again, on a new and empty index, when this one proves damaged. */
  act<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!this.#onDamaged || !isDamage(error) || this.#database.isTransaction) throw error;
      this.#renew(error);
      return work();
    }
  }

  /** All of `work` or nothing of it; a batch in a batch is part of it. */
  batch<T>(work: () => T): T {
    return this.#database.isTransaction ? work() : this.act(() => this.#transactionWithRoom(work));
  }

  /** What takes back in memory what a running batch did, should it fail. */
  onRollback(undo: () => void): void {
    if (this.#database.isTransaction) this.#undo.push(undo);
  }

  close(): void {
    this.#checkpoints.close();
    this.#database.close();
  }

  #open(): void {
    openIndex(this.#path, ({ database, statements, isFresh }) => {
      this.#database = database;
      this.#statements = statements;
      this.#isFresh = isFresh;
      this.#load();
    });
  }

  #renew(cause: unknown): void {
    if (this.#database?.isOpen) this.#database.close();
    const movedTo = moveAside(this.#path);
    this.#open();
    this.#onDamaged?.((cause as Error).message, movedTo);
  }

  #checkpoint(): void {
    try {
      this.act(() => this.#database.exec('PRAGMA wal_checkpoint(PASSIVE)'));
    } catch {
      // A full disk, perhaps: what has not moved is still in the log.
    }
  }

  /** On a full disk the log cannot grow. It need not, once it has moved: then it begins again from its start. */
  #transactionWithRoom<T>(work: () => T): T {
    try {
      return this.#transaction(work);
    } catch (error) {
      if (!isFull(error)) throw error;
      this.#checkpoint();
      return this.#transaction(work);
    }
  }

  #transaction<T>(work: () => T): T {
    this.#undo = [];
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      this.#checkpoints.wrote();
      return result;
    } catch (error) {
      // A full disk has made SQLite roll back by itself.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      for (const undo of this.#undo.reverse()) undo();
      throw error;
    }
  }
}
