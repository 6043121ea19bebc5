// An answer that goes on for as long as a job does: a line at a time or bytes, never faster than its reader, never silent.
import type { ServerResponse } from 'node:http';

export interface LongAnswerOptions {
  readonly type: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is said when nothing else was for this long; without a text, nothing. */
  readonly heartbeat?: string | undefined;
  readonly heartbeatMs: number;
  /** Fires when nobody needs the answer any more. */
  readonly signal: AbortSignal;
}

/** Of what a reader has not taken; beyond it the reader is let go. */
const mostWaiting = 10_000;

export class LongAnswer {
  readonly #outgoing: ServerResponse;
  readonly #waiting = new Map<string | symbol, string>();
  readonly #heartbeat: NodeJS.Timeout | undefined;
  readonly #signal: AbortSignal;

  /** The head leaves at once. */
  constructor(outgoing: ServerResponse, { type, headers, heartbeat, heartbeatMs, signal }: LongAnswerOptions) {
    this.#outgoing = outgoing;
    this.#signal = signal;
    outgoing.on('drain', () => this.#flush());
    // Proxies that collect an answer before they pass it on would keep what is said until the job is over.
    outgoing.writeHead(200, { 'content-type': type, 'x-accel-buffering': 'no', ...headers });
    outgoing.flushHeaders();
    if (heartbeat !== undefined)
      this.#heartbeat = setTimeout(() => this.send(heartbeat, 'heartbeat'), heartbeatMs).unref();
  }

  /** Where the reader is behind, it takes the place of an earlier one of the same key; a reader that is far behind is cut. */
  send(text: string, key: string | symbol = Symbol()): void {
    const outgoing = this.#outgoing;
    if (outgoing.destroyed || outgoing.writableEnded) return;
    this.#heartbeat?.refresh();
    if (!outgoing.writableNeedDrain && this.#waiting.size === 0) return void outgoing.write(text);
    this.#waiting.delete(key);
    this.#waiting.set(key, text);
    if (this.#waiting.size > mostWaiting) this.cut();
  }

  /** Resolves when there is room for more. Rejects once nobody reads any more. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#signal.throwIfAborted();
    if (this.#outgoing.write(bytes)) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = () => reject(this.#signal.reason);
    this.#signal.addEventListener('abort', leave, { once: true });
    this.#outgoing.once('drain', resolve);
    try {
      await promise;
    } finally {
      this.#signal.removeEventListener('abort', leave);
      this.#outgoing.off('drain', resolve);
    }
  }

  end(): void {
    clearTimeout(this.#heartbeat);
    for (const text of this.#waiting.values()) this.#outgoing.write(text);
    this.#waiting.clear();
    this.#outgoing.end();
  }

  /** What was said so far is not to be taken for the whole. */
  cut(): void {
    this.#waiting.clear();
    this.#outgoing.destroy();
  }

  #flush(): void {
    for (const [key, text] of this.#waiting) {
      if (this.#outgoing.writableNeedDrain) return;
      this.#waiting.delete(key);
      this.#outgoing.write(text);
    }
  }
}
