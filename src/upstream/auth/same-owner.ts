// Whether two hosts belong to one owner, so that one may see the credentials of the other.
import { getDomain } from 'tldts';

/** The same host, or hosts of one registrable domain: auth.docker.io may see what registry-1.docker.io may. */
export function sameOwner(one: string, other: string): boolean {
  if (one === other) return true;
  const domain = getDomain(one, { allowPrivateDomains: true });
  return domain !== null && domain === getDomain(other, { allowPrivateDomains: true });
}
