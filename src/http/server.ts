// A listening server around a hono app: HTTP or HTTPS, bounded, and stopped without breaking a running answer.
import {
  createServer,
  type ServerOptions as HttpOptions,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import type { Env, Hono } from 'hono';
import { ConnectionLimits, type ConnectionLimitsOptions } from './connection-limits.ts';
import { RequestLimits } from './request-limits.ts';
import { ListenerTls, type Pems, tlsOptions } from './tls.ts';

export interface Answers {
  /** Of a hono app. */
  readonly fetch: Parameters<typeof getRequestListener>[0];
  /** Whether it has answered a request that is within the limits; the app hears of the others, and of one at which it failed. */
  readonly before?: ((incoming: IncomingMessage, outgoing: ServerResponse) => boolean) | undefined;
}

export interface ServerOptions extends ConnectionLimitsOptions {
  readonly host: string;
  readonly port: number;
  /** Without it the server speaks plain HTTP. */
  readonly tls?: Pems | undefined;
  readonly maxConnections: number;
  /** A connection on which nothing moves for this long is let go; above the longest wait for an upstream. */
  readonly idleMs: number;
  /** How long a client may take for a TLS handshake, and for the head of a request; twice as long for its body too. */
  readonly headMs?: number | undefined;
  /** Where bodies are read: however long one takes, as long as it moves. */
  readonly isPatientWithBodies?: boolean | undefined;
  readonly before?: Answers['before'];
}

export interface RunningServer {
  /** `http://host:port`, with the port that was given out when 0 was asked for. */
  readonly url: string;
  /** For requests that come from now on; those that run go on as they began. */
  use(answers: Answers): void;
  /**
   * For new connections; open ones go on, but those whose client was proven by other authorities end with their running
   * answer. Throws, and keeps what it had, when the texts cannot be used.
   */
  useTls(pems: Pems): void;
  /** Refuses new connections, lets running answers finish, and after `drainMs` cuts what is left. */
  stop(drainMs: number): Promise<void>;
}

const usualHeadMs = 15_000;

/** Throws when the address cannot be had, and says which and why. */
export async function startServer<E extends Env & { Bindings: HttpBindings }>(
  app: Hono<E>,
  {
    host,
    port,
    tls,
    maxConnections,
    idleMs,
    headMs = usualHeadMs,
    isPatientWithBodies,
    before,
    ...limits
  }: ServerOptions,
): Promise<RunningServer> {
  let answer = answerOf({ fetch: app.fetch, before });
  const { server, secure } = createListener({ headMs, requestMs: isPatientWithBodies ? 0 : 2 * headMs }, tls);
  const connections = new ConnectionLimits(limits);
  admitOnly(server, (socket) => connections.admit(socket));
  new RequestLimits((incoming, outgoing) => answer(incoming, outgoing)).guard(server);
  server.maxConnections = maxConnections;
  server.timeout = idleMs;
  await listen(server, host, port);
  const scheme = tls ? 'https' : 'http';
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    use: (answers) => {
      answer = answerOf(answers);
    },
    useTls: (pems) => {
      if (!secure) throw new Error('a listener that speaks plain HTTP takes no certificate; restart with listen.tls');
      secure.use(pems);
    },
    stop: (drainMs) => drain(server, connections, drainMs),
  };
}

function answerOf({ fetch, before }: Answers): RequestListener {
  // HTTP/1.0, as load balancers' health checks speak it, has no Host header.
  const answer = getRequestListener(fetch, { overrideGlobalObjects: false, hostname: 'localhost' });
  if (!before) return answer;
  return (incoming, outgoing) => {
    try {
      if (before(incoming, outgoing)) return;
    } catch {
      // One request is not worth the process, and half an answer can only be cut.
      if (outgoing.headersSent) return void outgoing.destroy();
    }
    answer(incoming, outgoing);
  };
}

function createListener(
  { headMs, requestMs }: { readonly headMs: number; readonly requestMs: number },
  tls: Pems | undefined,
): { readonly server: Server; readonly secure?: ListenerTls } {
  const bounds: HttpOptions = {
    maxHeaderSize: 32 * 1024,
    headersTimeout: headMs,
    requestTimeout: requestMs,
    // node looks at its time-outs twice a minute otherwise.
    connectionsCheckingInterval: Math.min(headMs, 1000),
    keepAliveTimeout: 75_000,
  };
  if (!tls) return { server: createServer(bounds) };
  const server: TlsServer = createTlsServer({ ...bounds, ...tlsOptions(tls), handshakeTimeout: headMs });
  return { server, secure: new ListenerTls(server, tls) };
}

/** Whoever listens for connections hears of those only that may stay. */
function admitOnly(server: Server, mayStay: (socket: Socket) => boolean): void {
  const listeners = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    if (mayStay(socket)) for (const listener of listeners) listener.call(server, socket);
    else socket.destroy();
  });
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen(port, host, listening.resolve);
  try {
    await listening.promise;
  } catch (cause) {
    throw new Error(`cannot listen on ${host} port ${port}: ${reason(cause as NodeJS.ErrnoException)}`, { cause });
  }
  server.off('error', listening.reject);
}

function reason({ code, message }: NodeJS.ErrnoException): string {
  if (code === 'EADDRINUSE') return 'another program uses it; stop that one or choose another port';
  if (code === 'EACCES') return 'this user may not; choose a port above 1023';
  if (code === 'EADDRNOTAVAIL') return 'this machine has no such address';
  return message;
}

async function drain(server: Server, connections: ConnectionLimits, drainMs: number): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  // A connection whose answer ends during the drain turns idle, and node would keep it for its time-out.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const end = setTimeout(() => connections.closeAll(), drainMs);
  server.closeIdleConnections();
  connections.closeSilent();
  await closed;
  clearInterval(idle);
  clearTimeout(end);
}
