// A configuration in the form of the file, to be shown: units as people write them, secrets hidden.
import { z } from 'zod';
import { isSecret, type KeyPath } from './keys.ts';
import { type Config, configSchema } from './schema.ts';

const HIDDEN = '(hidden)';

export function printableConfig(config: Config): Record<string, unknown> {
  // The schema's output is this type without its readonly.
  const given = z.encode(configSchema, config as z.output<typeof configSchema>);
  return hideSecrets(given, []) as Record<string, unknown>;
}

function hideSecrets(value: unknown, path: KeyPath): unknown {
  if (Array.isArray(value)) return value.map((item, at) => hideSecrets(item, [...path, at]));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hideSecrets(inner, [...path, key])]));
  }
  if (value === undefined || !isSecret(path)) return value;
  // Of a URL only the part that signs in is secret.
  const isUrl = path.at(-1) === 'url' && typeof value === 'string';
  return isUrl ? value.replace(/\/\/.*@/s, `//${HIDDEN}@`).replace(/[?#].*$/s, '') : HIDDEN;
}
