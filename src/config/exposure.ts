// What an upstream may show beyond what it shows to everybody, as the configuration has it.
import type { Repository } from '../oci/repository.ts';
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

/** The repository, for content that no upstream has shown to everybody yet: private wherever it could be. */
export function unseen(config: Pick<Config, 'upstreams'>, repository: Repository): Repository {
  return exposureOf(config, repository.registry) === 'nothing' ? repository : { ...repository, isPrivate: true };
}
