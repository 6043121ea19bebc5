// Registries that the configuration lets in without naming them: what "*" is for.
import { LRUCache } from 'lru-cache';
import { parse } from 'tldts';
import type { Upstream } from './upstream.ts';

export interface UnlistedOptions {
  readonly open: (name: string) => Upstream;
  /** Names that the configuration takes out: they stay unknown. */
  readonly except?: readonly string[] | undefined;
}

/** Whoever pulls can name a new one with every request. */
const maxOpen = 100;
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const dnsName = new RegExp(`^(?=.{1,253}$)(?:${label}\\.)+${label}$`);

export class Unlisted {
  readonly #options: UnlistedOptions;
  /**
   * What falls out is not closed: a fill may be in its middle and have more to ask. It goes when the last of those lets
   * go of it, and its idle connections end by themselves.
   */
  readonly #opened = new LRUCache<string, Upstream>({ max: maxOpen });

  constructor(options: UnlistedOptions) {
    this.#options = options;
  }

  get opened(): readonly Upstream[] {
    return [...this.#opened.values()];
  }

  /** Whether a name can be a public registry's: no address, no port, and below a suffix that ICANN knows. */
  admits(name: string): boolean {
    if (!dnsName.test(name) || this.#options.except?.includes(name)) return false;
    const { isIcann, isIp, domain } = parse(name);
    return isIcann === true && !isIp && domain !== null;
  }

  /** For a name that is admitted. */
  open(name: string): Upstream {
    const known = this.#opened.get(name);
    if (known) return known;
    const upstream = this.#options.open(name);
    this.#opened.set(name, upstream);
    return upstream;
  }
}
