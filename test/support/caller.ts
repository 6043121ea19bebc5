// Somebody who asks a mirror: from an address of their own on loopback, with what they show to be known by.
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';

export type Heard = {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  readonly totalMs: number;
};

export type Asking = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** In place of the address's own, as it is. */
  readonly path?: string;
};

/** An answer whose head is there and whose body may still be on its way. */
export type Begun = { readonly status: number; readonly rest: Promise<Buffer> };

export class Caller implements Disposable {
  readonly name: string;
  readonly address: string;
  readonly authorization: string | undefined;
  readonly #agent = new Agent({ keepAlive: true });

  /** Guesses are counted by address: nobody is locked out here for what another one did. */
  constructor(name: string, address: string, authorization?: string) {
    this.name = name;
    this.address = address;
    this.authorization = authorization;
  }

  async ask(url: string, asking: Asking = {}): Promise<Heard> {
    const startedAt = performance.now();
    const response = await this.#send(url, asking);
    const body = await read(response);
    const { statusCode: status = 0, headers, rawHeaders } = response;
    return { status, headers, rawHeaders, body, totalMs: performance.now() - startedAt };
  }

  /** By a path that nobody has tidied up, of an answer that may never end: no more than its first piece is read. */
  async glance(origin: string, path: string, method: string): Promise<Omit<Heard, 'totalMs'>> {
    const response = await this.#send(origin, { method, path });
    const { statusCode: status = 0, headers, rawHeaders } = response;
    const { value } = await response[Symbol.asyncIterator]().next();
    response.destroy();
    return { status, headers, rawHeaders, body: value ?? Buffer.alloc(0) };
  }

  /** Settles with the head; the body is read all the same, so that it can end. */
  async begin(url: string, asking: Asking = {}): Promise<Begun> {
    const response = await this.#send(url, asking);
    const rest = read(response);
    rest.catch(() => {});
    return { status: response.statusCode ?? 0, rest };
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  #send(url: string, { method = 'GET', headers = {}, path }: Asking): Promise<IncomingMessage> {
    const shown = this.authorization === undefined ? {} : { authorization: this.authorization };
    return new Promise((resolve, reject) => {
      const sent = request(url, {
        ...{ method, agent: this.#agent, localAddress: this.address },
        ...(path !== undefined && { path }),
        headers: { ...shown, ...headers },
      });
      sent.once('error', reject);
      sent.once('response', resolve);
      sent.end();
    });
  }
}

async function read(response: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece);
  return Buffer.concat(pieces);
}
