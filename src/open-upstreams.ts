// The upstreams of a configuration; those that a new one does not change go on with their connections and what they learned.
import { isDeepStrictEqual } from 'node:util';
import { readAuthorities } from './config/pem.ts';
import type { Config, UpstreamConfig } from './config/schema.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import { offlineUpstream } from './upstream/offline-upstream.ts';
import { openUpstream } from './upstream/open-upstream.ts';
import { Unlisted } from './upstream/unlisted.ts';
import type { Upstream } from './upstream/upstream.ts';
import { Upstreams } from './upstream/upstreams.ts';

export interface OpenUpstreams {
  readonly upstreams: Upstreams;
  /** By name. */
  readonly opened: ReadonlyMap<string, Opened<Upstream>>;
  readonly unlisted: Opened<Unlisted> | undefined;
}

interface Opened<T> {
  readonly opened: T;
  /** All that it was opened by. */
  readonly by: unknown;
}

export interface UpstreamParts {
  readonly metrics: Metrics;
  readonly log: Log;
  /**
   * What is left of them is let go, not closed: a pull in its middle may have more to ask. Idle connections end by
   * themselves.
   */
  readonly before?: OpenUpstreams | undefined;
}

/** No client waits longer than this for the head of its answer, whatever an upstream's own time-outs are. */
const longestAnswerMs = 25_000;
/** The rest is for telling the client. */
const ofHeadersTimeout = 0.98;

/** Throws an error that names the file that cannot be used. */
export async function openUpstreams(config: Config, parts: UpstreamParts): Promise<OpenUpstreams> {
  const { '*': others, ...listed } = config.upstreams;
  const { before } = parts;
  const openers = await Promise.all(
    Object.entries(listed).map(async ([name, settings]) => ({
      name,
      ...(await openerOf(config, name, settings, parts)),
    })),
  );
  const opened = new Map(
    openers.map(({ name, by, open }) => [name, same(before?.opened.get(name), by) ?? { opened: open(name), by }]),
  );
  const opener = others && (await openerOf(config, unlistedKey, others, parts));
  const unlisted =
    opener &&
    (same(before?.unlisted, opener.by) ?? { opened: new Unlisted({ ...others, open: opener.open }), by: opener.by });
  const entries = [...opened].map(([name, { opened: upstream }]) => ({ ...listed[name], upstream }));
  const registries = unlisted && { ...others, registries: unlisted.opened };
  return { upstreams: new Upstreams(entries, config.defaultUpstream, registries), opened, unlisted };
}

const unlistedKey = '*';

/** Made apart: what opens unlisted registries lives as long as they, and must not hold on to those of before. */
async function openerOf(
  { offline }: Config,
  key: string,
  { allow: _, deny: __, visibility: ___, ...settings }: UpstreamConfig,
  { metrics, log }: Pick<UpstreamParts, 'metrics' | 'log'>,
) {
  const ca = await readAuthorities(`upstreams.${key}.caFile`, settings.caFile);
  const open = (name: string) =>
    offline
      ? offlineUpstream({ name, label: key })
      : openUpstream({ ...optionsOf(settings, name), label: key, ca, metrics, log });
  return { open, by: { settings, ca, offline } };
}

function same<T>(before: Opened<T> | undefined, by: unknown): Opened<T> | undefined {
  return before && isDeepStrictEqual(before.by, by) ? before : undefined;
}

function optionsOf(settings: Omit<UpstreamConfig, 'allow' | 'deny' | 'visibility'>, name: string) {
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
