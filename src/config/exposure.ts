// What an upstream may show beyond what it shows to everybody, as the configuration has it.
import type { Config } from './schema.ts';

/** `nothing` without credentials, unless visibility is `private`; `undefined` for a registry that is not configured. */
export function exposureOf(
  { upstreams }: Pick<Config, 'upstreams'>,
  name: string,
): 'nothing' | 'public' | 'private' | 'check' | undefined {
  const settings = Object.hasOwn(upstreams, name) ? upstreams[name] : upstreams['*'];
  if (!settings) return undefined;
  if (settings.visibility === 'private') return 'private';
  return settings.credentials ? settings.visibility : 'nothing';
}
