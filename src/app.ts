// The composition root: the only file that sees every part. Starts from the ends up, stops from the doors down.
import { access, constants } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { Lockout } from './access/lockout.ts';
import { LongAnswers } from './admin/long-answers.ts';
import type { ReadinessCheck } from './admin/probes.ts';
import type { LoadedConfig } from './config/load.ts';
import { readKeyPair } from './config/pem.ts';
import type { Config } from './config/schema.ts';
import { watchFiles } from './config/watch.ts';
import { followKeyPair, warnOfExpiry } from './follow-key-pair.ts';
import { openSendfile, type Sendfile } from './http/sendfile.ts';
import { startServer } from './http/server.ts';
import { startHousekeeping } from './jobs/housekeeping.ts';
import { Prefetcher } from './jobs/prefetch/prefetch.ts';
import { startSchedule } from './jobs/schedule.ts';
import type { TagPolicyOptions, TagTimes } from './mirror/tag-policy.ts';
import { createLog, errorText, type Log, setLogLevel } from './observe/log.ts';
import { createMetrics } from './observe/metrics.ts';
import { openTracing } from './observe/tracing.ts';
import { formatRepository } from './oci/repository.ts';
import { lastingAccess } from './open-access.ts';
import { type AdminParts, adminRoutes } from './open-admin.ts';
import { type Cache, openCache } from './open-cache.ts';
import { openServing, perAddress, type Serving } from './open-serving.ts';
import { Reloads } from './reload.ts';
import { readVersion } from './version.ts';

export interface App {
  readonly registryUrl: string;
  readonly adminUrl: string | undefined;
  /** Reads the configuration again. The log says how that went; what cannot be used changes nothing. */
  reload(): Promise<void>;
  /** Lets running answers finish for at most 30 s. Idempotent. */
  stop(): Promise<void>;
}

export interface AppOptions {
  /** The same again, for a reload. */
  readonly load: () => LoadedConfig;
  /** Reloaded when it changes. */
  readonly file?: string | undefined;
}

const drainMs = 30_000;

