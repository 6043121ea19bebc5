// One reader of a spool: waits for bytes that are still arriving, and leaves when its own client does.
import type { FileHandle } from 'node:fs/promises';
import type { Content } from './content.ts';

export interface Waiter {
  readonly position: number;
  wake(): void;
}

/** What a reader asks of its spool. */
export interface Seat {
  /** The exclusive end of what may be read from `position` on. Throws once the rest will never come. */
  readableEnd(position: number): number;
  wait(waiter: Waiter): void;
  leave(waiter: Waiter): void;
  release(): Promise<void>;
}

export class SpoolReader implements Content {
  readonly size: number;
  readonly #file: FileHandle;
  readonly #seat: Seat;
  #pending: Waiter | undefined;
  #signal: AbortSignal | undefined;
  #closed = false;

  constructor(size: number, file: FileHandle, seat: Seat) {
    this.size = size;
    this.#file = file;
    this.#seat = seat;
  }

  get fd(): number {
    return this.#file.fd;
  }

  async waitFor(position: number, signal: AbortSignal): Promise<number> {
    this.#listen(signal);
    for (;;) {
      signal.throwIfAborted();
      if (position >= this.size) return this.size;
      const end = this.#seat.readableEnd(position);
      if (end > position) return end;
      await this.#growth(position);
    }
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    return (await this.#file.read(buffer, 0, buffer.length, position)).bytesRead;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#signal?.removeEventListener('abort', this.#interrupt);
    await this.#seat.release();
  }

  /** One listener a reader, not one a wait: waits come by the thousand. */
  #listen(signal: AbortSignal): void {
    if (signal === this.#signal) return;
    this.#signal?.removeEventListener('abort', this.#interrupt);
    this.#signal = signal;
    signal.addEventListener('abort', this.#interrupt);
  }

  readonly #interrupt = (): void => this.#pending?.wake();

  #growth(position: number): Promise<void> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        position,
        wake: () => {
          this.#seat.leave(waiter);
          resolve();
        },
      };
      this.#pending = waiter;
      this.#seat.wait(waiter);
    });
  }
}
