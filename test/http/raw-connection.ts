// A connection that says exactly what it is told, from the address it is told, and keeps all that it hears.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';

export class RawConnection implements Disposable {
  readonly socket: Duplex;
  /** Settles with all that was heard, in whatever way the connection ended. */
  readonly closed: Promise<string>;
  readonly #chunks: Buffer[] = [];

  constructor(socket: Duplex) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk));
    socket.on('error', () => {}); // a reset is as good an end as any
    this.closed = new Promise((resolve) => socket.once('close', () => resolve(this.heard)));
  }

  static to(url: string, localAddress = '127.0.0.1'): RawConnection {
    const { hostname, port } = new URL(url);
    return new RawConnection(connect({ host: hostname, port: Number(port), localAddress }));
  }

  get heard(): string {
    return Buffer.concat(this.#chunks).toString('latin1');
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  say(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  get(path = '/', ...headers: readonly string[]): this {
    return this.say(`GET ${path} HTTP/1.1\r\nHost: mirror\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`);
  }

  /** What came in so far, as soon as this is in it; rejects when the connection ends without. */
  async hears(part: string): Promise<string> {
    while (!this.heard.includes(part)) {
      if (this.socket.closed) throw new Error(`it ended with: ${JSON.stringify(this.heard)}`);
      await Promise.race([once(this.socket, 'data'), this.closed]);
    }
    return this.heard;
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
