// A real HTTP server on loopback that records every request and applies faults before its handler answers.
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type FaultEffect, FaultTable, type RouteKind } from './faults.ts';

export type RecordedRequest = {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly kind: RouteKind;
  readonly headers: IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  status: number;
  /** Body bytes handed to the connection. */
  bytesSent: number;
  isComplete: boolean;
};

export type Exchange = {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly url: URL;
  readonly record: RecordedRequest;
  readonly effect: FaultEffect;
};

export type RequestFilter = {
  readonly method?: string;
  readonly kind?: RouteKind;
  readonly path?: string | RegExp;
};

type Behaviour = {
  kindOf(url: URL): RouteKind;
  handle(exchange: Exchange): Promise<void>;
};

export class RecordedServer implements AsyncDisposable {
  readonly requests: RecordedRequest[] = [];
  readonly faults = new FaultTable();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #greeted = new WeakSet<Socket>();
  #port = 0;

  private constructor(behaviour: Behaviour) {
    // Time-outs off: a gate may hold a request for as long as a test needs.
    this.#server = createServer({ requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 60_000 });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    this.#server.on('request', (request, response) => void this.#answer(behaviour, request, response));
  }

  static async start(behaviour: Behaviour, port = 0): Promise<RecordedServer> {
    const server = new RecordedServer(behaviour);
    await server.#listen(port);
    return server;
  }

  get port(): number {
    return this.#port;
  }

  /** `127.0.0.1:PORT`. */
  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  find({ method, kind, path }: RequestFilter = {}): RecordedRequest[] {
    return this.requests.filter(
      (request) =>
        (method === undefined || request.method === method) &&
        (kind === undefined || request.kind === kind) &&
        (path === undefined || (typeof path === 'string' ? request.path.includes(path) : path.test(request.path))),
    );
  }

  count(filter: RequestFilter = {}): number {
    return this.find(filter).length;
  }

  bytesSent(filter: RequestFilter = {}): number {
    return this.find(filter).reduce((sum, request) => sum + request.bytesSent, 0);
  }

  forget(): void {
    this.requests.length = 0;
  }

  /** Cuts every connection and refuses new ones; the port stays known for `reopen`. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** Whoever asks next has to make a connection first. */
  closeIdleConnections(): void {
    this.#server.closeIdleConnections();
  }

  /** Comes back on the same port after `close`: an outage that ends. */
  async reopen(): Promise<void> {
    await this.#listen(this.#port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #answer(behaviour: Behaviour, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    const url = new URL(path, this.url);
    const method = request.method ?? 'GET';
    const { headers, rawHeaders } = request;
    const kind = behaviour.kindOf(url);
    const record: RecordedRequest = {
      method,
      path,
      kind,
      headers,
      rawHeaders,
      status: 0,
      bytesSent: 0,
      isComplete: false,
    };
    this.requests.push(record);
    response.on('error', () => {});
    const effect = this.faults.apply(record);
    try {
      await this.#roundTrips(effect, request.socket);
      await effect.holdHeaders?.pass();
      if (effect.hangUp) response.destroy();
      if (response.destroyed) return;
      await behaviour.handle({ request, response, url, record, effect });
    } catch (error) {
      if (response.headersSent) response.destroy();
      else response.writeHead(599, { 'content-type': 'text/plain' }).end(`the fake server failed: ${String(error)}`);
    }
  }

  async #roundTrips({ delayMs = 0, connectDelayMs = 0 }: FaultEffect, socket: Socket): Promise<void> {
    const waitMs = delayMs + (this.#greeted.has(socket) ? 0 : connectDelayMs);
    this.#greeted.add(socket);
    if (waitMs > 0) await new Promise<void>((resolve) => setTimeout(resolve, waitMs));
  }
}
