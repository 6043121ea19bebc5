// The composition root: the only file that sees every part. Starts from the ends up, stops from the doors down.
import { access, constants } from 'node:fs/promises';
import { probes, type ReadinessCheck } from './admin/probes.ts';
import { readAuthorities, readKeyPair } from './config/pem.ts';
import type { Config, UpstreamConfig } from './config/schema.ts';
import { registryApi } from './http/registry-api.ts';
import { startServer } from './http/server.ts';
import { startHousekeeping } from './jobs/housekeeping.ts';
import { createLog, errorText } from './observe/log.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import { formatRepository } from './oci/repository.ts';
import { type Cache, openCache } from './open-cache.ts';
import { Authenticator } from './upstream/authenticator.ts';
import { RegistryClient } from './upstream/registry-client.ts';
import { Transport } from './upstream/transport.ts';
import { Upstreams } from './upstream/upstreams.ts';

export interface App {
  readonly registryUrl: string;
  readonly adminUrl: string | undefined;
  /** Lets running answers finish for at most 30 s. Idempotent. */
  stop(): Promise<void>;
}

export interface AppOptions {
  /** What the configuration asks for and this version does not do. */
  readonly warnings: readonly string[];
}

const drainMs = 30_000;
/** No client waits longer than this for the head of its answer, whatever an upstream's own time-outs are. */
const longestAnswerMs = 25_000;

/** Throws one error that names what cannot be opened; nothing stays open then. */
export async function startApp(config: Config, { warnings }: AppOptions): Promise<App> {
  const log = await createLog(config.log);
  for (const warning of warnings) log.warn(warning);
  const metrics = createMetrics();
  await using opened = new AsyncDisposableStack();

  const upstreams = await openUpstreams(config, metrics);
  opened.defer(() => upstreams.close());
  const cache = await openCache({
    ...config.cache,
    metrics,
    log,
    ttlMs: config.tags.ttl,
    staleIfErrorMs: config.tags.staleIfError,
    revalidateTimeoutMs: config.tags.revalidateTimeout,
    onStale: ({ upstream, repository }, tag, reason) => {
      metrics.staleServed.inc({ upstream: upstream.name });
      log.warn({ repository: formatRepository(repository), tag, reason: errorText(reason) }, 'an old answer went out');
    },
  });
  opened.use(cache);
  const { mirror } = cache;
  opened.use(startHousekeeping({ ...cache, metrics, log, maxAgeMs: config.cache.maxAge }));

  const registry = await startServer(registryApi({ mirror, upstreams, metrics, log }), {
    host: config.listen.host,
    port: config.listen.port,
    maxConnections: config.listen.maxConnections,
    idleMs: clientIdleMs,
    tls: await readKeyPair(config.listen.tls),
  });
  opened.defer(() => registry.stop(drainMs));
  const checks: ReadinessCheck[] = [
    { name: 'shutdown', check: async () => (stopAsked ? 'the mirror is stopping' : undefined) },
    { name: 'cache', check: () => diskProblem(cache) },
  ];
  const admin =
    config.admin &&
    (await startServer(probes(metrics, checks), {
      ...config.admin,
      maxConnections: adminConnections,
      idleMs: clientIdleMs,
    }));
  log.info({ registry: registry.url, admin: admin?.url, cache: config.cache.dir }, 'listening');

  const parts = opened.move();
  let stopAsked: Promise<void> | undefined;
  const stop = async () => {
    log.info('draining');
    await parts.disposeAsync();
    await admin?.stop(0);
    log.info('stopped');
    await new Promise((resolve) => log.flush(resolve));
  };
  return {
    registryUrl: registry.url,
    adminUrl: admin?.url,
    stop: () => {
      stopAsked ??= stop();
      return stopAsked;
    },
  };
}

/** A disk that became read-only shows before anybody pulls. */
async function diskProblem({ disk, layout }: Cache): Promise<string | undefined> {
  if (disk.problem !== undefined) return `pulls are streamed past the disk: ${disk.problem}`;
  await access(layout.spools, constants.W_OK);
  return undefined;
}

const adminConnections = 1000;
const clientIdleMs = 120_000;

async function openUpstreams(config: Config, metrics: Metrics): Promise<Upstreams> {
  const clients = await Promise.all(
    Object.entries(config.upstreams).map(([name, upstream]) => openUpstream(name, upstream, metrics)),
  );
  return new Upstreams(clients, config.defaultUpstream);
}

async function openUpstream(name: string, upstream: UpstreamConfig, metrics: Metrics): Promise<RegistryClient> {
  const endpoint = new URL(upstream.endpoints[0] ?? `https://${name}`);
  const ca = await readAuthorities(`upstreams.${name}.caFile`, upstream.caFile);
  const transport = new Transport({
    name,
    connections: upstream.connections,
    connectTimeoutMs: upstream.connectTimeout,
    headersTimeoutMs: upstream.headersTimeout,
    idleTimeoutMs: upstream.idleTimeout,
    ca,
    metrics,
  });
  const answerTimeoutMs = Math.min(upstream.headersTimeout, longestAnswerMs);
  const { credentials } = upstream;
  const authenticator = new Authenticator({
    name,
    endpoint,
    transport,
    timeoutMs: answerTimeoutMs,
    credentials: credentials && 'username' in credentials ? credentials : undefined,
  });
  const { parallel } = upstream;
  return new RegistryClient({ name, endpoint, answerTimeoutMs, parallel, transport, authenticator });
}
