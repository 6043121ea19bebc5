// One answer as it arrives: its head, then the body's pieces, a few of which wait here for whoever reads them.
import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { giveBack, joined } from './slabs.ts';

export interface ArrivedHead {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/**
 * What gathers while its reader is busy; more is left on the connection. Each piece that stays one may keep a slab from being
 * used again, however few bytes of it are in it, and each that is joined to others costs the event loop its while.
 */
const mostPieces = 2;
const mostJoined = 1024;
const gatherBytes = 128 * 1024;

/** What undici tells of one request. Its body is read once; whoever leaves it early closes the connection. */
export class Arrival implements Dispatcher.DispatchHandler, AsyncIterableIterator<Uint8Array> {
  readonly head: Promise<ArrivedHead>;
  readonly #head = Promise.withResolvers<ArrivedHead>();
  readonly #signal: AbortSignal;
  #controller: Dispatcher.DispatchController | undefined;
  #pieces: Uint8Array[] = [];
  #gathered = 0;
  /** Since one was last taken. */
  #arrived = 0;
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
      giveBack(chunk);
      if (this.#passing < 0) controller.abort(new Error('more than is worth reading'));
      return;
    }
    if (this.#waiting) {
      this.#settle()?.resolve({ value: chunk, done: false });
      return;
    }
    this.#gather(chunk);
    if (this.#isFull) controller.pause();
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
      if (!this.#isFull) this.#controller?.resume();
      return { value, done: false };
    }
    if (this.#failure) throw this.#failure.reason;
    if (this.#isOver) return { value: undefined, done: true };
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#drop();
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

  get #isFull(): boolean {
    return this.#gathered >= gatherBytes || this.#pieces.length >= mostPieces || this.#arrived >= mostJoined;
  }

  /** As few pieces as can be, for each costs its reader a turn. */
  #gather(chunk: Uint8Array): void {
    this.#gathered += chunk.length;
    this.#arrived++;
    const last = this.#pieces.at(-1);
    const one = last && joined(last, chunk);
    if (one) this.#pieces[this.#pieces.length - 1] = one;
    else this.#pieces.push(chunk);
  }

  #take(): Uint8Array | undefined {
    this.#arrived = 0;
    const piece = this.#pieces.shift();
    this.#gathered -= piece?.length ?? 0;
    return piece;
  }

  #drop(): void {
    for (const piece of this.#pieces) giveBack(piece);
    this.#pieces = [];
    this.#gathered = 0;
  }
}
