// A listening registry over a mirror and fake upstreams, and a client that sends exactly what it is told.
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import type { Exposure } from '../../src/access/access.ts';
import type { Accel } from '../../src/http/accel.ts';
import { registryListener } from '../../src/http/registry-api.ts';
import { openSendfile } from '../../src/http/sendfile.ts';
import { type RunningServer, startServer } from '../../src/http/server.ts';
import { type AccessSettings, lastingAccess, openAccess } from '../../src/open-access.ts';
import { type StartedMirror, type StartMirrorOptions, startMirror } from '../mirror/start-mirror.ts';
import { type FakeUpstream, type FakeUpstreamOptions, startFakeUpstream } from '../support/fake-upstream.ts';

export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** The answer ended in order, with as many bytes as it had promised. */
  readonly isComplete: boolean;
}

export interface StartedRegistry extends AsyncDisposable {
  readonly url: string;
  readonly server: RunningServer;
  readonly mirror: StartedMirror;
  /** How many requests were answered ahead of the app so far. */
  readonly answeredBefore: number;
  ask(path: string, asking?: Asking): Promise<Answer>;
}

export interface StartRegistryOptions extends StartMirrorOptions {
  /** Everybody may pull everything, unless it says something else. */
  readonly access?: Partial<AccessSettings>;
  /** By the name of the upstream; nothing that others may not see, if not given. */
  readonly exposures?: Readonly<Record<string, Exposure>>;
  readonly mostInFlight?: number;
  readonly mostHot?: number;
  readonly accel?: Accel;
  readonly idleMs?: number;
  /** Without the answers that are given again ahead of the app. */
  readonly isOrdinary?: boolean;
}

/** As src/app.ts opens it, but that nobody comes before it. */
const { sendfile } = await openSendfile(import.meta.filename);

export async function startRegistry(options: StartRegistryOptions): Promise<StartedRegistry> {
  await using opened = new AsyncDisposableStack();
  const mirror = opened.use(await startMirror(options));
  const { access, proxies, begin } = opened.use(
    await openAccess(
      { ...openToAll, ...options.access },
      { ...mirror, ...lastingAccess(mirror.log), watch: () => ({ [Symbol.dispose]: () => {} }) },
    ),
  );
  begin();
  const exposureOf = (name: string) => options.exposures?.[name] ?? 'nothing';
  const { mostInFlight = 1000, idleMs = 120_000 } = options;
  const { app, before } = registryListener({
    ...mirror,
    access,
    proxies,
    exposureOf,
    mostInFlight,
    mostHot: options.mostHot,
    accel: options.accel,
    sendfile: () => sendfile,
  });
  let answeredBefore = 0;
  const counted: typeof before = (incoming, outgoing) => {
    const isAnswered = before(incoming, outgoing);
    if (isAnswered) answeredBefore++;
    return isAnswered;
  };
  const server = await startServer(app, {
    before: options.isOrdinary ? undefined : counted,
    host: '127.0.0.1',
    port: 0,
    idleMs,
    maxConnections: 1000,
  });
  opened.defer(() => server.stop(0));
  const all = opened.move();
  return {
    url: server.url,
    server,
    mirror,
    ask: (path, asking) => ask(server.url, path, asking),
    get answeredBefore() {
      return answeredBefore;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const openToAll: AccessSettings = { anonymous: 'pull', rules: [], trustedProxies: [] };

export interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly registry: StartedRegistry;
  ask(path: string, asking?: Asking): Promise<Answer>;
}

/** One upstream, known as docker.io, and a registry that mirrors it. */
export async function scene(
  options: Partial<StartRegistryOptions> = {},
  upstreamOptions: FakeUpstreamOptions = {},
): Promise<Scene> {
  const upstream = await startFakeUpstream(upstreamOptions);
  const registry = await startRegistry({ upstreams: { 'docker.io': upstream }, ...options });
  return {
    upstream,
    registry,
    ask: registry.ask,
    [Symbol.asyncDispose]: async () => {
      await registry[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** Sends the path as it is, over a connection of its own. Rejects when no answer begins. */
export function ask(url: string, path: string, { method = 'GET', headers = {}, body }: Asking = {}): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => {});
      response.once('close', () => {
        const { statusCode: status = 0, headers: answered, complete: isComplete } = response;
        resolve({ status, headers: answered, body: Buffer.concat(chunks), isComplete });
      });
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

/** Writes these bytes to a fresh connection and gives all that comes back until it is closed. */
export function sendRaw(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(Number(port), hostname, () => socket.write(text, 'latin1'));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('error', reject);
    socket.once('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

/** What the OCI error body says, as `CODE: message`. */
export function errorOf({ body }: Answer): string {
  const { errors } = JSON.parse(body.toString()) as { errors: { code: string; message: string }[] };
  return errors.map(({ code, message }) => `${code}: ${message}`).join('; ');
}

/** The header fields of an answer that say something about it, without those of the connection and the clock. */
export function meaningOf({ headers }: Answer): IncomingHttpHeaders {
  const { date: _, connection: _connection, 'keep-alive': _keepAlive, ...meaning } = headers;
  return meaning;
}
