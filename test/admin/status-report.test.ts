// The status at a glance: how its figures come about, and what it costs.
import { describe, expect, test } from 'vitest';
import { type StatusOptions, StatusReport } from '../../src/admin/status-report.ts';
import { fakeMirror, upstreamStatus } from './fake-mirror.ts';

function report(options: Partial<StatusOptions> = {}) {
  const records = { totals: { bytes: 500, blobs: 7 } };
  const all = { ...fakeMirror(), records, upstreams: () => ({ status: () => [upstreamStatus] }), ...options };
  return { report: new StatusReport(all), metrics: all.metrics };
}

describe('the requests', () => {
  const request = (kind: string, outcome: string, status: number) => ({ kind, outcome, upstream: 'docker.io', status });

  test('are those for manifests and blobs that were answered, by how that came about', async () => {
    const { report: status, metrics } = report();
    metrics.requests.inc(request('blob', 'hit', 200), 5);
    metrics.requests.inc(request('blob', 'hit', 206), 1);
    metrics.requests.inc(request('manifest', 'hit', 304), 1);
    metrics.requests.inc(request('manifest', 'revalidated', 200), 2);
    metrics.requests.inc({ ...request('manifest', 'stale', 200), upstream: 'ghcr.io' }, 1);
    metrics.requests.inc(request('blob', 'miss', 200), 4);
    metrics.requests.inc(request('blob', 'joined', 200), 6);
    metrics.requests.inc(request('manifest', 'none', 503), 3);
    metrics.requests.inc(request('blob', 'miss', 502), 2);
    // None of these is content: a refusal, a proven absence, a ping, a list of tags.
    metrics.requests.inc(request('manifest', 'none', 404), 100);
    metrics.requests.inc(request('manifest', 'hit', 404), 100);
    metrics.requests.inc(request('other', 'none', 200), 100);
    metrics.requests.inc(request('tags', 'hit', 200), 100);
    const { requests, hitRatio } = await status.get();
    expect(requests).toEqual({ hit: 7, miss: 4, joined: 6, revalidated: 2, stale: 1, failed: 5 });
    expect(hitRatio).toBe(0.5);
  });

  test('have no ratio before the first', async () => {
    const { report: status, metrics } = report();
    metrics.requests.inc(request('blob', 'none', 503), 3);
    expect(await status.get()).toMatchObject({ hitRatio: null, requests: { failed: 3 } });
  });
});

test('what was saved is what was served beyond what was fetched, and never less than nothing', async () => {
  for (const [served, fetched, saved] of [
    [100, 30, 70],
    [30, 100, 0],
  ] as const) {
    const { report: status, metrics } = report();
    metrics.servedBytes.inc({ outcome: 'hit' }, served - 10);
    metrics.servedBytes.inc({ outcome: 'miss' }, 10);
    metrics.upstreamBytes.inc({ upstream: 'docker.io' }, fetched - 10);
    metrics.upstreamBytes.inc({ upstream: 'ghcr.io' }, 10);
    expect(await status.get()).toMatchObject({ servedBytes: served, upstreamBytes: fetched, savedBytes: saved });
  }
});

test('has the cache, what runs, what comes and what was', async () => {
  const now = 1_700_000_100_500;
  const { report: status, metrics } = report({
    now: () => now,
    isOffline: () => true,
    checks: [
      { name: 'cache', check: async () => 'gone' },
      { name: 'shutdown', check: async () => undefined },
    ],
    schedule: () => [{ images: ['redis:7'], at: new Date(1_800_000_000_000) }],
    lastReload: () => ({ at: 1, error: 'tags.ttl: not a time', needsRestart: [] }),
  });
  metrics.budgetBytes.set(1000);
  expect(await status.get()).toMatchObject({
    version: '1.2.3',
    startedAt: 1_700_000_000_000,
    uptimeSeconds: 100,
    isOffline: true,
    fillsInFlight: 1,
    cache: {
      dir: '/cache',
      bytes: 500,
      blobs: 7,
      budgetBytes: 1000,
      freeBytes: 60,
      isWritable: true,
      problem: null,
    },
    upstreams: [upstreamStatus],
    prefetches: [{ id: '1' }],
    schedule: [{ images: ['redis:7'], at: 1_800_000_000_000 }],
    lastReload: { at: 1, error: 'tags.ttl: not a time', needsRestart: [] },
    readiness: [
      { name: 'cache', problem: 'gone' },
      { name: 'shutdown', problem: null },
    ],
  });
});

test('says that there was no reload, and that one went well', async () => {
  expect((await report({ lastReload: () => undefined }).report.get()).lastReload).toBeNull();
  expect((await report().report.get()).lastReload).toMatchObject({ error: null });
});

describe('a disk', () => {
  test('that takes no bytes is told with why', async () => {
    const disk = { problem: 'ENOSPC', space: async () => ({ total: 9, free: 0 }) };
    const { cache } = await report({ disk }).report.get();
    expect(cache).toMatchObject({ isWritable: false, problem: 'ENOSPC', freeBytes: 0 });
  });

  test.each([
    ['fails', () => Promise.reject(new Error('ESTALE'))],
    ['does not answer', () => new Promise<never>(() => {})],
  ])('that %s holds nothing up', async (_, space) => {
    const checks = [{ name: 'cache', check: () => new Promise<never>(() => {}) }];
    const { cache, readiness } = await report({ disk: { problem: undefined, space }, checks }).report.get();
    expect([cache.freeBytes, readiness]).toEqual([null, [{ name: 'cache', problem: 'it does not answer' }]]);
  });
});

test('is put together at most once a second, however many ask', async () => {
  let now = 5000;
  let looks = 0;
  const upstreams = () => ({
    status: () => {
      looks++;
      return [];
    },
  });
  const { report: status } = report({ now: () => now, upstreams });
  await Promise.all(Array.from({ length: 100 }, () => status.get()));
  now += 999;
  await status.get();
  expect(looks).toBe(1);
  now += 1;
  await status.get();
  expect(looks).toBe(2);
  now = 0;
  await status.get();
  expect(looks).toBe(3);
});
