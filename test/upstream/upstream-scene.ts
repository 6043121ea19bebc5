// The parts of an upstream, put together with short time-outs against servers of the test.
import { createMetrics, type Metrics } from '../../src/observe/metrics.ts';
import { Authenticator } from '../../src/upstream/authenticator.ts';
import type { Credentials } from '../../src/upstream/credentials.ts';
import { RegistryClient } from '../../src/upstream/registry-client.ts';
import { Transport, type TransportOptions, type UpstreamRequest } from '../../src/upstream/transport.ts';
import { UpstreamError } from '../../src/upstream/upstream.ts';
import type { ActiveFault, FaultEffect } from '../support/faults.ts';
import { RecordedServer } from '../support/recorded-server.ts';
import { sendReply } from '../support/reply.ts';
import { contentOf } from '../support/served-content.ts';

export const never = new AbortController().signal;
export const credentials: Credentials = { username: 'robot', password: 'correct horse' };

export type TransportScene = AsyncDisposable & { readonly transport: Transport; readonly metrics: Metrics };

export function openTransport(options: Partial<TransportOptions> = {}): TransportScene {
  const metrics = createMetrics();
  const transport = new Transport({
    name: 'registry.test',
    connections: 8,
    connectTimeoutMs: 1000,
    headersTimeoutMs: 30_000,
    idleTimeoutMs: 30_000,
    ca: undefined,
    metrics,
    ...options,
  });
  return { transport, metrics, [Symbol.asyncDispose]: () => transport.close() };
}

export function get(url: string, more: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return { kind: 'blob', method: 'GET', url: new URL(url), signal: never, ...more };
}

export type AuthenticatorScene = TransportScene & { readonly authenticator: Authenticator };

export type AuthenticatorSceneOptions = {
  readonly endpoint: string;
  readonly credentials?: Credentials;
  readonly timeoutMs?: number;
  readonly transport?: Partial<TransportOptions>;
};

export function openAuthenticator(options: AuthenticatorSceneOptions): AuthenticatorScene {
  const scene = openTransport(options.transport);
  const { transport } = scene;
  const authenticator = new Authenticator({
    name: 'registry.test',
    endpoint: new URL(options.endpoint),
    credentials: options.credentials,
    transport,
    timeoutMs: options.timeoutMs ?? 10_000,
  });
  return { ...scene, authenticator };
}

export type ClientScene = AuthenticatorScene & { readonly client: RegistryClient };

export function openClient(options: AuthenticatorSceneOptions): ClientScene {
  const scene = openAuthenticator(options);
  const { transport, authenticator } = scene;
  const endpoint = new URL(options.endpoint);
  const client = new RegistryClient({
    name: 'registry.test',
    endpoint,
    answerTimeoutMs: 5000,
    parallel: 4,
    transport,
    authenticator,
  });
  return { ...scene, client };
}

/** A server that answers `hello` and does whatever its faults say. */
export function startServer(effect?: FaultEffect): Promise<RecordedServer> {
  return RecordedServer.start({
    kindOf: () => 'other',
    handle: (exchange) => sendReply(exchange, { content: contentOf('hello') }),
  }).then((server) => {
    if (effect) server.faults.add({}, effect);
    return server;
  });
}

/** Answers 307 from `path` to `location`. */
export function redirect(server: RecordedServer, path: string, location: string): ActiveFault {
  return server.faults.add({ path: new RegExp(`^${path}$`) }, { redirect: location });
}

/** The error of what must fail; anything but an `UpstreamError` is thrown on. */
export async function upstreamError(attempt: Promise<unknown>): Promise<UpstreamError> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof UpstreamError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

export async function textOf(body: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body ?? []) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
