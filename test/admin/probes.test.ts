// What orchestrators and Prometheus are told.
import { describe, expect, test } from 'vitest';
import { probes } from '../../src/admin/probes.ts';
import { createMetrics } from '../../src/observe/metrics.ts';

const fine = { name: 'cache', check: async () => undefined };

async function answer(path: string, checks: Parameters<typeof probes>[1] = [fine]) {
  const response = await probes(createMetrics(), checks).request(path);
  return { status: response.status, text: await response.text(), type: response.headers.get('content-type') };
}

describe('/livez', () => {
  test('is well as long as the process answers, whatever is not ready', async () => {
    expect(await answer('/livez', [{ name: 'cache', check: async () => 'gone' }])).toMatchObject({
      status: 200,
      text: 'ok\n',
    });
  });
});

describe('/readyz', () => {
  test('is ready when nothing is wrong', async () => {
    expect(await answer('/readyz')).toMatchObject({ status: 200, text: 'ready\n' });
  });

  test('names everything that is not ready, and nothing that is', async () => {
    const checks = [
      { name: 'shutdown', check: async () => 'the mirror is stopping' },
      { name: 'index', check: async () => undefined },
      { name: 'cache', check: () => Promise.reject(new Error('EROFS: read-only file system')) },
    ];
    expect(await answer('/readyz', checks)).toMatchObject({
      status: 503,
      text: 'shutdown: the mirror is stopping\ncache: EROFS: read-only file system\n',
    });
  });
});

describe('/metrics', () => {
  test('has every figure of the contract that is built, and those of the process', async () => {
    const metrics = createMetrics();
    metrics.watchCache(() => ({ bytes: 5, blobs: 2 }));
    const response = await probes(metrics, []).request('/metrics');
    expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/);
    const text = await response.text();
    for (const name of [
      'stillwater_requests_total',
      'stillwater_request_seconds',
      'stillwater_served_bytes_total',
      'stillwater_upstream_requests_total',
      'stillwater_upstream_bytes_total',
      'stillwater_fills_in_flight',
      'stillwater_fill_failures_total',
      'stillwater_stale_served_total',
      'process_resident_memory_bytes',
      'nodejs_eventloop_lag_p99_seconds',
    ])
      expect(text).toContain(`# TYPE ${name} `);
    expect(text).toContain('stillwater_cache_bytes 5\n');
    expect(text).toContain('stillwater_cache_blobs 2\n');
  });
});

test('any other path says what is here', async () => {
  expect(await answer('/')).toMatchObject({ status: 404, text: '/livez, /readyz and /metrics are here.\n' });
});
