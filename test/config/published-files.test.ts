// config.example.json and config.schema.json say what the schema says.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { configurationPage } from '../../docs/configuration-page.ts';
import { allKeys, keysAt } from '../../src/config/keys.ts';
import { defaultConfig, loadConfig } from '../../src/config/load.ts';
import { printableConfig } from '../../src/config/printable.ts';
import { configJsonSchema } from '../../src/config/schema.ts';
import { directoryWith } from './config-files.ts';

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly anyOf?: readonly Node[];
  readonly additionalProperties?: Node | boolean;
  readonly items?: Node;
  readonly default?: unknown;
  readonly description?: string;
}

const published = (name: string) => new URL(`../../${name}`, import.meta.url);
const readJson = (name: string) => JSON.parse(readFileSync(published(name), 'utf8'));

test('the example loads as the defaults', () => {
  const example = readFileSync(published('config.example.json'), 'utf8');
  const cwd = directoryWith({ 'config.json': example });
  expect(loadConfig({ cwd, env: {} })).toEqual({ config: defaultConfig(), file: 'config.json' });
});

test('the example holds every key that has a default, and for the upstreams every key of each', () => {
  const { $schema, ...example } = readJson('config.example.json');
  const { tracing, ...printed } = JSON.parse(JSON.stringify(printableConfig(defaultConfig())));
  expect([$schema, tracing]).toEqual(['./config.schema.json', {}]);
  expect(example).toEqual(printed);
  expect(leaves(configJsonSchema() as Node, []).filter(([path]) => at(example, path) === undefined)).toEqual([]);
});

test('the schema file is up to date: npm run schema writes it', () => {
  expect(readJson('config.schema.json')).toEqual(configJsonSchema());
});

test('docs/configuration.md is up to date: npm run docs writes it', () => {
  expect(readFileSync(published('docs/configuration.md'), 'utf8')).toBe(configurationPage());
});

test('docs/configuration.md has a row for every key that holds a value', () => {
  const page = configurationPage();
  const names = allKeys(['docker.io'])
    .filter((path) => keysAt(path).length === 0 && !path.includes('credentials'))
    .map((path) => path.join('.').replace('docker.io', 'NAME'))
    .filter((name) => name !== '$schema' && name !== 'upstreams');
  expect(names.length).toBeGreaterThan(50);
  expect(names.filter((name) => !page.includes(`| \`${name}\``))).toEqual([]);
});

test('every key has one sentence on what it does', () => {
  expect(undescribed(configJsonSchema() as Node, '')).toEqual([]);
});

function leaves(node: Node, path: readonly string[]): [readonly string[], unknown][] {
  const inner = node.properties ?? node.anyOf?.find((each) => each.properties)?.properties;
  if (inner) return Object.entries(inner).flatMap(([key, each]) => leaves(each, [...path, key]));
  // A default within something that has none itself, such as a tier, is no default of the whole.
  return node.default === undefined || path[0] === 'tier' || path[0] === 'redis' ? [] : [[path, node.default]];
}

function undescribed(node: Node, path: string): string[] {
  const own = Object.entries(node.properties ?? {}).flatMap(([key, each]) => [
    ...(each.description === undefined ? [`${path}.${key}`] : []),
    ...undescribed(each, `${path}.${key}`),
  ]);
  const others = [...(node.anyOf ?? []), node.items, node.additionalProperties];
  return [...own, ...others.flatMap((each) => (typeof each === 'object' ? undescribed(each, `${path}[]`) : []))];
}

function at(from: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], from);
}
