// Where an endpoint may lead us: which addresses may be dialled for redirects, token servers and itself.
import type { LookupAddress, LookupAllOptions } from 'node:dns';
import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { type AddressKind, addressKind } from './address-kind.ts';
import { UpstreamError } from './upstream.ts';

export interface AddressGuardOptions {
  /** The upstream's key in the configuration, for what an error tells to set. */
  readonly name: string;
  /** Its host may have any address: the operator named it. */
  readonly endpoint: URL;
  /** Whether others may be private or reserved; when unset they may be private if the endpoint is. */
  readonly allowPrivate: boolean | undefined;
  /** The endpoint was named by a client, so that it is as foreign as any other host. */
  readonly isOpenWorld?: boolean;
}

type Resolve = (hostname: string, options: LookupAllOptions) => Promise<readonly LookupAddress[]>;

export class AddressGuard {
  readonly #options: AddressGuardOptions;
  readonly #resolve: Resolve;
  /** Shared by all connections that open at once: the system works on few names at a time, for all upstreams. */
  readonly #lookups = new Map<string, Promise<readonly LookupAddress[]>>();
  /** The host that was configured. */
  readonly #ownHost: string | undefined;
  /** Whether that is on a private address; a name is where it was when it was last resolved. */
  #isPrivate = false;

  constructor(options: AddressGuardOptions, resolve: Resolve = systemLookup) {
    this.#options = options;
    this.#resolve = resolve;
    this.#ownHost = options.isOpenWorld ? undefined : hostOf(options.endpoint);
    if (this.#ownHost !== undefined) this.#learn(this.#ownHost, kindsInName(this.#ownHost));
  }

  /** Throws `UpstreamError` for an address that must not be dialled. A name is judged when it is resolved. */
  check(url: URL): void {
    const host = hostOf(url);
    const problem = this.#problem(host, kindsInName(host));
    if (problem) throw problem;
  }

  /** For `connect`: the answer that is judged is the one that is dialled, so that no second answer can differ. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    this.#addresses(hostname, { ...options, all: true }).then(
      (addresses) => {
        const [first] = addresses;
        if (options.all || !first) callback(null, [...addresses]);
        else callback(null, first.address, first.family);
      },
      (error) => callback(error, []),
    );
  };

  #addresses(hostname: string, options: LookupAllOptions): Promise<readonly LookupAddress[]> {
    const running = this.#lookups.get(hostname);
    if (running) return running;
    const judged = this.#resolve(hostname, options)
      .then((addresses) => this.#judged(withoutDot(hostname), addresses))
      .finally(() => this.#lookups.delete(hostname));
    this.#lookups.set(hostname, judged);
    return judged;
  }

  #judged(host: string, addresses: readonly LookupAddress[]): readonly LookupAddress[] {
    const kinds = addresses.map(({ address }) => addressKind(address));
    this.#learn(host, kinds);
    const problem = this.#problem(host, kinds);
    if (problem) throw problem;
    return addresses;
  }

  #learn(host: string, kinds: readonly AddressKind[]): void {
    if (host === this.#ownHost) this.#isPrivate = kinds.length > 0 && kinds.every((kind) => kind === 'private');
  }

  /** One bad address among good ones is no accident: none is dialled then. */
  #problem(host: string, kinds: readonly AddressKind[]): UpstreamError | undefined {
    const kind = kinds.find((kind) => !this.#permits(kind));
    if (kind === undefined || host === this.#ownHost) return undefined;
    const { name, isOpenWorld } = this.#options;
    const remedy = isOpenWorld
      ? 'a registry that the configuration does not name must be public'
      : `set upstreams.${name}.allowPrivate to true if that is meant`;
    const where = `upstream ${name} leads where we must not follow: ${host}`;
    return new UpstreamError('protocol', `${where}: its address is ${kind}; ${remedy}`);
  }

  #permits(kind: AddressKind): boolean {
    const { allowPrivate, isOpenWorld } = this.#options;
    if (kind === 'public') return true;
    if (isOpenWorld) return false;
    if (allowPrivate !== undefined) return allowPrivate;
    return kind === 'private' && this.#isPrivate;
  }
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
  return /^(?:.*\.)?localhost$/.test(host) ? ['private'] : [];
}
