// The metrics under the names that dashboards and alerts rely on.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
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

test('what is free on the disk is measured when somebody scrapes, and not told when it cannot be', async () => {
  const metrics = createMetrics();
  expect(await metrics.registry.metrics()).not.toContain('\nstillwater_disk_free_bytes ');
  let free = async () => 1234;
  metrics.watchDisk(() => free());
  expect(await metrics.registry.metrics()).toContain('\nstillwater_disk_free_bytes 1234\n');
  free = async () => {
    throw new Error('it does not answer');
  };
  expect(await metrics.registry.metrics()).not.toContain('\nstillwater_disk_free_bytes ');
  free = async () => 99;
  expect(await metrics.registry.metrics()).toContain('\nstillwater_disk_free_bytes 99\n');
});

test('what runs is told by its labels', async () => {
  const labels = `version="1.2.3",node="${process.version}"`;
  const text = await createMetrics({ version: '1.2.3' }).registry.metrics();
  expect(text).toContain(`\nstillwater_build_info{${labels}} 1\n`);
});

describe('reloads', () => {
  const reloadedAt = 'stillwater_config_last_reload_success_timestamp_seconds';
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 }));
  afterEach(() => void vi.useRealTimers());

  test('are counted from the first, and the start was a good one', async () => {
    const text = await createMetrics().registry.metrics();
    for (const series of [
      'stillwater_config_reloads_total{result="ok"} 0',
      'stillwater_config_reloads_total{result="failed"} 0',
      'stillwater_config_last_reload_successful 1',
      `${reloadedAt} 1000`,
    ])
      expect(text).toContain(`\n${series}\n`);
  });

  test('that fail leave the time of the last good one', async () => {
    const metrics = createMetrics();
    vi.setSystemTime(2_000_000);
    metrics.reloaded(true);
    vi.setSystemTime(3_000_000);
    metrics.reloaded(false);
    const text = await metrics.registry.metrics();
    for (const series of [
      'stillwater_config_reloads_total{result="ok"} 1',
      'stillwater_config_reloads_total{result="failed"} 1',
      'stillwater_config_last_reload_successful 0',
      `${reloadedAt} 2000`,
    ])
      expect(text).toContain(`\n${series}\n`);
    metrics.reloaded(true);
    expect(await metrics.registry.metrics()).toContain('\nstillwater_config_last_reload_successful 1\n');
  });
});
