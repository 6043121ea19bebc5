// A client on a raw connection: it says exactly what it is told and takes the answers apart itself, each byte held against what it should be.
import { connect, type Socket } from 'node:net';
import { holdsAt, type ServedContent } from './served-content.ts';

export type RawRequest = {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Expected = {
  /** Of the request: what answers a HEAD has no body, whatever its length says. */
  readonly method?: string;
  /** What the body must be, from `start` on; without it the body is kept. */
  readonly content?: ServedContent;
  readonly start?: number;
};

export type RawAnswer = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty where the body was compared instead. */
  readonly body: Buffer;
  readonly received: number;
  /** Every byte was the right one for its place. */
  readonly isTrue: boolean;
  /** As many bytes came as the head had promised. */
  readonly isComplete: boolean;
};

export function requestText({ method = 'GET', path, headers = {} }: RawRequest): string {
  const fields = Object.entries({ Host: 'mirror', ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${fields.join('')}\r\n`;
}

export class RawClient implements Disposable {
  readonly #socket: Socket;
  readonly #pieces: AsyncIterator<Buffer>;
  #held: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => {}); // a reset is as good an end as any
    this.#pieces = socket[Symbol.asyncIterator]();
  }

  static to(url: string, localAddress = '127.0.0.1'): RawClient {
    const { hostname, port } = new URL(url);
    return new RawClient(connect({ host: hostname, port: Number(port), localAddress }));
  }

  say(text: string): this {
    this.#socket.write(text, 'latin1');
    return this;
  }

  ask(...requests: readonly RawRequest[]): this {
    return this.say(requests.map(requestText).join(''));
  }

  /** The head of the next answer has come; its body is the caller's to take. Rejects when the connection ends before. */
  async begin({ method = 'GET', content, start = 0 }: Expected = {}): Promise<RawBody> {
    let end = this.#held.indexOf('\r\n\r\n');
    while (end === -1) {
      const piece = await this.#arriving();
      if (piece === undefined) throw new Error(`it ended before an answer: ${JSON.stringify(this.#held.toString())}`);
      this.#held = Buffer.concat([this.#held, piece]);
      end = this.#held.indexOf('\r\n\r\n');
    }
    const [first = '', ...lines] = this.#held.toString('latin1', 0, end).split('\r\n');
    this.putBack(this.#held.subarray(end + 4));
    const [, status] = /^HTTP\/1\.1 (\d{3}) /.exec(first) ?? [];
    if (status === undefined) throw new Error(`no status line, but ${JSON.stringify(first.slice(0, 200))}`);
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    return new RawBody(this, { status: Number(status), headers, isEmpty: method === 'HEAD', content, start });
  }

  async answer(expected: Expected = {}): Promise<RawAnswer> {
    return (await this.begin(expected)).rest();
  }

  /** Says that it will say no more, and goes on listening. */
  finish(): this {
    this.#socket.end();
    return this;
  }

  /** All that comes until the mirror ends the connection. */
  async untilClosed(): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let piece = await this.piece(); piece; piece = await this.piece()) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  hangUp(how: 'close' | 'reset' = 'close'): void {
    if (how === 'reset') this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** What comes next, whatever it belongs to; `undefined` at the end. */
  async piece(): Promise<Buffer | undefined> {
    const held = this.#held;
    this.#held = Buffer.alloc(0);
    return held.length > 0 ? held : await this.#arriving();
  }

  /** Behind what is held. */
  async #arriving(): Promise<Buffer | undefined> {
    return await this.#pieces.next().then(
      ({ done, value }) => (done ? undefined : value),
      () => undefined,
    );
  }

  putBack(bytes: Buffer): void {
    this.#held = bytes;
  }

  [Symbol.dispose](): void {
    this.hangUp();
  }
}

type Head = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly isEmpty: boolean;
  readonly content: ServedContent | undefined;
  readonly start: number;
};

export class RawBody {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Promised by the head. */
  readonly length: number;
  readonly #client: RawClient;
  readonly #content: ServedContent | undefined;
  readonly #start: number;
  readonly #kept: Buffer[] = [];
  #received = 0;
  #isTrue = true;

  constructor(client: RawClient, { status, headers, isEmpty, content, start }: Head) {
    if (headers['transfer-encoding'] !== undefined) throw new Error('an answer of unknown length');
    this.status = status;
    this.headers = headers;
    const isWithout = isEmpty || status === 304 || status < 200;
    this.length = isWithout ? 0 : Number(headers['content-length'] ?? Number.POSITIVE_INFINITY);
    this.#client = client;
    // The words of an error are not the content.
    this.#content = status === 200 || status === 206 ? content : undefined;
    this.#start = start;
  }

  get received(): number {
    return this.#received;
  }

  get isTrue(): boolean {
    return this.#isTrue;
  }

  /** Reads so many bytes more, and leaves the rest with the kernel; false when the body ended or broke off before. */
  async take(bytes: number): Promise<boolean> {
    const goal = Math.min(this.length, this.#received + bytes);
    while (this.#received < goal) {
      const piece = await this.#client.piece();
      if (piece === undefined) return false;
      const own = piece.subarray(0, goal - this.#received);
      if (own.length < piece.length) this.#client.putBack(piece.subarray(own.length));
      if (this.#content) this.#isTrue &&= holdsAt(this.#content, this.#start + this.#received, own);
      else this.#kept.push(own);
      this.#received += own.length;
    }
    return true;
  }

  async rest(): Promise<RawAnswer> {
    await this.take(Number.POSITIVE_INFINITY);
    const { status, headers, length } = this;
    const [received, isTrue] = [this.#received, this.#isTrue];
    const isComplete = received === length || length === Number.POSITIVE_INFINITY;
    return { status, headers, body: Buffer.concat(this.#kept), received, isTrue, isComplete };
  }
}
