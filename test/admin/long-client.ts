// A client of answers that go on: it takes a line at a time, says its body when it is told to, and leaves when it likes.
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import type { Asking } from '../http/start-registry.ts';

export class LongClient implements Disposable {
  readonly #outgoing: ClientRequest;
  readonly #head: Promise<IncomingMessage>;
  #lines: AsyncIterator<string> | undefined;

  /** The body is the caller's to end, where there is one. */
  constructor(url: string, path: string, { method = 'GET', headers = {}, body }: Asking = {}) {
    const { hostname, port } = new URL(url);
    this.#outgoing = request({ hostname, port, path, method, headers, agent: false });
    this.#head = new Promise((resolve, reject) => {
      this.#outgoing.once('response', (head) => {
        // Lines end with their input, whatever that ended with.
        head.on('error', () => {});
        resolve(head);
      });
      this.#outgoing.once('error', reject);
    });
    this.#head.catch(() => {});
    this.#outgoing.on('error', () => {}); // whoever waits for the head hears of it
    if (body === undefined) this.#outgoing.flushHeaders();
    else this.#outgoing.end(body);
    if (method === 'GET') this.#outgoing.end();
  }

  static events(url: string): LongClient {
    return new LongClient(url, '/api/v1/events');
  }

  head(): Promise<IncomingMessage> {
    return this.#head;
  }

  /** Resolves once the kernel or our side's memory has it. */
  say(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#outgoing.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  finish(): void {
    this.#outgoing.end();
  }

  /** The next line; `undefined` at the end, in order or not. */
  async line(): Promise<string | undefined> {
    const head = await this.#head;
    this.#lines ??= createInterface({ input: head })[Symbol.asyncIterator]();
    const { done, value } = await this.#lines.next();
    return done ? undefined : value;
  }

  async json(): Promise<unknown> {
    const line = await this.line();
    return line === undefined ? undefined : JSON.parse(line);
  }

  /** Of an event stream: its name and data, without what is none. */
  async event(): Promise<readonly [string, unknown] | undefined> {
    for (let line = await this.line(); line !== undefined; line = await this.line()) {
      if (!line.startsWith('event: ')) continue;
      const data = await this.line();
      return [line.slice('event: '.length), JSON.parse(data?.slice('data: '.length) ?? 'null')];
    }
    return undefined;
  }

  async rest(): Promise<unknown[]> {
    const lines: unknown[] = [];
    for (let line = await this.json(); line !== undefined; line = await this.json()) lines.push(line);
    return lines;
  }

  leave(): void {
    this.#outgoing.destroy();
  }

  [Symbol.dispose](): void {
    this.leave();
  }
}
