// Where an endpoint may lead us: which addresses may be dialled for redirects, token servers and itself.
import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { type AddressKind, addressKind } from './address-kind.ts';
import { type NameOrigin, type Resolve, resolveName } from './names.ts';
import { UpstreamError } from './upstream.ts';

export interface AddressGuardOptions {
  /** The upstream's key in the configuration, for what an error tells to set. */
  readonly name: string;
  /** Its host may be private or on loopback: the operator named it. */
  readonly endpoint: URL;
  /** Whether others may be private or reserved; when unset they may be as near as the endpoint is. */
  readonly allowPrivate: boolean | undefined;
  /** The endpoint was named by a client, so that it is as foreign as any other host. */
  readonly isOpenWorld?: boolean;
}

/** From what everybody may be led to, to what nobody is led to unasked. */
const nearness: readonly AddressKind[] = ['public', 'private', 'loopback', 'reserved'];
const [farthest, nearest] = [0, nearness.length - 1];

export class AddressGuard {
  readonly #options: AddressGuardOptions;
  readonly #resolve: Resolve;
  /** Shared by all connections that open at once. */
  readonly #lookups = new Map<string, Promise<readonly LookupAddress[]>>();
  /** The host that was configured. */
  readonly #ownHost: string | undefined;
  /** How near that may be: as it is written, or as its name was when it was first resolved. Its DNS may be another's. */
  #ownReach: number | undefined;
  /** How near others may be: as the endpoint was whenever it was resolved. */
  #othersReach = farthest;

  constructor(options: AddressGuardOptions, resolve: Resolve = resolveName) {
    this.#options = options;
    this.#resolve = resolve;
    this.#ownHost = options.isOpenWorld ? undefined : hostOf(options.endpoint);
    if (this.#ownHost !== undefined) this.#learn(kindsInName(this.#ownHost));
  }

  /** Throws `UpstreamError` for an address that must not be dialled. A name is judged when it is resolved. */
  check(url: URL): void {
    const host = hostOf(url);
    const problem = this.#problem(host, kindsInName(host));
    if (problem) throw problem;
  }

  /** For `connect`: the answer that is judged is the one that is dialled, so that no second answer can differ. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#addresses(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (options.all || !first) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      },
      (error) => callback(error, []),
    );
  };

  #addresses(hostname: string): Promise<readonly LookupAddress[]> {
    const running = this.#lookups.get(hostname);
    if (running) return running;
    const host = withoutDot(hostname);
    const judged = this.#resolve(hostname, this.#originOf(host))
      .then((addresses) => this.#judged(host, addresses))
      .finally(() => this.#lookups.delete(hostname));
    this.#lookups.set(hostname, judged);
    return judged;
  }

  #originOf(host: string): NameOrigin {
    if (host === this.#ownHost) return 'own';
    return this.#reach > farthest ? 'inside' : 'foreign';
  }

  #judged(host: string, addresses: readonly LookupAddress[]): readonly LookupAddress[] {
    const kinds = addresses.map(({ address }) => addressKind(address));
    if (host === this.#ownHost && this.#ownReach === undefined && !kinds.includes('reserved')) this.#learn(kinds);
    const problem = this.#problem(host, kinds);
    if (problem) throw problem;
    // Where it is now leads no farther in than where it was.
    if (host === this.#ownHost) this.#othersReach = Math.min(this.#othersReach, ...kinds.map(nearnessOf));
    return addresses;
  }

  #learn(kinds: readonly AddressKind[]): void {
    if (kinds.length === 0) return;
    const reaches = kinds.map(nearnessOf);
    this.#ownReach = Math.max(...reaches);
    this.#othersReach = this.#ownReach === nearest ? farthest : Math.min(...reaches);
  }

  /** One bad address among good ones is no accident: none is dialled then. */
  #problem(host: string, kinds: readonly AddressKind[]): UpstreamError | undefined {
    const isOwn = host === this.#ownHost;
    const reach = isOwn ? Math.max(this.#ownReach ?? farthest, this.#reach) : this.#reach;
    const kind = kinds.find((kind) => nearnessOf(kind) > reach);
    if (kind === undefined) return undefined;
    const { name, isOpenWorld } = this.#options;
    const remedy = isOpenWorld
      ? 'a registry that the configuration does not name must be public'
      : `set upstreams.${name}.allowPrivate to true if that is meant`;
    const where = `upstream ${name} leads where we must not follow: ${host}`;
    return new UpstreamError('protocol', `${where}: its address is ${kind}; ${remedy}`);
  }

  /** How near anybody but the endpoint itself may be. */
  get #reach(): number {
    const { allowPrivate, isOpenWorld } = this.#options;
    if (isOpenWorld || allowPrivate === false) return farthest;
    return allowPrivate ? nearest : this.#othersReach;
  }
}

function nearnessOf(kind: AddressKind): number {
  return nearness.indexOf(kind);
}

function hostOf({ hostname }: URL): string {
  return withoutDot(hostname.replace(/^\[(.*)\]$/, '$1'));
}

function withoutDot(host: string): string {
  return host.replace(/\.$/, '').toLowerCase();
}

/** What can be told without asking anybody; behind a proxy nobody else of us will ask. */
function kindsInName(host: string): AddressKind[] {
  if (isIP(host) !== 0) return [addressKind(host)];
  return /^(?:.*\.)?localhost$/.test(host) ? ['loopback'] : [];
}
