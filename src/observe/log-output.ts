// Where log lines go: a descriptor that may be full, slow or closed, and never holds anybody up.
import { write, writeSync } from 'node:fs';

/** As node:fs writes to it: any part of the bytes, or none. */
export interface LogDescriptor {
  write(bytes: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void): void;
  writeSync(bytes: Buffer): number;
}

/** Called when lines go out again after some had no room. */
export type OnLost = (lost: number, why: string) => void;

/** In characters. */
const mostWaiting = 8 * 1024 * 1024;
const slowMs = 10;
const failedMs = 1000;
const flushMs = 1000;
const lastWordsMs = 250;

/** Lines go out in their order and whole. What has no room is left out and counted. */
export class LogOutput {
  readonly #to: LogDescriptor;
  readonly #flushes = new Set<() => void>();
  #onLost: OnLost = () => {};
  #waiting = '';
  /** What is being written, without what of it is written already. */
  #current = Buffer.alloc(0);
  #isBusy = false;
  #retry: NodeJS.Timeout | undefined;
  #why = 'no room';
  #isFailing = false;
  #isClosed = false;
  #lost = 0;

  constructor(to: LogDescriptor) {
    this.#to = to;
  }

  /** The last one counts. */
  use(onLost: OnLost): void {
    this.#onLost = onLost;
  }

  write(line: string): void {
    if (this.#isClosed) return;
    if (this.#waiting.length + line.length > mostWaiting) {
      this.#lost++;
      return;
    }
    this.#waiting += line;
    if (!this.#isBusy) this.#next();
  }

  /** Calls `done` when all is written, or cannot be for now: within a second in any case. */
  flush(done: () => void): void {
    if (!this.#isBusy || this.#isFailing) {
      done();
      return;
    }
    const end = () => {
      clearTimeout(timer);
      this.#flushes.delete(end);
      done();
    };
    const timer = setTimeout(end, flushMs);
    this.#flushes.add(end);
  }

  /** For the end of the process, when nothing is awaited any more. */
  flushSync(): void {
    // What is on its way gets there by itself.
    const begun = this.#isBusy && !this.#retry ? [] : [this.#current];
    let rest = Buffer.concat([...begun, Buffer.from(this.#waiting)]);
    this.#close();
    const end = performance.now() + lastWordsMs;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(this.#to.writeSync(rest));
      } catch (error) {
        if (!isSlow(error) || performance.now() > end) return;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, slowMs);
      }
    }
  }

  #next(): void {
    this.#isBusy = true;
    if (this.#current.length === 0) {
      this.#current = Buffer.from(this.#waiting);
      this.#waiting = '';
      this.#tellLost();
    }
    this.#isBusy = this.#current.length > 0;
    if (!this.#isBusy) {
      this.#settle();
      return;
    }
    this.#to.write(this.#current, (error, written) => {
      if (this.#isClosed) return;
      if (error) {
        this.#fail(error);
        return;
      }
      this.#isFailing = false;
      this.#current = this.#current.subarray(written);
      this.#next();
    });
  }

  #fail(error: NodeJS.ErrnoException): void {
    // A reader that left does not come back.
    if (error.code === 'EPIPE') {
      this.#close();
      return;
    }
    this.#isFailing = !isSlow(error);
    this.#why = this.#isFailing ? error.message : 'its reader is too slow';
    this.#retry = setTimeout(
      () => {
        this.#retry = undefined;
        this.#next();
      },
      this.#isFailing ? failedMs : slowMs,
    ).unref();
    if (this.#isFailing) this.#settle();
  }

  /** After the older lines, before the newer ones. */
  #tellLost(): void {
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.#onLost(lost, this.#why);
  }

  #close(): void {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#waiting = '';
    this.#current = Buffer.alloc(0);
    this.#isBusy = false;
    this.#settle();
  }

  #settle(): void {
    for (const end of this.#flushes) end();
  }
}

function isSlow(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EAGAIN' || code === 'EBUSY';
}

let stdout: LogOutput | undefined;

/** One a process: two over one descriptor would mix up their lines. */
export function standardOutput(): LogOutput {
  if (stdout) return stdout;
  const output = new LogOutput({
    write: (bytes, done) => write(1, bytes, done),
    writeSync: (bytes) => writeSync(1, bytes),
  });
  process.on('exit', () => output.flushSync());
  stdout = output;
  return output;
}
