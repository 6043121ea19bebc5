// How the name of a host becomes addresses: as the system knows it, or as the DNS does.
import type { LookupAddress } from 'node:dns';
import { lookup, Resolver } from 'node:dns/promises';
import { Places } from './places.ts';

/**
 * Who chose a name: the operator (`own`), a registry inside the operator's network (`inside`), whose names may stand in
 * /etc/hosts or need a search domain, or anybody (`foreign`).
 */
export type NameOrigin = 'own' | 'inside' | 'foreign';

export type Resolve = (hostname: string, origin: NameOrigin) => Promise<readonly LookupAddress[]>;

/**
 * The system works on two names at a time, for the whole process and for as long as a name server likes: whoever may
 * name any host could keep both from all others. The DNS alone is asked without such places.
 */
export const resolveName: Resolve = (hostname, origin) => {
  if (origin === 'own') return bySystem(hostname);
  return origin === 'inside' ? inTurn(hostname) : resolveByDns(hostname);
};

const oneAtATime = new Places(1);
const patienceMs = 5000;

function bySystem(hostname: string): Promise<LookupAddress[]> {
  return lookup(hostname, { all: true });
}

async function inTurn(hostname: string): Promise<LookupAddress[]> {
  const leave = await oneAtATime.take(AbortSignal.timeout(patienceMs));
  return bySystem(hostname).finally(leave);
}

/** `servers`: those of resolv.conf, unless told. */
export async function resolveByDns(hostname: string, servers?: readonly string[]): Promise<LookupAddress[]> {
  // A new one knows resolv.conf as it is now.
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  if (servers) resolver.setServers(servers);
  const answers = await Promise.allSettled([
    resolver.resolve4(hostname).then((found) => found.map((address) => ({ address, family: 4 }))),
    resolver.resolve6(hostname).then((found) => found.map((address) => ({ address, family: 6 }))),
  ]);
  const addresses = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (addresses.length > 0) return addresses;
  const problems = answers.map((answer) => (answer.status === 'rejected' ? answer.reason : undefined));
  // That there is none of one kind says less than why there is none of the other.
  throw problems.find((problem) => problem?.code !== 'ENODATA') ?? problems[0];
}
