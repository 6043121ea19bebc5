// Keys of the contract that this version does not act on: refused where ignoring them would mislead, else warned about.
import { isDeepStrictEqual } from 'node:util';
import { keyName, valueAt } from './keys.ts';
import type { Problem } from './problems.ts';
import type { Config } from './schema.ts';

export interface Unbuilt {
  readonly refusals: readonly Problem[];
  readonly warnings: readonly string[];
}

const REFUSED: Readonly<Record<string, string>> = {
  'prefetch.schedule': 'nothing would be pulled at those times; remove it',
  tier: 'nothing would be kept in the bucket; remove it',
  redis: 'replicas would not know of each other; remove it',
};

const WARNED: Readonly<Record<string, string>> = {
  'tracing.endpoint': 'no traces are sent',
};

/** Compares with the defaults: a key that is given as it would be anyway is neither refused nor warned about. */
export function findUnbuilt(config: Config, defaults: Config): Unbuilt {
  const refusals = changed(REFUSED, config, defaults).map(refusal);
  const warnings = changed(WARNED, config, defaults).map(warning);
  return { refusals, warnings };
}

interface Finding {
  readonly path: readonly string[];
  readonly why: string;
}

function changed(table: Readonly<Record<string, string>>, given: unknown, usual: unknown): Finding[] {
  return Object.entries(table).flatMap(([key, why]) => {
    const path = key.split('.');
    const value = valueAt(given, path);
    return value === undefined || isDeepStrictEqual(value, valueAt(usual, path)) ? [] : [{ path, why }];
  });
}

function refusal({ path, why }: Finding): Problem {
  return { path, message: `${keyName(path)} is not in this version: ${why}` };
}

function warning({ path, why }: Finding): string {
  return `${keyName(path)} has no effect in this version: ${why}`;
}
