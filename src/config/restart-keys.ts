// Which keys a reload cannot bring into effect, and how two configurations differ.
import { isDeepStrictEqual } from 'node:util';
import { keysAt, valueAt } from './keys.ts';
import type { Config } from './schema.ts';

/** What was opened at the start by these stays as it is until a restart; sections stand for all of their keys. */
export const restartKeys: readonly string[] = [
  'listen.host',
  'listen.port',
  'listen.tls',
  'listen.maxConnections',
  'admin.host',
  'admin.port',
  'cache.dir',
  'cache.maxFills',
  'cache.siblings',
  'tier',
  'redis',
  'log.format',
];

export interface ConfigChange {
  /** What can run from now on: `after`, with what needs a restart as it was. */
  readonly effective: Config;
  /** Key paths in effect from now on, as `tags.ttl`. */
  readonly changed: readonly string[];
  readonly needsRestart: readonly string[];
}

export function compareConfigs(before: Config, after: Config): ConfigChange {
  const keys = differing(before, after, []);
  // A listener can neither come nor go.
  const isAdminSwitched = (before.admin === null) !== (after.admin === null);
  const needsRestart = keys.filter((key) => restartKeys.some((fixed) => `${key}.`.startsWith(`${fixed}.`)));
  const kept = isAdminSwitched ? [...restartKeys, 'admin'] : restartKeys;
  return {
    effective: kept.reduce((config, key) => withValueOf(config, before, key.split('.')), after),
    changed: keys.filter((key) => !needsRestart.includes(key) && !(isAdminSwitched && key === 'admin')),
    needsRestart: [...needsRestart, ...(isAdminSwitched ? ['admin'] : [])],
  };
}

/** Down to what is no section; the upstreams one by one. */
function differing(before: unknown, after: unknown, path: readonly string[]): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isSection(before) || !isSection(after) || !hasKeys(path)) return [path.join('.')];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...keys].flatMap((key) => differing(before[key], after[key], [...path, key]));
}

/** A size, say, is an object here and one value to whoever writes it. */
function hasKeys(path: readonly string[]): boolean {
  return path[0] === 'upstreams' ? path.length === 1 : keysAt(path).length > 0;
}

function isSection(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function withValueOf<T>(config: T, other: unknown, [key, ...rest]: readonly string[]): T {
  if (key === undefined) return other as T;
  if (!isSection(config) || !isSection(other)) return config;
  return { ...config, [key]: withValueOf(config[key], valueAt(other, [key]), rest) };
}
