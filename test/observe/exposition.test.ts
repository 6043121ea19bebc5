// What a scraper gets of a busy mirror: the format to the letter, names by the customs, and everything that was promised.
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Family, parseExposition, seriesOf } from '../support/exposition.ts';
import { findTool } from '../support/tool.ts';
import { type BusyMirror, busyMirror, stranger } from './busy-mirror.ts';

/** As the contract has them. */
const promised: Readonly<Record<string, readonly string[]>> = {
  stillwater_requests_total: ['kind', 'outcome', 'upstream', 'status'],
  stillwater_request_seconds: ['kind', 'outcome'],
  stillwater_served_bytes_total: ['outcome'],
  stillwater_upstream_requests_total: ['upstream', 'kind', 'status'],
  stillwater_upstream_bytes_total: ['upstream'],
  stillwater_fills_in_flight: [],
  stillwater_fill_failures_total: ['reason'],
  stillwater_fill_resumes_total: [],
  stillwater_cache_bytes: [],
  stillwater_cache_blobs: [],
  stillwater_cache_budget_bytes: [],
  stillwater_evictions_total: ['reason'],
  stillwater_upstream_ratelimit_remaining: ['upstream', 'credential'],
  stillwater_upstream_circuit_open: ['upstream', 'endpoint'],
  stillwater_stale_served_total: ['upstream'],
  stillwater_build_info: ['version', 'node'],
  process_resident_memory_bytes: [],
  nodejs_eventloop_lag_p99_seconds: [],
};

let mirror: BusyMirror;
let text: string;
let families: readonly Family[];

beforeAll(async () => {
  mirror = await busyMirror();
  text = await mirror.scrape();
  families = parseExposition(text);
});

afterAll(async () => {
  await mirror?.[Symbol.asyncDispose]();
});

describe('the metrics of a busy mirror', () => {
  test.each(Object.entries(promised))('have %s with the labels %j', (name, labels) => {
    const family = families.find((one) => one.name === name);
    expect(family?.help).toMatch(/\w/);
    for (const sample of family?.samples ?? []) {
      const given = Object.keys(sample.labels).filter((label) => label !== 'le');
      expect(given.sort()).toEqual([...labels].sort());
    }
  });

  test.each([
    'stillwater_requests_total',
    'stillwater_request_seconds',
    'stillwater_served_bytes_total',
    'stillwater_upstream_requests_total',
    'stillwater_upstream_bytes_total',
    'stillwater_upstream_ratelimit_remaining',
    'stillwater_upstream_circuit_open',
    'stillwater_cache_bytes',
    'stillwater_cache_budget_bytes',
    'stillwater_evictions_total',
    'stillwater_scrubbed_blobs_total',
    'stillwater_config_reloads_total',
  ])('have figures for %s', (name) => {
    expect(families.find((one) => one.name === name)?.samples.length).toBeGreaterThan(0);
  });

  test('are called as the customs want it: of one unit each, and counters end in total', () => {
    for (const { name, type } of families.filter((one) => one.name.startsWith('stillwater_'))) {
      expect(`${name} ${type === 'counter'}`).toBe(`${name} ${name.endsWith('_total')}`);
      expect(name).not.toMatch(/_(ms|millis|kb|mb|percent)(_|$)/);
    }
  });

  test('tell of hits, and of the upstream that is away', () => {
    const samplesOf = (name: string) => families.find((one) => one.name === name)?.samples ?? [];
    const hits = samplesOf('stillwater_requests_total').filter(({ labels }) => labels.outcome === 'hit');
    expect(hits.reduce((sum, { value }) => sum + value, 0)).toBeGreaterThan(5);
    const opened = samplesOf('stillwater_upstream_circuit_open').filter(({ value }) => value === 1);
    expect(opened.map(({ labels }) => labels.upstream)).toEqual(['quay.io']);
  });

  test('tell nothing of registries that only clients name, but for what they are together', () => {
    const asked = families.find(({ name }) => name === 'stillwater_upstream_requests_total')?.samples;
    expect(asked?.filter(({ labels }) => labels.upstream === '*')).not.toEqual([]);
    expect(text).not.toContain(stranger);
  });

  test('are the same series after more of the same', async () => {
    const ours = (text: string) =>
      parseExposition(text)
        .filter(({ name }) => name.startsWith('stillwater_'))
        .flatMap(({ samples }) => samples.map(seriesOf));
    expect(await mirror.pull('/v2/library/app/manifests/latest')).toBe(200);
    expect(ours(await mirror.scrape())).toEqual(ours(text));
  });

  test.skipIf(findTool('promtool') === undefined)('are what promtool takes for good metrics', () => {
    const told = execFileSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
    expect(told).toBe('');
  });
});
