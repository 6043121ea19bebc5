// One answer as it arrives: its head, then the body's pieces, a few of which wait here for whoever reads them.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

export interface ArrivedHead {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** What gathers while its reader is busy; more is left on the connection. */
const gatherBytes = 128 * 1024;
const smallBytes = 32 * 1024;

/** What undici tells of one request. Its body is read once; whoever leaves it early closes the connection. */
export class Arrival implements Dispatcher.DispatchHandler, AsyncIterableIterator<Uint8Array> {
  readonly head: Promise<ArrivedHead>;
  readonly #head = Promise.withResolvers<ArrivedHead>();
  readonly #signal: AbortSignal;
  #controller: Dispatcher.DispatchController | undefined;
  #pieces: Uint8Array[] = [];
  #gathered = 0;
  #waiting: PromiseWithResolvers<IteratorResult<Uint8Array>> | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #isOver = false;
  /** Bytes that may still pass unread, once nobody reads. */
  #passing: number | undefined;
  #length = Number.NaN;

  constructor(signal: AbortSignal) {
    this.head = this.#head.promise;
    this.#signal = signal;
    this.head.catch(() => {}); // who asked may have left
    if (signal.aborted) this.#leave();
    else signal.addEventListener('abort', this.#leave, { once: true });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#failure) controller.abort(this.#failure.reason as Error);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return;
    this.#length = Number(headers['content-length']);
    this.#head.resolve({ status, headers });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    if (this.#passing !== undefined) {
      this.#passing -= chunk.length;
      if (this.#passing < 0) controller.abort(new Error('more than is worth reading'));
      return;
    }
    if (this.#waiting) {
      this.#settle()?.resolve({ value: chunk, done: false });
      return;
    }
    this.#gather(chunk);
    if (this.#gathered >= gatherBytes) controller.pause();
  }

  onResponseEnd(): void {
    this.#end();
    this.#settle()?.resolve({ value: undefined, done: true });
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#fail(error);
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    const value = this.#take();
    if (value) {
      if (this.#gathered < gatherBytes) this.#controller?.resume();
      return { value, done: false };
    }
    if (this.#failure) throw this.#failure.reason;
    if (this.#isOver) return { value: undefined, done: true };
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#cut('nobody reads it any more');
    return { value: undefined, done: true };
  }

  /** Nobody will read it: a short rest passes by, so that the connection can be used again. */
  discard(limit: number, ms: number): void {
    if (this.#isOver || this.#passing !== undefined) return;
    this.#passing = limit - this.#gathered;
    this.#drop();
    if (this.#length > limit || this.#passing < 0) {
      this.#cut('more than is worth reading');
      return;
    }
    const late = setTimeout(() => this.#cut('it is too slow to be worth reading'), ms).unref();
    this.#onOver = () => clearTimeout(late);
    this.#controller?.resume();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #onOver = (): void => {};

  readonly #leave = (): void => {
    this.#drop();
    const { reason } = this.#signal;
    this.#fail(reason);
    this.#controller?.abort(reason);
  };

  #cut(why: string): void {
    if (this.#isOver) return;
    this.#drop();
    const reason = new Error(why);
    this.#fail(reason);
    this.#controller?.abort(reason);
  }

  #fail(reason: unknown): void {
    if (this.#isOver) return;
    this.#failure = { reason };
    this.#end();
    this.#head.reject(reason);
    this.#settle()?.reject(reason);
  }

  #end(): void {
    this.#isOver = true;
    this.#signal.removeEventListener('abort', this.#leave);
    this.#onOver();
  }

  #settle(): PromiseWithResolvers<IteratorResult<Uint8Array>> | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }

  /** Pieces that lie side by side in memory are one. */
  #gather(chunk: Uint8Array): void {
    this.#gathered += chunk.length;
    const last = this.#pieces.at(-1);
    if (last?.buffer === chunk.buffer && last.byteOffset + last.length === chunk.byteOffset)
      this.#pieces[this.#pieces.length - 1] = new Uint8Array(chunk.buffer, last.byteOffset, last.length + chunk.length);
    else this.#pieces.push(chunk);
  }

  /** The next piece; small ones together, copied, for each costs its reader a turn. */
  #take(): Uint8Array | undefined {
    const [first] = this.#pieces;
    if (!first) return undefined;
    const large = this.#pieces.findIndex(({ length }) => length > smallBytes);
    const count = large === -1 ? this.#pieces.length : Math.max(1, large);
    const taken = this.#pieces.splice(0, count);
    const value = count === 1 ? first : Buffer.concat(taken);
    this.#gathered -= value.length;
    return value;
  }

  #drop(): void {
    this.#pieces = [];
    this.#gathered = 0;
  }
}
