// From a name as people write it to the repository whose content may be in the cache.
import { OciError } from '../oci/errors.ts';
import { isRepositoryPath, type Repository } from '../oci/repository.ts';
import type { Upstreams } from '../upstream/upstreams.ts';

const nowhereElse = { ns: undefined, prefix: undefined };

/**
 * By its whole name also where its registry is not configured any more, or it may not be pulled any more: what was
 * cached of it can still be looked at and let go. Throws `OciError`.
 */
export function cachedRepository(name: string, upstreams: Pick<Upstreams, 'route'>): Repository {
  try {
    return upstreams.route(name, nowhereElse).repository;
  } catch (error) {
    const whole = wholeName(name);
    if (error instanceof OciError && (error.code === 'NAME_UNKNOWN' || error.code === 'DENIED') && whole) return whole;
    throw error;
  }
}

function wholeName(name: string): Repository | undefined {
  const slash = name.indexOf('/');
  const path = name.slice(slash + 1);
  return slash > 0 && isRepositoryPath(path) ? { registry: name.slice(0, slash), path } : undefined;
}
