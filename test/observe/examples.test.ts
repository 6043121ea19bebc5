// The dashboard and the alerts ask for what a busy mirror really tells: no name, label or value of theirs is made up.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Family, parseExposition } from '../support/exposition.ts';
import { findTool } from '../support/tool.ts';
import { type BusyMirror, busyMirror } from './busy-mirror.ts';
import { isAdded, labelsOf, placeholdersOf, selected, selectorsOf } from './promql.ts';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly datasource?: { readonly uid: string };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
}

interface Alerts {
  readonly groups: readonly {
    readonly rules: readonly {
      readonly alert: string;
      readonly expr: string;
      readonly annotations: { readonly summary: string };
    }[];
  }[];
}

const example = (name: string) => new URL(`../../examples/${name}`, import.meta.url);
const dashboard = JSON.parse(readFileSync(example('grafana/stillwater.json'), 'utf8')) as Dashboard;
const alerts = parse(readFileSync(example('prometheus/alerts.yml'), 'utf8')) as Alerts;
const rules = alerts.groups.flatMap((group) => group.rules);
const shown = dashboard.panels.filter(({ type }) => type !== 'row');

/** What is asked, and the labels that are shown of it. */
const expressions: readonly (readonly [string, string, string])[] = [
  ...shown.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => [title, expr, legendFormat] as const),
  ),
  ...rules.map(({ alert, expr, annotations }) => [alert, expr, annotations.summary] as const),
];

let mirror: BusyMirror;
let families: readonly Family[];

beforeAll(async () => {
  mirror = await busyMirror();
  families = parseExposition(await mirror.scrape());
});

afterAll(async () => {
  await mirror?.[Symbol.asyncDispose]();
});

describe('of a busy mirror', () => {
  test.each(expressions)('%s asks for series that there are: %s', (_, expression, legend) => {
    const selectors = selectorsOf(expression).filter(({ metric }) => metric !== 'up');
    expect(selectors.length + (expression.includes('up{') ? 1 : 0)).toBeGreaterThan(0);
    for (const selector of selectors)
      expect([selector.metric, selected(selector, families).length > 0]).toEqual([selector.metric, true]);
    const told = selectors
      .flatMap((selector) => selected(selector, families))
      .flatMap(({ labels }) => Object.keys(labels));
    for (const label of [...labelsOf(expression), ...placeholdersOf(legend)])
      expect(isAdded(label) || told.includes(label), label).toBe(true);
  });

  test('the dashboard leaves none of our figures out', () => {
    const asked = new Set(expressions.flatMap(([, expression]) => selectorsOf(expression)).map(({ metric }) => metric));
    const unasked = families
      .map(({ name, type }) => (type === 'histogram' ? `${name}_bucket` : name))
      .filter((name) => name.startsWith('stillwater_') && !asked.has(name));
    expect(unasked).toEqual([
      'stillwater_config_reloads_total',
      'stillwater_config_last_reload_success_timestamp_seconds',
    ]);
  });
});

describe('the dashboard', () => {
  test('asks the data source that is chosen, of the jobs and instances that are chosen', () => {
    const variables = dashboard.templating.list.map(({ name, type }) => [name, type]);
    expect(variables).toEqual([
      ['datasource', 'datasource'],
      ['job', 'query'],
      ['instance', 'query'],
    ]);
    for (const { datasource } of shown) expect(datasource?.uid).toBe(`$${'{datasource}'}`);
    for (const [, expression] of expressions.slice(0, expressions.length - rules.length))
      for (const { matchers } of selectorsOf(expression))
        expect(matchers.slice(0, 2).map(({ label, value }) => `${label} ${value}`)).toEqual([
          'job $job',
          'instance $instance',
        ]);
  });

  test('is of the form that Grafana reads: panels with ids of their own that lie beside each other and say what they show', () => {
    expect(dashboard.schemaVersion).toBeGreaterThanOrEqual(39);
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, n) => `${x + (n % w)} ${y + Math.floor(n / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    for (const { gridPos } of dashboard.panels) expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (const { title, description } of shown) expect(`${title}: ${description}`).toMatch(/: .*[\w)]\.$/);
  });
});

describe.skipIf(findTool('promtool') === undefined)('promtool', () => {
  const check = (...given: readonly string[]) => execFileSync('promtool', given, { encoding: 'utf8' });
  const pathOf = (name: string) => example(name).pathname;

  test('takes the rules, and the configuration that loads them', () => {
    expect(check('check', 'rules', pathOf('prometheus/alerts.yml'))).toContain(`${rules.length} rules found`);
    expect(check('check', 'config', pathOf('prometheus/scrape.yml'))).toContain('is valid');
  });

  test('sees each alert when it is time for it, and not before', () => {
    expect(check('test', 'rules', new URL('alerts.test.yml', import.meta.url).pathname)).toContain('SUCCESS');
    const tested = readFileSync(new URL('alerts.test.yml', import.meta.url), 'utf8');
    expect(rules.map(({ alert }) => alert).filter((alert) => !tested.includes(`alertname="${alert}"`))).toEqual([]);
  });
});
