// A TLS listener that answers with the name of its client, and clients of it.
import { once } from 'node:events';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { commonNameOf } from '../../src/http/client-certificate.ts';
import { type RunningServer, type ServerOptions, startServer } from '../../src/http/server.ts';
import type { Pems } from '../../src/http/tls.ts';
import type { Gate } from '../support/gate.ts';
import { RawConnection } from './raw-connection.ts';

export interface TlsListener extends AsyncDisposable {
  readonly server: RunningServer;
  readonly url: string;
  /** Connects with what is given, beyond which any certificate of the server will do. */
  connect(options?: ConnectionOptions): Promise<TlsClient>;
}

/** What `GET /long` brings. */
export const longAnswer = Buffer.alloc(
  8 * 1024 * 1024,
  Uint8Array.from({ length: 251 }, (_, index) => index),
);

export async function startTlsListener(
  tls: Pems,
  { gate, ...options }: Partial<ServerOptions> & { readonly gate?: Gate } = {},
): Promise<TlsListener> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.get('/name', ({ env, text }) => text(nameOf(env)));
  app.get('/held', async ({ env, text }) => {
    await gate?.pass();
    return text(nameOf(env));
  });
  app.get('/long', ({ body }) => body(halfAndHalf(gate), 200, { 'content-length': String(longAnswer.length) }));
  const server = await startServer(app, {
    host: '127.0.0.1',
    port: 0,
    idleMs: 120_000,
    maxConnections: 1000,
    tls,
    ...options,
  });
  const clients: TlsClient[] = [];
  return {
    server,
    url: server.url,
    connect: async (given) => {
      const client = await TlsClient.dial(server.url, given);
      clients.push(client);
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client[Symbol.dispose]();
      await server.stop(0);
    },
  };
}

function nameOf({ incoming }: HttpBindings): string {
  return `[${commonNameOf(incoming.socket) ?? 'nobody'}]`;
}

function halfAndHalf(gate: Gate | undefined): ReadableStream<Uint8Array> {
  const half = longAnswer.length / 2;
  return new ReadableStream({
    async start(controller) {
      controller.enqueue(longAnswer.subarray(0, half));
      await gate?.pass();
      controller.enqueue(longAnswer.subarray(half));
      controller.close();
    },
  });
}

export class TlsClient extends RawConnection {
  readonly tls: TLSSocket;
  /** What it may resume with. */
  session: Buffer | undefined;

  private constructor(tls: TLSSocket) {
    super(tls);
    this.tls = tls;
    tls.on('session', (session) => {
      this.session = session;
    });
  }

  /** Rejects when there is no handshake. */
  static async dial(url: string, options: ConnectionOptions = {}): Promise<TlsClient> {
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false, ...options });
    const client = new TlsClient(socket);
    await once(socket, 'secureConnect');
    return client;
  }

  async name(): Promise<string> {
    const before = this.heard.length;
    this.get('/name');
    for (let answer = ''; ; ) {
      const [, name] = /\[(.*)\]$/.exec(answer) ?? [];
      if (name !== undefined) return name;
      if (this.socket.closed) throw new Error('it ended without an answer');
      await Promise.race([once(this.socket, 'data'), this.closed]);
      answer = this.heard.slice(before);
    }
  }
}
