// One connection of a load client: requests one after the other, each answer held against what it must be.
import { connectPlain, connectTls, type LoadSocket } from './load-socket.ts';

export type LoadRequest = {
  readonly method?: 'GET' | 'HEAD';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** 200 if not given. */
  readonly status?: number;
  /** Of the Content-Length that a 200 must have; of the body too, but for HEAD. */
  readonly bytes: number;
};

export type Prepared = {
  readonly bytes: Buffer;
  readonly path: string;
  readonly status: number;
  readonly length: number;
  readonly body: number;
};

export type Target = { readonly port: number; readonly tls?: boolean };

export function prepare({ method = 'GET', path, headers = {}, status = 200, bytes }: LoadRequest): Prepared {
  const lines = Object.entries({ host: '127.0.0.1', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  const hasBody = method === 'GET' && status !== 304;
  const text = `${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
  return { bytes: Buffer.from(text), path, status, length: bytes, body: hasBody ? bytes : 0 };
}

const buffer = Buffer.alloc(64 * 1024);
const headEnd = Buffer.from('\r\n\r\n');

export class LoadExchange {
  readonly #target: Target;
  #socket: LoadSocket;
  #request: Prepared | undefined;
  /** The beginning of a head whose end has not come. */
  #begun: Buffer = Buffer.alloc(0);
  #left = 0;
  sentAt = 0;
  firstByteAt = 0;
  /** On this connection. */
  answers = 0;
  /** Of bodies, ever. */
  received = 0;

  constructor(target: Target) {
    this.#target = target;
    this.#socket = open(target);
  }

  get fd(): number {
    return this.#socket.fd;
  }

  get isIdle(): boolean {
    return this.#request === undefined;
  }

  get isInBody(): boolean {
    return this.#request !== undefined && this.firstByteAt > 0 && this.#begun.length === 0;
  }

  /** Opens a new connection in the place of this one. */
  reconnect(): void {
    this.#socket.close();
    this.#socket = open(this.#target);
    this.answers = 0;
  }

  ask(request: Prepared): void {
    this.#request = request;
    this.firstByteAt = 0;
    this.sentAt = performance.now();
    this.#socket.send(request.bytes);
  }

  /** Takes what has come, of a body at most so much besides what comes with its head; true when the answer is whole. Throws when it is not the answer it must be. */
  advance(most = Number.POSITIVE_INFINITY): boolean {
    const request = this.#request;
    if (request === undefined) throw new Error('bytes came that nobody asked for, or the server hung up');
    if (this.firstByteAt === 0 || this.#begun.length > 0) {
      const count = this.#readHead(request);
      if (count === undefined) return false;
      if (count < buffer.length && this.#left > 0) return false;
    }
    if (this.#left > 0 && most > 0) {
      const count = this.#socket.discard(Math.min(this.#left, most));
      if (count === undefined) return false;
      if (count === 0) throw new Error(`${request.path}: closed ${this.#left} bytes short`);
      this.received += count;
      this.#left -= count;
    }
    if (this.#left > 0) return false;
    this.#request = undefined;
    this.answers++;
    return true;
  }

  close(): void {
    this.#socket.close();
  }

  /** `undefined` while it is not whole. */
  #readHead(request: Prepared): number | undefined {
    const count = this.#socket.read(buffer);
    if (count === undefined) return undefined;
    if (count === 0) throw new Error(`${request.path}: closed without an answer`);
    if (this.firstByteAt === 0) this.firstByteAt = performance.now();
    const read = buffer.subarray(0, count);
    const bytes = this.#begun.length === 0 ? read : Buffer.concat([this.#begun, read]);
    const end = bytes.indexOf(headEnd);
    if (end < 0) {
      this.#begun = Buffer.from(bytes);
      return undefined;
    }
    this.#begun = Buffer.alloc(0);
    check(bytes.toString('latin1', 0, end + 2), request);
    const body = bytes.length - end - headEnd.length;
    if (body > request.body) throw new Error(`${request.path}: ${body - request.body} bytes too many`);
    this.received += body;
    this.#left = request.body - body;
    return count;
  }
}

function open(target: Target): LoadSocket {
  return target.tls === true ? connectTls(target.port) : connectPlain(target.port);
}

function check(head: string, request: Prepared): void {
  const status = Number(head.slice(9, 12));
  if (status !== request.status) throw new Error(`${request.path}: ${status} instead of ${request.status}`);
  if (status === 304) return;
  const at = head.search(/content-length: /i);
  const length = at < 0 ? undefined : Number(head.slice(at + 16, head.indexOf('\r', at)));
  if (length !== request.length) throw new Error(`${request.path}: ${length} bytes instead of ${request.length}`);
}
