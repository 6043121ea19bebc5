// The realm of a Bearer challenge: the token server that a registry names, and whether it may be asked.
import type { Credentials } from '../credentials/credentials.ts';
import { UpstreamError } from '../upstream.ts';
import { sameOwner } from './same-owner.ts';

export interface RealmRules {
  readonly name: string;
  readonly endpoint: URL;
  /** Hosts, besides those of the endpoint's owner, that credentials may be shown to. */
  readonly realms: readonly string[];
}

/** Throws `UpstreamError` for what is no web address, or must not be asked with what would be shown there. */
export function checkRealm(text: string, credentials: Credentials | undefined, rules: RealmRules): URL {
  const { name, endpoint, realms } = rules;
  const realm = URL.parse(text);
  const refuse = (why: string) =>
    new UpstreamError('protocol', `upstream ${name} names a token server that must not be asked: ${why}`);
  if (!realm || !/^https?:$/.test(realm.protocol)) throw refuse('its realm is not a web address');
  if (endpoint.protocol === 'https:' && realm.protocol !== 'https:') throw refuse(`${realm.host} without TLS`);
  if (realm.username || realm.password) throw refuse('its realm holds credentials');
  // GHSA-3p65-76g6-3w7r: a registry must not be able to send our password wherever it likes.
  const isTrusted = sameOwner(realm.hostname, endpoint.hostname) || isListed(realm, realms);
  if (credentials && !isTrusted)
    throw refuse(
      `${realm.host} is not on the domain of ${endpoint.host}, and credentials are configured; ` +
        `if it may see them, add it to upstreams.${name}.realms`,
    );
  return realm;
}

function isListed({ host, hostname }: URL, realms: readonly string[]): boolean {
  return realms.some((listed) => listed.toLowerCase() === host || listed.toLowerCase() === hostname);
}
