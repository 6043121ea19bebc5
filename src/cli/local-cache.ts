// The cache of a directory that no mirror holds, opened by a command for itself: no upstream is ever asked.
import { existsSync, statSync } from 'node:fs';
import pino from 'pino';
import { cachedRepository } from '../admin/cached-repository.ts';
import { unseen } from '../config/exposure.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { createMetrics } from '../observe/metrics.ts';
import type { Repository } from '../oci/repository.ts';
import { type Cache, openCache } from '../open-cache.ts';
import { Layout } from '../store/layout.ts';
import { offlineUpstream } from '../upstream/offline-upstream.ts';
import { Unlisted } from '../upstream/unlisted.ts';
import { Upstreams } from '../upstream/upstreams.ts';
import type { DirectoryFlags } from './cached-images.ts';

export interface LocalCache extends AsyncDisposable {
  readonly cache: Cache;
  /** The repository of a name as people write it, if the configuration lets it be pulled. Throws `OciError`. */
  readonly resolve: (name: string) => Repository;
  /** As `resolve`, and what was let in once as well, by its whole name. */
  readonly find: (name: string) => Repository;
}

/**
 * `mayMake`: a directory that is not there yet is made. `mayChange`: what rests in it may be others afterwards, which only
 * its owner does. Throws one line that says why it cannot be opened.
 */
export async function openLocalCache(
  { config: file, cacheDir = '' }: DirectoryFlags,
  { mayMake = false, mayChange = false } = {},
): Promise<LocalCache> {
  const origin = '--cache-dir';
  const { config } = loadConfig({ file, flags: [{ origin, path: ['cache', 'dir'], text: cacheDir }] });
  const { dir } = config.cache;
  if (!mayMake && !existsSync(new Layout(dir).root)) throw new Error(`${origin}: there is no cache in ${dir}`);
  if (mayChange) refuseToOthers(dir);
  const cache = await openCache({
    ...config.cache,
    metrics: createMetrics(),
    log: warnings(),
    // Whoever may read the directory may see all of it.
    mayShare: () => true,
    tags: {
      ttlMs: Number.POSITIVE_INFINITY,
      staleIfErrorMs: config.tags.staleIfError,
      staleWhileRevalidateMs: config.tags.staleWhileRevalidate,
      negativeTtlMs: config.tags.negativeTtl,
      revalidateTimeoutMs: config.tags.revalidateTimeout,
      rules: [],
    },
    onStale: () => {},
  }).catch((cause: Error) => {
    const isHeld = /\bis in use\b/.test(cause.message);
    if (isHeld) throw new Error(`a mirror runs on ${dir}: ask it with --admin URL, or stop it first`, { cause });
    throw cause;
  });
  const upstreams = upstreamsOf(config);
  return {
    cache,
    resolve: (name) => unseen(config, upstreams.route(name, { ns: undefined, prefix: undefined }).repository),
    find: (name) => cachedRepository(name, upstreams),
    [Symbol.asyncDispose]: () => cache[Symbol.asyncDispose](),
  };
}

/** What somebody else makes there the mirror can neither replace nor remove. */
function refuseToOthers(dir: string): void {
  const { root } = new Layout(dir);
  const owner = (statSync(root, { throwIfNoEntry: false }) ?? statSync(dir, { throwIfNoEntry: false }))?.uid;
  const self = process.geteuid?.();
  if (owner === undefined || self === undefined || owner === self) return;
  // A volume is root's often, and lets the mirror make what is in it.
  if (owner === 0 && !existsSync(root)) return;
  throw new Error(
    `${dir} belongs to user ${owner}, and what user ${self} puts there the mirror could not remove: run this as that user, such as with sudo -u '#${owner}'`,
  );
}

function upstreamsOf(config: Config): Upstreams {
  const { '*': unlisted, ...listed } = config.upstreams;
  const open = (name: string) => offlineUpstream({ name });
  const entries = Object.entries(listed).map(([name, rules]) => ({ ...rules, upstream: open(name) }));
  return new Upstreams(
    entries,
    config.defaultUpstream,
    unlisted && { ...unlisted, registries: new Unlisted({ ...unlisted, open }) },
  );
}

/** For people, on stderr: stdout is for what was asked. */
function warnings(): pino.Logger {
  const write = (line: string) => {
    const { msg, why } = JSON.parse(line) as { readonly msg: string; readonly why?: string };
    process.stderr.write(`warning: ${msg}${why === undefined ? '' : `: ${why}`}\n`);
  };
  return pino({ level: 'warn', base: null }, { write });
}
