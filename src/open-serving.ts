// What a reload replaces: the upstreams, who may pull what, and the routes of the registry listener that go by both.
import { isDeepStrictEqual } from 'node:util';
import { ConfigError } from './config/config-error.ts';
import { exposureOf } from './config/exposure.ts';
import type { Config } from './config/schema.ts';
import { watchFiles } from './config/watch.ts';
import { type RegistryListener, registryListener } from './http/registry-api.ts';
import type { Sendfile } from './http/sendfile.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import { type AccessSettings, type LastingAccess, type OpenAccess, openAccess } from './open-access.ts';
import type { Cache } from './open-cache.ts';
import { type OpenUpstreams, openUpstreams } from './open-upstreams.ts';
import type { Source } from './upstream/upstreams.ts';

export interface Serving extends AsyncDisposable {
  readonly config: Config;
  readonly open: OpenUpstreams;
  readonly by: AccessSettings;
  readonly known: OpenAccess;
  readonly listener: RegistryListener;
  /** For content that the mirror itself asks for: as private as if a client had. Throws `OciError` as `route` does. */
  sourceOf(image: string, signal: AbortSignal): Promise<Source>;
}

export interface ServingParts extends LastingAccess {
  readonly cache: Cache;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly sendfile: (() => Sendfile | undefined) | undefined;
  readonly before?: Serving | undefined;
}

/** Throws one error that names what cannot be opened; nothing stays open then, and what was before goes on. */
export async function openServing(config: Config, parts: ServingParts): Promise<Serving> {
  const { cache, metrics, log, sendfile, before } = parts;
  const open = await openUpstreams(config, { metrics, log, before: before?.open });
  const by = accessSettings(config);
  const isKnown = before !== undefined && isDeepStrictEqual(before.by, by);
  const known = isKnown ? before.known : await openKnown(by, parts);
  const { access, proxies } = known;
  const exposure = (name: string) => exposureOf(config, name);
  const { accel, maxConnections } = config.listen;
  const listener = registryListener({
    ...{ access, proxies, metrics, log, sendfile },
    mirror: cache.mirror,
    upstreams: open.upstreams,
    exposureOf: exposure,
    mostInFlight: perAddress(maxConnections),
    accel: accel === undefined ? undefined : { prefix: accel, isTrusted: (address) => proxies.isTrusted(address) },
  });
  return {
    ...{ config, open, by, known, listener },
    async sourceOf(image, signal) {
      const { repository, upstream } = open.upstreams.route(image, { ns: undefined, prefix: undefined });
      const ask = (bound: AbortSignal) => upstream.isPublic(repository.path, bound);
      const wish = { repository, exposure: exposure(upstream.name) ?? 'private' };
      const isForAll = await access.isForAll(wish, { ask, signal, address: 'the mirror itself' });
      return { upstream, repository: isForAll ? repository : { ...repository, isPrivate: true } };
    },
    [Symbol.asyncDispose]: () => known[Symbol.asyncDispose](),
  };
}

/** Of all connections, and of all requests in flight: what one address may have. */
const shareOfAddress = 4;

export function perAddress(maxConnections: number): number {
  return Math.max(1, Math.floor(maxConnections / shareOfAddress));
}

function accessSettings({ access, listen, offline, tags }: Config): AccessSettings {
  const { trustedProxies } = listen;
  return { ...access, trustedProxies, staleMs: offline ? undefined : tags.staleIfError };
}

async function openKnown(by: AccessSettings, { cache, ...parts }: ServingParts): Promise<OpenAccess> {
  const watch = (path: string, onChange: () => Promise<unknown>) => watchFiles([path], onChange);
  try {
    return await openAccess(by, { ...parts, records: cache.records, watch });
  } catch (cause) {
    throw new ConfigError((cause as Error).message, { cause });
  }
}
