// The upstreams of a configuration; those that a new one does not change go on with their connections and what they learned.
import { isDeepStrictEqual } from 'node:util';
import { readAuthorities } from './config/pem.ts';
import type { Config, UpstreamConfig } from './config/schema.ts';
import type { Log } from './observe/log.ts';
import type { Metrics } from './observe/metrics.ts';
import { offlineUpstream } from './upstream/offline-upstream.ts';
import { openUpstream } from './upstream/open-upstream.ts';
import type { Upstream } from './upstream/upstream.ts';
import { Upstreams } from './upstream/upstreams.ts';

export interface OpenUpstreams {
  readonly upstreams: Upstreams;
  /** By name. */
  readonly opened: ReadonlyMap<string, Opened>;
}

interface Opened {
  readonly upstream: Upstream;
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
export async function openUpstreams(config: Config, { metrics, log, before }: UpstreamParts): Promise<OpenUpstreams> {
  const { '*': unlisted, ...listed } = config.upstreams;
  const openerOf = async (key: string, { allow: _, deny: __, visibility: ___, ...settings }: UpstreamConfig) => {
    const ca = await readAuthorities(`upstreams.${key}.caFile`, settings.caFile);
    const open = (name: string) =>
      config.offline
        ? offlineUpstream({ name, label: key })
        : openUpstream({ ...optionsOf(settings, name), label: key, ca, metrics, log });
    return { open, by: { settings, ca, offline: config.offline } };
  };
  const entries = await Promise.all(
    Object.entries(listed).map(async ([name, settings]) => {
      const { open, by } = await openerOf(name, settings);
      return { name, settings, open, by };
    }),
  );
  const others = unlisted && { ...unlisted, open: (await openerOf('*', unlisted)).open };
  const opened = new Map(
    entries.map(({ name, open, by }): [string, Opened] => {
      const known = before?.opened.get(name);
      return [name, isDeepStrictEqual(known?.by, by) && known ? known : { upstream: open(name), by }];
    }),
  );
  const rules = entries.flatMap(({ name, settings }) => {
    const { upstream } = opened.get(name) ?? {};
    return upstream ? [{ ...settings, upstream }] : [];
  });
  return { upstreams: new Upstreams(rules, config.defaultUpstream, others), opened };
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