/** Throws one error that names what cannot be opened; nothing stays open then. */
export async function startApp(given: Config, { load, file }: AppOptions): Promise<App> {
  let config = given;
  const log = await createLog(config.log);
  const version = readVersion();
  const metrics = createMetrics({ version });
  await using opened = new AsyncDisposableStack();
  const started = Promise.withResolvers<void>();
  if (file !== undefined) opened.use(watchFiles([file], () => started.promise.then(() => reloads.tell())));
  const tracing = opened.use(await openTracing({ endpoint: config.tracing.endpoint, serviceVersion: version, log }));

  const cache = await openCache({
    ...config.cache,
    metrics,
    log,
    mayShare: () => isOpenToAll(config),
    tags: tagPolicyOf(config),
    onStale: ({ upstream, repository }, tag, reason) => {
      metrics.staleServed.inc({ upstream: upstream.label });
      log.warn({ repository: formatRepository(repository), tag, reason: errorText(reason) }, 'an old answer went out');
    },
  });
  opened.use(cache);
  opened.use(startHousekeeping({ ...cache, metrics, log, maxAgeMs: () => config.cache.maxAge }));

  const sendfile = config.listen.tls ? undefined : sendfileLater(cache, log);
  const parts = { cache, metrics, log, sendfile, ...lastingAccess(log) };
  let serving: Serving = await openServing(config, parts);
  serving.known.begin();
  opened.defer(() => serving.open.upstreams.close());
  opened.defer(() => serving[Symbol.asyncDispose]());
  // Whoever pulls chooses the names of the others.
  metrics.watchUpstreams(() => {
    const { upstreams } = serving.open;
    return upstreams.status().filter(({ name }) => upstreams.names.includes(name));
  });
  const sourceOf = (name: string, signal: AbortSignal) => serving.sourceOf(name, signal);
  const prefetcher = new Prefetcher({ ...cache, sourceOf, log, metrics });
  const { tls, maxConnections } = config.listen;
  const crowdLimits = (most: number) => ({
    perAddress: perAddress(most),
    isExempt: (address: string) => serving.known.proxies.isTrusted(address),
    onCrowded: (address: string) =>
      log.warn({ address, perAddress: perAddress(most) }, 'connections of one address are closed: it has too many'),
  });
  const pair = await readKeyPair(tls);
  if (pair) warnOfExpiry(pair, log);
  const registry = await startServer(serving.listener.app, {
    ...config.listen,
    before: serving.listener.before,
    ...crowdLimits(maxConnections),
    idleMs: clientIdleMs,
    tls: pair,
  });
  opened.defer(() => registry.stop(drainMs));
  if (tls) opened.use(followKeyPair(tls, registry, log));
  // Nothing that nobody waits for begins while clients are waited for.
  const running = opened.use(new LongAnswers());
  const schedule = opened.use(startSchedule({ entries: config.prefetch.schedule, prefetcher, log }));
  const checks: ReadinessCheck[] = [
    { name: 'shutdown', check: async () => (stopAsked ? 'the mirror is stopping' : undefined) },
    { name: 'cache', check: () => diskProblem(cache) },
  ];
  const adminParts: AdminParts = {
    ...{ cache, metrics, log, checks, prefetcher, schedule, running },
    serving: () => serving,
    reloads: () => reloads,
    startedAt: Date.now(),
    lockout: new Lockout({
      onLocked: (address) =>
        log.warn({ address }, 'too many wrong credentials: the admin listener hears nobody from there for a minute'),
    }),
  };
  const admin =
    config.admin &&
    (await startServer(adminRoutes(config.admin, adminParts), {
      ...config.admin,
      isPatientWithBodies: true,
      ...crowdLimits(adminConnections),
      tls: undefined,
      maxConnections: adminConnections,
      idleMs: clientIdleMs,
    }));

  const reloads = new Reloads({
    config,
    load,
    log,
    onEnd: ({ error }) => metrics.reloaded(error === undefined),
    apply: async (next) => {
      const before = serving;
      const fresh = await openServing(next, { ...parts, before });
      try {
        if (next.tracing.endpoint !== config.tracing.endpoint) await tracing.use(next.tracing.endpoint);
      } catch (error) {
        if (before.known !== fresh.known) await fresh[Symbol.asyncDispose]();
        throw error;
      }
      // From here on it is one turn: no request sees half of it.
      config = next;
      serving = fresh;
      if (before.known !== fresh.known) fresh.known.begin();
      cache.policy.use(tagPolicyOf(next));
      cache.absences.clear();
      registry.use({ fetch: fresh.listener.app.fetch, before: fresh.listener.before });
      if (next.admin) admin?.use({ fetch: adminRoutes(next.admin, adminParts).fetch });
      setLogLevel(log, next.log.level);
      schedule.use(next.prefetch.schedule);
      cache.budget
        .use(next.cache)
        .catch((error: unknown) => log.warn({ error: errorText(error) }, 'the cache could not be trimmed'));
      if (before.known !== fresh.known) await before[Symbol.asyncDispose]();
    },
  });
  opened.defer(() => reloads.close());
  // It may have changed since it was loaded, before anybody watched it.
  if (file !== undefined && isOther(load, given)) await reloads.tell();
  started.resolve();
  log.info({ registry: registry.url, admin: admin?.url, cache: config.cache.dir }, 'listening');

  const open = opened.move();
  let stopAsked: Promise<void> | undefined;
  const stop = async () => {
    log.info('draining');
    await open.disposeAsync();
    await admin?.stop(0);
    log.info('stopped');
    await new Promise((resolve) => log.flush(resolve));
  };
  return {
    registryUrl: registry.url,
    adminUrl: admin?.url,
    reload: () => reloads.tell(),
    stop: () => {
      stopAsked ??= stop();
      return stopAsked;
    },
  };
}

/** One that cannot be loaded is another, too. */
function isOther(load: AppOptions['load'], config: Config): boolean {
  try {
    return !isDeepStrictEqual(load().config, config);
  } catch {
    return true;
  }
}

/** Whoever comes before it is there is served by copying. */
function sendfileLater({ layout }: Cache, log: Log): () => Sendfile | undefined {
  let sendfile: Sendfile | undefined;
  void openSendfile(layout.tag).then((opened) => {
    sendfile = opened.sendfile;
    if (!opened.sendfile) log.info({ why: opened.why }, 'blobs are sent by copying');
  });
  return () => sendfile;
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
