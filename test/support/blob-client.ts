// One client pulling one blob over a connection of its own, checked against what it should be while it arrives.
import { type Agent, type ClientRequest, type IncomingMessage, request } from 'node:http';
import { holdsAt, type ServedContent } from './served-content.ts';

export type PullOptions = {
  readonly content: ServedContent;
  readonly headers?: Readonly<Record<string, string>>;
  /** Connections to use again; without, each client has its own. */
  readonly agent?: Agent;
  /** Asks for a range from here, to the end of the content or to `end` (exclusive). */
  readonly start?: number;
  readonly end?: number;
  /** Hangs up by itself once that many bytes have come. */
  readonly hangUpAfter?: number;
  /** Reads no faster than this. */
  readonly bytesPerSecond?: number;
};

export type PullResult = {
  readonly status: number;
  readonly contentLength: number;
  readonly received: number;
  /** Every byte so far was the right one for its place: with all of them received, the digest is right. */
  readonly isTrue: boolean;
  /** The answer ended in order, with as many bytes as it had promised. */
  readonly isComplete: boolean;
  readonly headers: IncomingMessage['headers'];
  /** From the request to the first body byte, and to the end. */
  readonly firstByteMs: number;
  readonly totalMs: number;
};

export class BlobClient {
  /** Settles with the first body byte; rejects when none ever comes. */
  readonly firstByte: Promise<void>;
  readonly done: Promise<PullResult>;
  readonly #request: ClientRequest;
  readonly #start: number;
  #received = 0;

  constructor(url: string, options: PullOptions) {
    const { content, headers = {}, agent = false, start = 0, end, hangUpAfter = Infinity, bytesPerSecond } = options;
    const isRanged = options.start !== undefined || end !== undefined;
    const range = isRanged ? { range: `bytes=${start}-${end === undefined ? '' : end - 1}` } : {};
    this.#start = start;
    const startedAt = performance.now();
    let firstByteMs = Infinity;
    this.#request = request(url, { agent, headers: { ...range, ...headers } });
    const first = Promise.withResolvers<void>();
    this.firstByte = first.promise;
    this.firstByte.catch(() => {});
    this.done = new Promise((resolve, reject) => {
      this.#request.once('error', (error) => {
        first.reject(error);
        reject(error);
      });
      this.#request.once('response', (response) => {
        let isTrue = true;
        response.on('data', (chunk: Buffer) => {
          if (this.#received === 0) firstByteMs = performance.now() - startedAt;
          isTrue &&= holdsAt(content, this.#start + this.#received, chunk);
          this.#received += chunk.length;
          first.resolve();
          if (this.#received >= hangUpAfter) this.hangUp();
          else if (bytesPerSecond !== undefined) pause(response, (chunk.length / bytesPerSecond) * 1000);
        });
        response.on('error', () => {});
        response.once('close', () => {
          first.reject(new Error('the answer had no body'));
          resolve({
            status: response.statusCode ?? 0,
            contentLength: Number(response.headers['content-length'] ?? -1),
            received: this.#received,
            isTrue,
            isComplete: response.complete,
            headers: response.headers,
            firstByteMs,
            totalMs: performance.now() - startedAt,
          });
        });
      });
    });
    this.done.catch(() => {});
    this.#request.end();
  }

  get received(): number {
    return this.#received;
  }

  /** Closes the connection in the middle of whatever it does. */
  hangUp(): void {
    this.#request.destroy();
  }
}

function pause(response: IncomingMessage, forMs: number): void {
  response.pause();
  setTimeout(() => response.resume(), forMs);
}
