// docs/observability.md tells of every figure, every field and every attribute that there is, and of none that is not.
import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { createMetrics } from '../../src/observe/metrics.ts';
import { scene } from '../http/start-registry.ts';
import { type Family, parseExposition } from '../support/exposition.ts';
import { until } from '../support/until.ts';
import { busyMirror } from './busy-mirror.ts';
import { selected, selectorsOf } from './promql.ts';
import { tracedScene } from './tracing-scene.ts';

const page = readFileSync(new URL('../../docs/observability.md', import.meta.url), 'utf8');
const name = 'library/app';

let families: readonly Family[];

beforeAll(async () => {
  await using mirror = await busyMirror();
  families = parseExposition(await mirror.scrape());
});

/** What the first column names of the table with this head. */
function named(head: string): string[] {
  const [, rows = ''] = page.split(`| ${head} |`, 2);
  const [table = ''] = rows.split('\n\n', 1);
  const cells = table
    .split('\n')
    .slice(2)
    .map((row) => row.split('|')[1] ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, word = '']) => word));
}

test('every figure has its row, with its type, its labels and what it is', async () => {
  const metrics = createMetrics();
  metrics.watchCache(() => ({ bytes: 0, blobs: 0 }));
  const families = parseExposition(await metrics.registry.metrics()).filter((one) =>
    one.name.startsWith('stillwater_'),
  );
  const rows = families.map(({ name, type, help }) => {
    const { labelNames } = metrics.registry.getSingleMetric(name) as unknown as { labelNames: readonly string[] };
    const labels = labelNames.map((label) => `\`${label}\``).join(' ');
    return `| \`${name}\` | ${type} |${labels === '' ? '' : ` ${labels}`} | ${help} |`;
  });
  expect(rows.length).toBeGreaterThan(20);
  expect(page.split('\n').filter((line) => line.startsWith('| `stillwater_'))).toEqual(rows);
});

test('its queries ask for series that there are', () => {
  const queries = [...page.matchAll(/```promql\n(.+?)```/gs)].map(([, query = '']) => query);
  expect(queries).toHaveLength(4);
  for (const selector of queries.flatMap(selectorsOf))
    expect([selector, selected(selector, families).length > 0]).toEqual([selector, true]);
});

test('every value of a label that a busy mirror has is in its table', () => {
  const samples = families.flatMap((family) => family.samples);
  const valuesOf = (metric: string, label: string) => [
    ...new Set(samples.filter((one) => one.name === metric).map(({ labels }) => labels[label] ?? '')),
  ];
  const told = page.split('| label | values |', 2)[1]?.split('\n\n', 1)[0] ?? '';
  for (const [metric, label] of [
    ['stillwater_requests_total', 'kind'],
    ['stillwater_requests_total', 'outcome'],
    ['stillwater_upstream_requests_total', 'kind'],
    ['stillwater_fill_failures_total', 'reason'],
  ] as const) {
    expect(valuesOf(metric, label)).not.toEqual([]);
    expect(valuesOf(metric, label).filter((value) => !told.includes(`\`${value}\``))).toEqual([]);
  }
});

test('every field of a line is in its table, and every field in its table is one of a line', async () => {
  const fields = new Set<string>();
  const rules = [{ effect: 'deny', principals: ['*'], repositories: ['docker.io/secret/**'] }] as const;
  const networks = [{ cidr: '127.0.0.0/8', principal: 'desk' }];
  await using at = await scene({ access: { rules: [...rules], networks } });
  at.upstream.addImage(name);
  const blob = at.upstream.addBlob(name, 'a layer');
  await at.ask(`/v2/${name}/manifests/latest`);
  await at.ask(`/v2/${name}/blobs/${blob.digest}`, { headers: { 'user-agent': 'docker/29' } });
  await at.ask(`/v2/secret/app/manifests/latest`, { headers: { authorization: 'Basic eDp5' } });
  const { logLines } = at.registry.mirror;
  const lines = await until('three lines', () => {
    const found = logLines.filter(({ msg }) => msg === 'request');
    return found.length === 3 && found;
  });
  for (const line of lines) for (const field of Object.keys(line)) fields.add(field);
  await using traced = await tracedScene();
  await traced.ask('/v2/');
  await traced.sent(1);
  expect(traced.registry.mirror.logLines.some(({ traceId }) => traceId)).toBe(true);
  expect([...fields, 'traceId'].sort()).toEqual(named('field | what it is').sort());
});

test('every attribute of a span is in its table, and every attribute in its table is one of a span', async () => {
  await using at = await tracedScene();
  at.upstream.addImage(name);
  const blob = at.upstream.addBlob(name, 'a layer');
  await at.ask(`/v2/${name}/manifests/latest`, { headers: { 'user-agent': 'docker/29' } });
  await at.ask(`/v2/${name}/blobs/${blob.digest}`);
  await at.upstream.close();
  await at.ask(`/v2/${name}/manifests/away`);
  await at.sent(3);
  const attributes = new Set(at.collector.spans.flatMap((span) => Object.keys(span.attributes)));
  expect([...attributes, 'stillwater.abandoned'].sort()).toEqual(named('attribute | of | what it is').sort());
});
