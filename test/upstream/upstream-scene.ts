// The parts of an upstream, put together with short time-outs against servers of the test.
import { createMetrics, type Metrics } from '../../src/observe/metrics.ts';
import { AddressGuard } from '../../src/upstream/address-guard.ts';
import { Attempt } from '../../src/upstream/attempt.ts';
import { Authenticator } from '../../src/upstream/auth/authenticator.ts';
import { Circuit } from '../../src/upstream/circuit.ts';
import type { Credentials, PasswordCredentials } from '../../src/upstream/credentials/credentials.ts';
import { anonymous, fixedLogin, type Login } from '../../src/upstream/credentials/login.ts';
import { Endpoint } from '../../src/upstream/endpoint.ts';
import { Limits } from '../../src/upstream/rate-limit.ts';
import { RegistryClient } from '../../src/upstream/registry-client.ts';
import { Sessions } from '../../src/upstream/sessions.ts';
import { Transport, type TransportOptions, type UpstreamRequest } from '../../src/upstream/transport.ts';
import { type Upstream, UpstreamError } from '../../src/upstream/upstream.ts';
import type { ActiveFault, FaultEffect } from '../support/faults.ts';
import { RecordedServer } from '../support/recorded-server.ts';
import { sendReply } from '../support/reply.ts';
import { contentOf } from '../support/served-content.ts';

export const never = new AbortController().signal;
export const credentials: PasswordCredentials = { username: 'robot', password: 'correct horse' };

/** A login whose password was changed: it brings the good one after the old one was refused. */
export function changedLogin(): Login {
  const old = { ...credentials, password: 'old' };
  let now = old;
  return {
    id: '1',
    credentials: async () => now,
    refused: () => {
      now = credentials;
      return true;
    },
  };
}

export type TransportScene = AsyncDisposable & { readonly transport: Transport; readonly metrics: Metrics };

export function openTransport(options: Partial<TransportOptions> = {}): TransportScene {
  const metrics = createMetrics();
  const transport = new Transport({
    name: 'registry.test',
    label: 'registry.test',
    guard: new AddressGuard({ name: 'registry.test', endpoint: new URL('http://registry.test'), allowPrivate: true }),
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
  /** Instead of `credentials`. */
  readonly login?: Login;
  readonly realms?: readonly string[];
  readonly circuit?: Circuit;
  readonly timeoutMs?: number;
  readonly transport?: Partial<TransportOptions>;
};

export function openAuthenticator(options: AuthenticatorSceneOptions): AuthenticatorScene {
  const scene = openTransport(options.transport);
  const { transport } = scene;
  const authenticator = new Authenticator({
    name: 'registry.test',
    endpoint: new URL(options.endpoint),
    login: options.login ?? (options.credentials ? fixedLogin('1', options.credentials) : anonymous),
    realms: options.realms ?? [],
    circuit: options.circuit ?? new Circuit(),
    transport,
    timeoutMs: options.timeoutMs ?? 10_000,
  });
  return { ...scene, authenticator };
}

/** What a registry is asked, as `Upstream` has it. */
type Questions = Pick<
  Upstream,
  'resolve' | 'fetchManifest' | 'fetchBlob' | 'proveBlob' | 'listTags' | 'fetchReferrers' | 'isPublic'
>;

export type ClientScene = AuthenticatorScene & {
  /** Its questions last for as long as a signal lets them, and for five seconds at most. */
  readonly client: Questions;
  readonly endpoint: Endpoint;
};

/** One endpoint with one login, and nothing around it that would ask again or elsewhere. */
export function openClient(options: AuthenticatorSceneOptions & { readonly answerTimeoutMs?: number }): ClientScene {
  const scene = openAuthenticator(options);
  const { transport, authenticator } = scene;
  const limits = new Limits({ credential: 'anonymous' });
  const endpoint = new Endpoint({
    name: 'registry.test',
    url: new URL(options.endpoint),
    connections: options.transport?.connections ?? 8,
    transport,
    sessions: new Sessions([], { authenticator, limits }),
    circuit: new Circuit(),
    tokenCircuit: options.circuit ?? new Circuit(),
  });
  const attempt = (signal: AbortSignal) =>
    new Attempt(signal, { name: 'upstream registry.test', patienceMs: options.answerTimeoutMs ?? 5000 });
  const registry = new RegistryClient(endpoint);
  const client: Questions = {
    resolve: (path, reference, signal) => registry.resolve(path, reference, attempt(signal)),
    fetchManifest: (path, reference, signal) => registry.fetchManifest(path, reference, attempt(signal)),
    fetchBlob: (path, digest, signal, part) => registry.fetchBlob(path, digest, attempt(signal), part),
    proveBlob: (path, digest, signal) => registry.proveBlob(path, digest, attempt(signal)),
    listTags: (path, page, signal) => registry.listTags(path, page, attempt(signal)),
    fetchReferrers: (path, digest, signal) => registry.fetchReferrers(path, digest, attempt(signal)),
    isPublic: async (path, signal) => (await registry.isPublic(path, attempt(signal))) ?? false,
  };
  return { ...scene, client, endpoint };
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
