// A listening admin app over an index in memory and upstreams that are never asked, and a client that sends what it is told.
import pino from 'pino';
import { Lockout } from '../../src/access/lockout.ts';
import { nobody, type Principal } from '../../src/access/principal.ts';
import { type AdminAppOptions, adminApp } from '../../src/admin/admin-app.ts';
import { startServer } from '../../src/http/server.ts';
import { formatReference } from '../../src/oci/reference.ts';
import { formatRepository } from '../../src/oci/repository.ts';
import { Records } from '../../src/store/records.ts';
import { offlineUpstream } from '../../src/upstream/offline-upstream.ts';
import { Upstreams } from '../../src/upstream/upstreams.ts';
import { type Answer, type Asking, ask, sendRaw } from '../http/start-registry.ts';
import { fakeMirror } from './fake-mirror.ts';

export interface StartAdminOptions extends Partial<AdminAppOptions> {
  readonly logLevel?: string;
}

export interface StartedAdmin extends AsyncDisposable {
  readonly url: string;
  readonly records: Records;
  readonly logLines: Readonly<Record<string, unknown>>[];
  /** Of the lockout. */
  pass(seconds: number): void;
  ask(path: string, asking?: Asking): Promise<Answer>;
  /** The status of a raw request, whose head is these lines. */
  statusOf(...head: string[]): Promise<number>;
  /** As `registry/path reference`. */
  pins(): string[];
  audit(): Readonly<Record<string, unknown>>[];
  /** Settles with the first line of the audit. */
  readonly audited: Promise<void>;
}

/** By the Authorization header `Known NAME`, as any of the ways to be known might do it. */
export function knownByHeader({ authorization }: { authorization: string | undefined }): Principal {
  const [, name] = /^Known (.*)$/.exec(authorization ?? '') ?? [];
  return name === undefined ? nobody : { name, by: 'password' };
}

export const closedToAll = { host: '0.0.0.0', identify: knownByHeader } as const;

export async function startAdmin({ logLevel = 'info', ...options }: StartAdminOptions = {}): Promise<StartedAdmin> {
  const logLines: Readonly<Record<string, unknown>>[] = [];
  const { promise: audited, resolve: hearAudit } = Promise.withResolvers<void>();
  const write = (line: string) => {
    const fields = JSON.parse(line);
    logLines.push(fields);
    if (fields.audit === true) hearAudit();
  };
  const log = pino({ base: null, level: logLevel }, { write });
  const records = new Records(':memory:');
  const upstreams = new Upstreams(
    [
      { upstream: offlineUpstream({ name: 'docker.io' }) },
      { upstream: offlineUpstream({ name: 'registry.test:5000' }), deny: ['secret/**'] },
    ],
    'docker.io',
  );
  let now = 0;
  const mirror = fakeMirror();
  const app = adminApp({
    ...mirror,
    host: '127.0.0.1',
    protectMetrics: false,
    identify: () => nobody,
    addressOf: (peer) => peer,
    lockout: new Lockout({ now: () => now }),
    ...{ records, log },
    upstreams: () => upstreams,
    ...options,
  });
  const server = await startServer(app, {
    host: '127.0.0.1',
    port: 0,
    maxConnections: 1000,
    idleMs: 60_000,
    isPatientWithBodies: true,
  });
  const { running = mirror.running } = options;
  return {
    url: server.url,
    records,
    logLines,
    pass: (seconds) => {
      now += seconds * 1000;
    },
    ask: (path, asking) => ask(server.url, path, asking),
    statusOf: async (...head) => {
      const answer = await sendRaw(server.url, `${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n`);
      return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
    },
    pins: () =>
      records
        .pins()
        .map(({ repository, reference }) => `${formatRepository(repository)} ${formatReference(reference)}`),
    audited,
    audit: () => logLines.filter(({ audit }) => audit === true),
    [Symbol.asyncDispose]: async () => {
      await running[Symbol.asyncDispose]();
      await server.stop(0);
      records.close();
    },
  };
}

/** What the JSON body of a refusal says. */
export function why({ body }: Answer): string {
  return (JSON.parse(body.toString()) as { error: string }).error;
}

export function bearer(token: string): Asking {
  return { headers: { authorization: `Bearer ${token}` } };
}

export function basic(user: string, password: string): Asking {
  return { headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` } };
}
