// One client pulling one blob over a connection of its own, checked against what it should be while it arrives.
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { holdsAt, type ServedContent } from './served-content.ts';

export type PullOptions = {
  readonly content: ServedContent;
  readonly headers?: Readonly<Record<string, string>>;
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
};

export class BlobClient {
  /** Settles with the first body byte; rejects when none ever comes. */
  readonly firstByte: Promise<void>;
  readonly done: Promise<PullResult>;
  readonly #request: ClientRequest;
  #received = 0;

  constructor(url: string, { content, headers = {}, bytesPerSecond }: PullOptions) {
    this.#request = request(url, { agent: false, headers });
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
          isTrue &&= holdsAt(content, this.#received, chunk);
          this.#received += chunk.length;
          first.resolve();
          if (bytesPerSecond !== undefined) pause(response, (chunk.length / bytesPerSecond) * 1000);
        });
        response.on('error', () => {});
        response.once('close', () => {
          first.reject(new Error('the answer had no body'));
          const contentLength = Number(response.headers['content-length'] ?? -1);
          const { statusCode: status = 0, headers: answered, complete: isComplete } = response;
          resolve({ status, contentLength, received: this.#received, isTrue, isComplete, headers: answered });
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
