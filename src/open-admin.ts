// The admin listener's routes, over all that runs; made anew by a reload, as what they go by may be other then.
import type { Lockout } from './access/lockout.ts';
import { adminApp } from './admin/admin-app.ts';
import type { LongAnswers } from './admin/long-answers.ts';
import type { ReadinessCheck } from './admin/probes.ts';
import { unseen } from './config/exposure.ts';
import type { Config } from './config/schema.ts';
import type { Prefetcher } from './jobs/prefetch/prefetch.ts';
import type { Schedule } from './jobs/schedule.ts';
import { verify } from './jobs/verify.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import type { Cache } from './open-cache.ts';
import type { Serving } from './open-serving.ts';
import type { Reloads } from './reload.ts';
import { readVersion } from './version.ts';

export interface AdminParts {
  readonly cache: Cache;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly checks: readonly ReadinessCheck[];
  /** What serves now. */
  readonly serving: () => Serving;
  readonly prefetcher: Prefetcher;
  readonly schedule: Schedule;
  readonly reloads: () => Reloads;
  readonly running: LongAnswers;
  readonly lockout: Lockout;
  /** Milliseconds of the epoch. */
  readonly startedAt: number;
}

export function adminRoutes(settings: NonNullable<Config['admin']>, parts: AdminParts): ReturnType<typeof adminApp> {
  const { cache, log, serving, schedule, reloads } = parts;
  const upstreams = () => serving().open.upstreams;
  return adminApp({
    ...settings,
    ...parts,
    ...cache,
    upstreams,
    version: readVersion(),
    cacheDir: serving().config.cache.dir,
    isOffline: () => serving().config.offline,
    schedule: () => schedule.next(),
    lastReload: () => reloads().last,
    reload: () => reloads().run(),
    verify: (options) => verify({ ...cache, verifier: cache.spools.verifier, log }, options),
    // Loaded when somebody wants them: a start has better to do.
    importArchive: async (options) => {
      const { importArchive } = await import('./archive/import-archive.ts');
      return importArchive(cache, {
        ...options,
        resolve: (name) => {
          const { repository } = upstreams().route(name, { ns: undefined, prefix: undefined });
          return unseen(serving().config, repository);
        },
      });
    },
    exportImages: async (options) => (await import('./archive/export-images.ts')).exportImages(cache, options),
    identify: (caller) => serving().known.access.identify(caller),
    addressOf: (peer, forwardedFor) => serving().known.proxies.clientOf({ peer, forwardedFor }),
  });
}
