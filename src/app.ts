// The composition root: the only file that sees every part. Starts from the ends up, stops from the doors down.
import { access, constants } from 'node:fs/promises';
import { Lockout } from './access/lockout.ts';
import { adminApp } from './admin/admin-app.ts';
import type { ReadinessCheck } from './admin/probes.ts';
import { ConfigError } from './config/config-error.ts';
import { exposureOf } from './config/exposure.ts';
import { readAuthorities, readKeyPair } from './config/pem.ts';
import type { Config, UpstreamConfig } from './config/schema.ts';
import { watchFiles } from './config/watch.ts';
import { registryListener } from './http/registry-api.ts';
import { openSendfile, type Sendfile } from './http/sendfile.ts';
import { type RunningServer, startServer } from './http/server.ts';
import { startHousekeeping } from './jobs/housekeeping.ts';
import type { TagPolicyOptions, TagTimes } from './mirror/tag-policy.ts';
import { createLog, errorText, type Log } from './observe/log.ts';
import { createMetrics, type Metrics } from './observe/metrics.ts';
import { formatRepository } from './oci/repository.ts';
import { openAccess } from './open-access.ts';
import { type Cache, openCache } from './open-cache.ts';
import { offlineUpstream } from './upstream/offline-upstream.ts';
import { openUpstream } from './upstream/open-upstream.ts';
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
/** The rest is for telling the client. */
const ofHeadersTimeout = 0.98;

