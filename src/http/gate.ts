// The gate before the mirror: what a principal may pull goes on, and all else gets one answer, whatever kept it out.
import type { Access, Exposure } from '../access/access.ts';
import type { Principal } from '../access/principal.ts';
import { OciError } from '../oci/errors.ts';
import { formatRepository } from '../oci/repository.ts';
import { offlineUpstream } from '../upstream/offline-upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { unknownCode } from './errors.ts';
import { beforeAnswer, type Exchange } from './exchange.ts';

export interface Gate {
  readonly access: Access;
  /** `undefined` for a registry that is not configured. */
  readonly exposureOf: (registry: string) => Exposure | undefined;
}

/** The source as this principal may see it. Throws `OciError` 404, the same for "private", "denied" and "missing". */
export async function admit(exchange: Exchange, { access, exposureOf }: Gate, source: Source): Promise<Source> {
  const { upstream, repository } = source;
  const exposure = exposureOf(upstream.name) ?? 'private';
  const wish = { principal: exchange.get('principal'), repository, exposure };
  const ask = (signal: AbortSignal) => upstream.isPublic(repository.path, signal);
  const asking = { ask, address: exchange.get('address') };
  const decision = await (exposure === 'check'
    ? beforeAnswer(exchange, source, async (signal) => access.decide(wish, { ...asking, signal }))
    : access.decide(wish, { ...asking, signal: exchange.get('clientGone') }));
  if (decision.isAllowed) {
    if (decision.isPrivate) return { upstream, repository: { ...repository, isPrivate: true } };
    return decision.isUnsure ? asCached(source) : source;
  }
  exchange.set('refused', decision.why);
  throw new OciError(
    unknownCode(exchange.get('path')?.target.kind),
    `${formatRepository(repository)} does not exist upstream, or is not for whoever asks; if it is private, ask with ` +
      'credentials of this mirror that may see it, or pull from the registry itself',
  );
}

/** Whether `admit` would give this source as it is, without a question to anybody. */
export function isAdmitted(
  { access, exposureOf }: Gate,
  principal: Principal,
  { upstream, repository }: Source,
): boolean {
  const decision = access.decideNow({ principal, repository, exposure: exposureOf(upstream.name) ?? 'private' });
  return decision?.isAllowed === true && decision.isPrivate === (repository.isPrivate ?? false);
}

/** What everybody could see when it came is here for everybody; what is not here may have come since. */
function asCached({ repository, upstream: { name, label } }: Source): Source {
  const why =
    `it could not be confirmed within the last hour that everybody may still see ${formatRepository(repository)}, ` +
    'so nothing of it is fetched that is not here';
  return { repository, upstream: offlineUpstream({ name, label, why }) };
}

/** For a list of what is cached: of a name `registry/path`. */
export function mayList(exchange: Exchange, { access, exposureOf }: Gate, name: string): boolean {
  const slash = name.indexOf('/');
  const repository = { registry: name.slice(0, slash), path: name.slice(slash + 1) };
  const exposure = exposureOf(repository.registry);
  return exposure !== undefined && access.mayList({ principal: exchange.get('principal'), repository, exposure });
}
