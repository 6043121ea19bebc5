// A listening server around a hono app: HTTP or HTTPS, bounded, and stopped without breaking a running answer.
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer, type HttpBindings } from '@hono/node-server';
import type { Env, Hono } from 'hono';

export interface ServerOptions {
  readonly host: string;
  readonly port: number;
  /** PEM texts; without them the server speaks plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly maxConnections: number;
  /** A connection on which nothing moves for this long is let go; above the longest wait for an upstream. */
  readonly idleMs: number;
}

export interface RunningServer {
  /** `http://host:port`, with the port that was given out when 0 was asked for. */
  readonly url: string;
  /** Refuses new connections, lets running answers finish, and after `drainMs` cuts what is left. */
  stop(drainMs: number): Promise<void>;
}

const limits = {
  maxHeaderSize: 32 * 1024,
  headersTimeout: 15_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 75_000,
} as const;

/** Throws when the address cannot be had, and says which and why. */
export async function startServer<E extends Env & { Bindings: HttpBindings }>(
  app: Hono<E>,
  { host, port, tls, maxConnections, idleMs }: ServerOptions,
): Promise<RunningServer> {
  const server = createAdaptorServer({
    fetch: app.fetch,
    overrideGlobalObjects: false,
    // HTTP/1.0, as load balancers' health checks speak it, has no Host header.
    hostname: 'localhost',
    ...(tls
      ? { createServer: createTlsServer, serverOptions: { ...limits, ...tls, minVersion: 'TLSv1.2' } }
      : { createServer, serverOptions: limits }),
  }) as Server;
  server.maxConnections = maxConnections;
  server.timeout = idleMs;
  await listen(server, host, port);
  const scheme = tls ? 'https' : 'http';
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    stop: (drainMs) => drain(server, drainMs),
  };
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

async function drain(server: Server, drainMs: number): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  // A connection whose answer ends during the drain turns idle, and node would keep it for its time-out.
  const idle = setInterval(() => server.closeIdleConnections(), 50);
  const end = setTimeout(() => server.closeAllConnections(), drainMs);
  server.closeIdleConnections();
  await closed;
  clearInterval(idle);
  clearTimeout(end);
}
