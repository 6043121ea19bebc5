// How many series there are: whatever clients and upstreams come up with, a scrape stays small, and tells of what there is.
import { Agent, request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { registryListener } from '../../src/http/registry-api.ts';
import { startServer } from '../../src/http/server.ts';
import { createMetrics, type Metrics } from '../../src/observe/metrics.ts';
import type { UpstreamFigures } from '../../src/observe/upstream-figures.ts';
import { lastingAccess, openAccess } from '../../src/open-access.ts';
import { openUpstream } from '../../src/upstream/open-upstream.ts';
import { Telling } from '../../src/upstream/telling.ts';
import { Unlisted } from '../../src/upstream/unlisted.ts';
import { Upstreams } from '../../src/upstream/upstreams.ts';
import { startMirror } from '../mirror/start-mirror.ts';
import { type Family, parseExposition, seriesOf } from '../support/exposition.ts';
import { RecordedServer } from '../support/recorded-server.ts';
import { until } from '../support/until.ts';

async function scrape({ registry }: Metrics): Promise<Family[]> {
  return parseExposition(await registry.metrics());
}

async function seriesIn(metrics: Metrics): Promise<string[]> {
  return (await scrape(metrics)).flatMap(({ samples }) => samples.map(seriesOf));
}

/** Of the family, without its own name: `{labels} value`. */
async function samplesOf(metrics: Metrics, name: string): Promise<string[]> {
  const family = (await scrape(metrics)).find((one) => one.name === name);
  return (family?.samples ?? []).map((sample) => `${seriesOf(sample).slice(name.length)} ${sample.value}`).sort();
}

interface Crowded extends AsyncDisposable {
  readonly metrics: Metrics;
  /** Asks for all of these, many at a time. */
  ask(paths: readonly string[], method?: string): Promise<void>;
}

/** A mirror of docker.io and of whatever else is named; none of them has anything. */
async function crowded(): Promise<Crowded> {
  await using opened = new AsyncDisposableStack();
  const upstream = opened.use(
    await RecordedServer.start({
      kindOf: () => 'other',
      handle: async ({ response }) => void response.writeHead(404, { 'content-length': '0' }).end(),
    }),
  );
  const mirror = opened.use(await startMirror({ upstreams: { 'docker.io': upstream } }));
  const open = (name: string, label = name) =>
    openUpstream({
      ...{ name, label, metrics: mirror.metrics, log: mirror.log },
      ...{ endpoints: [new URL(upstream.url)], allowPrivate: true, connections: 32, parallel: 1 },
      ...{ connectTimeoutMs: 5000, headersTimeoutMs: 5000, idleTimeoutMs: 5000, answerTimeoutMs: 5000 },
    });
  const upstreams = new Upstreams([{ upstream: open('docker.io') }], 'docker.io', {
    registries: new Unlisted({ open: (name) => open(name, '*') }),
  });
  opened.defer(() => upstreams.close());
  const { access, proxies } = opened.use(
    await openAccess(
      { anonymous: 'pull', rules: [], trustedProxies: [] },
      { ...mirror, ...lastingAccess(mirror.log), watch: () => ({ [Symbol.dispose]: () => {} }) },
    ),
  );
  const listener = registryListener({
    ...{ ...mirror, upstreams, access, proxies },
    exposureOf: () => 'nothing',
    mostInFlight: 1000,
  });
  const server = await startServer(listener.app, {
    ...{ host: '127.0.0.1', port: 0, idleMs: 60_000, maxConnections: 1000, before: listener.before },
  });
  opened.defer(() => server.stop(0));
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  opened.defer(() => agent.destroy());
  const askOne = (path: string, method: string) =>
    new Promise<void>((resolve, reject) => {
      const asked = request(`${server.url}${path}`, { agent, method }, (answer) =>
        answer.resume().once('close', resolve),
      );
      asked.once('error', reject).end();
    });
  const all = opened.move();
  let lines = 0;
  return {
    metrics: mirror.metrics,
    async ask(paths, method = 'GET') {
      await Promise.all(paths.map((path) => askOne(path, method)));
      lines += paths.length;
      await until('all logged', () => mirror.logLines.filter((line) => line.method !== undefined).length === lines);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

const many = (count: number, path: (n: number) => string) => Array.from({ length: count }, (_, n) => path(n));
const digest = `sha256:${'a'.repeat(64)}`;

describe('the series', () => {
  test('stay few, whatever is asked for, wherever and however', async () => {
    await using at = await crowded();
    const round = async (of: string, thousand: number) => {
      await at.ask(many(5 * thousand, (n) => `/v2/${of}-${n}/manifests/tag-${n}`));
      await at.ask(many(3 * thousand, (n) => `/v2/${of}-${n}/blobs/${digest}`));
      await at.ask(many(thousand, (n) => `/v2/${of}-${n}/tags/list`));
      await at.ask(many(thousand, (n) => `/v2/${of}-${n}/referrers/${digest}`));
      await at.ask(many(200, (n) => `/v2/app/manifests/latest?ns=${of}-${n}.example.com`));
      await at.ask(many(50, (n) => `/${of}-${n}/nothing/of/ours`));
      for (const method of ['HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'M-SEARCH', 'TRACE'])
        await at.ask(['/v2/', '/v2/app/manifests/latest', '/v2/app/blobs/uploads/', `/${of}`], method);
    };
    await round('first', 1000);
    const first = await seriesIn(at.metrics);
    expect(first.length).toBeLessThan(500);
    expect(first.filter((series) => series.includes('upstream="docker.io"')).length).toBeGreaterThan(5);
    expect(first.join('\n')).not.toMatch(/first|tag-|PROPFIND|example/);
    await round('second', 100);
    const added = (await seriesIn(at.metrics)).filter((series) => !first.includes(series));
    expect(added.filter((series) => !series.startsWith('nodejs_'))).toEqual([]);
  });

  test('stay few, whatever numbers an upstream answers with', async () => {
    const metrics = createMetrics();
    const before = (await seriesIn(metrics)).length;
    const url = new URL('https://registry.example/v2/');
    for (const kind of ['manifest', 'blob', 'proof', 'tags', 'referrers', 'token'] as const)
      for (let status = 200; status <= 999; status++) {
        const asked = { kind, method: 'GET', url, signal: new AbortController().signal } as const;
        new Telling(asked, { label: '*', metrics, url, isForeign: false }).answered(status);
      }
    expect((await seriesIn(metrics)).length - before).toBeLessThan(160);
    const statuses = (await metrics.upstreamRequests.get()).values.map(({ labels }) => labels.status);
    expect(new Set(statuses)).toEqual(new Set([...'200 206 304 401 403 404 416 429 502'.split(' '), ...statuses]));
    expect(statuses).toContain('other');
  });
});

describe('what is shown of upstreams', () => {
  const limits = [{ credential: '1', limit: 100, remaining: 40 }];
  const hub: UpstreamFigures = {
    name: 'docker.io',
    endpoints: [
      { endpoint: 'https://mirror.example', isCircuitOpen: true, limits: [] },
      { endpoint: 'https://hub.example', isCircuitOpen: false, limits },
    ],
  };

  test('is how they are when somebody scrapes', async () => {
    const metrics = createMetrics();
    let figures = [hub];
    metrics.watchUpstreams(() => figures);
    expect(await samplesOf(metrics, 'stillwater_upstream_circuit_open')).toEqual([
      '{endpoint="https://hub.example",upstream="docker.io"} 0',
      '{endpoint="https://mirror.example",upstream="docker.io"} 1',
    ]);
    expect(await samplesOf(metrics, 'stillwater_upstream_ratelimit_remaining')).toEqual([
      '{credential="1",upstream="docker.io"} 40',
    ]);
    expect(await samplesOf(metrics, 'stillwater_upstream_ratelimit_limit')).toEqual([
      '{credential="1",upstream="docker.io"} 100',
    ]);
    figures = [{ ...hub, endpoints: hub.endpoints.slice(1).map((one) => ({ ...one, limits: [] })) }];
    expect(await samplesOf(metrics, 'stillwater_upstream_circuit_open')).toEqual([
      '{endpoint="https://hub.example",upstream="docker.io"} 0',
    ]);
    expect(await samplesOf(metrics, 'stillwater_upstream_ratelimit_remaining')).toEqual([]);
    expect(await samplesOf(metrics, 'stillwater_upstream_ratelimit_limit')).toEqual([]);
  });

  test('of a credential is what the scarcest of its endpoints leaves to it', async () => {
    const metrics = createMetrics();
    const endpoints = [90, 7, undefined, 55].map((remaining, n) => ({
      endpoint: `https://${n}.example`,
      isCircuitOpen: false,
      limits: [{ credential: '1', limit: remaining && remaining * 2, remaining }],
    }));
    metrics.watchUpstreams(() => [{ name: 'docker.io', endpoints }]);
    expect(await samplesOf(metrics, 'stillwater_upstream_ratelimit_remaining')).toEqual([
      '{credential="1",upstream="docker.io"} 7',
    ]);
    expect(await samplesOf(metrics, 'stillwater_upstream_ratelimit_limit')).toEqual([
      '{credential="1",upstream="docker.io"} 14',
    ]);
  });

  test('ends with them, though the last of their transfers count on', async () => {
    const metrics = createMetrics();
    let names = ['docker.io', 'quay.io'];
    metrics.watchUpstreams(() => names.map((name) => ({ name, endpoints: [] })));
    const lasting = metrics.upstreamBytes.labels({ upstream: 'quay.io' });
    const count = () => {
      for (const upstream of ['docker.io', 'quay.io', '*', 'none']) {
        metrics.requests.inc({ kind: 'blob', outcome: 'hit', upstream, status: 200 });
        metrics.upstreamRequests.inc({ upstream, kind: 'blob', status: '200' });
        metrics.staleServed.inc({ upstream });
      }
      lasting.inc(1);
    };
    count();
    const shown = async () => (await seriesIn(metrics)).join('\n').match(/upstream="[^"]+"/g);
    expect(new Set(await shown())).toContain('upstream="quay.io"');
    names = ['docker.io'];
    const left = new Set(['upstream="docker.io"', 'upstream="*"', 'upstream="none"']);
    expect(new Set(await shown())).toEqual(left);
    count();
    expect(new Set(await shown())).toEqual(left);
    names = ['docker.io', 'quay.io'];
    count();
    // They count on where they were: for what sums them up, nothing was lost.
    expect(await samplesOf(metrics, 'stillwater_upstream_bytes_total')).toEqual(['{upstream="quay.io"} 3']);
    expect(await samplesOf(metrics, 'stillwater_stale_served_total')).toContain('{upstream="docker.io"} 3');
  });

  test('is what they told themselves, until there is somebody to ask', async () => {
    const metrics = createMetrics();
    metrics.circuitOpen.set({ upstream: 'docker.io', endpoint: 'https://hub.example' }, 1);
    metrics.rateLimitRemaining.set({ upstream: 'docker.io', credential: 'anonymous' }, 3);
    expect(await samplesOf(metrics, 'stillwater_upstream_circuit_open')).toHaveLength(1);
    expect(await samplesOf(metrics, 'stillwater_upstream_ratelimit_remaining')).toHaveLength(1);
  });
});
