// Keys of the contract that this version does not act on: ignoring them would mislead, so they are refused.
import { isDeepStrictEqual } from 'node:util';
import { keyName, valueAt } from './keys.ts';
import type { Problem } from './problems.ts';
import type { Config } from './schema.ts';

const REFUSED: Readonly<Record<string, string>> = {
  tier: 'nothing would be kept in the bucket; remove it',
  redis: 'replicas would not know of each other; remove it',
};

/** Compares with the defaults: a key that is given as it would be anyway is not refused. */
export function findUnbuilt(config: Config, defaults: Config): readonly Problem[] {
  return Object.entries(REFUSED).flatMap(([key, why]) => {
    const path = key.split('.');
    const value = valueAt(config, path);
    if (value === undefined || isDeepStrictEqual(value, valueAt(defaults, path))) return [];
    return [{ path, message: `${keyName(path)} is not in this version: ${why}` }];
  });
}
