// Whether two hosts belong to one owner, so that one may see the credentials of the other.
import { parse } from 'tldts';

/** The same host, or hosts of one registrable domain: auth.docker.io may see what registry-1.docker.io may. */
export function sameOwner(one: string, other: string): boolean {
  if (one === other) return true;
  const domain = domainOf(one);
  return domain !== undefined && domain === domainOf(other);
}

/** Below a suffix that nobody lists, such as cluster.local, two labels may be anybody's. */
function domainOf(host: string): string | undefined {
  const { domain, isIcann, isPrivate } = parse(host, { allowPrivateDomains: true });
  return domain && (isIcann || isPrivate) ? domain : undefined;
}