/** Throws one error that names what cannot be opened; nothing stays open then. */
export async function startApp(config: Config, { warnings }: AppOptions): Promise<App> {
  const log = await createLog(config.log);
  for (const warning of warnings) log.warn(warning);
  const metrics = createMetrics();
  await using opened = new AsyncDisposableStack();

  const upstreams = await openUpstreams(config, metrics, log);
  opened.defer(() => upstreams.close());
  const cache = await openCache({
    ...config.cache,
    metrics,
    log,
    mayShare: isOpenToAll(config),
    tags: tagPolicyOf(config),
    onStale: ({ upstream, repository }, tag, reason) => {
      metrics.staleServed.inc({ upstream: upstream.label });
      log.warn({ repository: formatRepository(repository), tag, reason: errorText(reason) }, 'an old answer went out');
    },
  });
  opened.use(cache);
  const { mirror } = cache;
  opened.use(startHousekeeping({ ...cache, metrics, log, maxAgeMs: config.cache.maxAge }));

  const { access, proxies } = opened.use(
    await openAccess(
      { ...config.access, ...config.listen, staleMs: config.offline ? undefined : config.tags.staleIfError },
      { records: cache.records, log, watch },
    ).catch((cause: Error) => {
      throw new ConfigError(cause.message, { cause });
    }),
  );
  const addressOf = (peer: string, forwardedFor: string | undefined) => proxies.clientOf({ peer, forwardedFor });
  const { tls, maxConnections, accel } = config.listen;
  const perAddress = Math.max(1, Math.floor(maxConnections / shareOfAddress));
  const isTrusted = (address: string) => proxies.isTrusted(address);
  const { app, before } = registryListener({
    mirror,
    upstreams,
    metrics,
    log,
    access,
    proxies,
    exposureOf: (name) => exposureOf(config, name),
    mostInFlight: perAddress,
    accel: accel === undefined ? undefined : { prefix: accel, isTrusted },
    sendfile: tls ? undefined : sendfileLater(cache, log),
  });
  const registry = await startServer(app, {
    ...config.listen,
    before,
    perAddress,
    isExempt: isTrusted,
    onCrowded: (address) => log.warn({ address, perAddress }, 'connections of one address are closed: it has too many'),
    idleMs: clientIdleMs,
    tls: await readKeyPair(tls),
  });
  opened.defer(() => registry.stop(drainMs));
  if (tls) opened.use(followKeyPair(tls, registry, log));
  const checks: ReadinessCheck[] = [
    { name: 'shutdown', check: async () => (stopAsked ? 'the mirror is stopping' : undefined) },
    { name: 'cache', check: () => diskProblem(cache) },
  ];
  const admin =
    config.admin &&
    (await startServer(
      adminApp({
        ...config.admin,
        metrics,
        checks,
        upstreams,
        records: cache.records,
        log,
        identify: (caller) => access.identify(caller),
        lockout: new Lockout({
          onLocked: (address) =>
            log.warn(
              { address },
              'too many wrong credentials: the admin listener hears nobody from there for a minute',
            ),
        }),
        addressOf,
      }),
      { ...config.admin, tls: undefined, maxConnections: adminConnections, idleMs: clientIdleMs },
    ));
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

/** Of all connections, and of all requests in flight: what one address may have. */
const shareOfAddress = 4;

/** Whoever comes before it is there is served by copying. */
function sendfileLater({ layout }: Cache, log: Log): () => Sendfile | undefined {
  let sendfile: Sendfile | undefined;
  void openSendfile(layout.tag).then((opened) => {
    sendfile = opened.sendfile;
    if (!opened.sendfile) log.info({ why: opened.why }, 'blobs are sent by copying');
  });
  return () => sendfile;
}

function watch(path: string, onChange: () => Promise<unknown>): Disposable {
  return watchFiles([path], onChange);
}

/** What was read before counts until there is a pair that can be used. */
function followKeyPair(files: NonNullable<Config['listen']['tls']>, registry: RunningServer, log: Log): Disposable {
  const { certFile, keyFile, clientCaFile } = files;
  const paths = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
  return watchFiles(paths, () => {
    return readKeyPair(files)
      .then((pair) => {
        if (pair) registry.useTls(pair);
        log.info({ paths }, 'the certificate was read again');
      })
      .catch((error) =>
        log.error({ paths, error: (error as Error).message }, 'the certificate was not read again; the old one counts'),
      );
  });
}

/** Whether everybody may see everything: then what one registry shows to everybody need not be fetched from another. */
function isOpenToAll({ access }: Config): boolean {
  return access.anonymous === 'pull' && access.rules.length === 0;
}

function tagPolicyOf({ tags, offline }: Config): TagPolicyOptions {
  const times = (given: Partial<Config['tags']['rules'][number]>) => ({
    // Nobody can be asked whether it moved: whatever is here is what it means.
    ttlMs: offline ? Number.POSITIVE_INFINITY : given.ttl,
    staleIfErrorMs: given.staleIfError,
    staleWhileRevalidateMs: given.staleWhileRevalidate,
    negativeTtlMs: given.negativeTtl,
    revalidateTimeoutMs: given.revalidateTimeout,
  });
  return {
    ...(times(tags) as TagTimes),
    rules: tags.rules.map(({ match, ...given }) => ({ match, ...times(given) })),
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

async function openUpstreams(config: Config, metrics: Metrics, log: Log): Promise<Upstreams> {
  const { '*': unlisted, ...listed } = config.upstreams;
  const open = async (key: string, settings: UpstreamConfig) => {
    const ca = await readAuthorities(`upstreams.${key}.caFile`, settings.caFile);
    return (name: string) =>
      config.offline
        ? offlineUpstream({ name, label: key })
        : openUpstream({ ...optionsOf(settings, name), label: key, ca, metrics, log });
  };
  const entries = await Promise.all(
    Object.entries(listed).map(async ([name, settings]) => ({
      ...settings,
      upstream: (await open(name, settings))(name),
    })),
  );
  const others = unlisted && { ...unlisted, open: await open('*', unlisted) };
  return new Upstreams(entries, config.defaultUpstream, others);
}

function optionsOf(settings: UpstreamConfig, name: string) {
  const { endpoints, connectTimeout, headersTimeout, idleTimeout, ...others } = settings;
  return {
    ...others,
    name,
    endpoints: endpoints.length > 0 ? endpoints.map((endpoint) => new URL(endpoint)) : [new URL(`https://${name}`)],
    connectTimeoutMs: connectTimeout,
    headersTimeoutMs: headersTimeout,
    idleTimeoutMs: idleTimeout,
    answerTimeoutMs: Math.min(headersTimeout, longestAnswerMs) * ofHeadersTimeout,
  };
}
