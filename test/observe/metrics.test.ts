// The metrics under the names that dashboards and alerts rely on.
import { expect, test } from 'vitest';
import { createMetrics } from '../../src/observe/metrics.ts';

const names = [
  'stillwater_requests_total',
  'stillwater_request_seconds',
  'stillwater_served_bytes_total',
  'stillwater_upstream_requests_total',
  'stillwater_upstream_bytes_total',
  'stillwater_fills_in_flight',
  'stillwater_fill_failures_total',
  'stillwater_stale_served_total',
];

test('every metric of the contract is registered, with the process metrics beside them', async () => {
  const text = await createMetrics().registry.metrics();
  for (const name of names) expect(text).toContain(`# HELP ${name} `);
  expect(text).toContain('# HELP process_resident_memory_bytes ');
});

test('the size of the cache is read when somebody scrapes', async () => {
  const metrics = createMetrics();
  let bytes = 10;
  metrics.watchCache(() => ({ bytes, blobs: 2 }));
  expect(await metrics.registry.metrics()).toContain('\nstillwater_cache_bytes 10\n');
  bytes = 20;
  const text = await metrics.registry.metrics();
  expect(text).toContain('\nstillwater_cache_bytes 20\n');
  expect(text).toContain('\nstillwater_cache_blobs 2\n');
});

test('two mirrors in one process count for themselves', async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  one.fillsInFlight.inc();
  expect(await one.registry.metrics()).toContain('\nstillwater_fills_in_flight 1\n');
  expect(await other.registry.metrics()).toContain('\nstillwater_fills_in_flight 0\n');
});

test('counts by the labels of the contract', async () => {
  const metrics = createMetrics();
  metrics.requests.inc({ kind: 'blob', outcome: 'hit', upstream: 'docker.io', status: '206' });
  metrics.upstreamRequests.inc({ upstream: 'docker.io', kind: 'token', status: 'error' });
  const text = await metrics.registry.metrics();
  expect(text).toContain('stillwater_requests_total{kind="blob",outcome="hit",upstream="docker.io",status="206"} 1');
  expect(text).toContain('stillwater_upstream_requests_total{upstream="docker.io",kind="token",status="error"} 1');
});
