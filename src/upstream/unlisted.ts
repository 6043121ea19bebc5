// Registries that the configuration lets in without naming them: what "*" is for.
import { parse } from 'tldts';
import { offlineUpstream } from './offline-upstream.ts';
import { type Upstream, unlisted } from './upstream.ts';

export interface UnlistedOptions {
  readonly open: (name: string) => Upstream;
  /** Names that the configuration takes out: they stay unknown. */
  readonly except?: readonly string[] | undefined;
  /** A monotonic clock, in milliseconds. */
  readonly now?: (() => number) | undefined;
}

interface Opened {
  readonly upstream: Upstream;
  readonly usedAt: number;
}

/** Whoever pulls can name a new one with every request. */
const maxOpen = 100;
/** One that was used so lately may have more to do. */
const inUseMs = 60_000;
const tooMany = `${maxOpen} registries that the configuration does not name were in use within the last minute`;
const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const dnsName = new RegExp(`^(?=.{1,253}$)(?:${label}\\.)+${label}$`);

export class Unlisted {
  readonly #options: UnlistedOptions;
  readonly #now: () => number;
  /**
   * The one that was used longest ago first. What falls out is not closed: a fill may be in its middle and have more to
   * ask. It goes when the last of those lets go of it, and its idle connections end by themselves.
   */
  readonly #opened = new Map<string, Opened>();

  constructor(options: UnlistedOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  get opened(): readonly Upstream[] {
    return [...this.#opened.values()].map(({ upstream }) => upstream);
  }

  /** Whether a name can be a public registry's: no address, no port, and below a suffix that ICANN knows. */
  admits(name: string): boolean {
    if (!dnsName.test(name) || this.#options.except?.includes(name)) return false;
    const { isIcann, isIp, domain } = parse(name);
    return isIcann === true && !isIp && domain !== null;
  }

  /** For a name that is admitted. While too many others are in use, what it gives cannot be asked. */
  open(name: string): Upstream {
    const known = this.#opened.get(name);
    if (!known && !this.#hasRoom()) return offlineUpstream({ name, label: unlisted, why: tooMany });
    const upstream = known?.upstream ?? this.#options.open(name);
    this.#opened.delete(name);
    this.#opened.set(name, { upstream, usedAt: this.#now() });
    return upstream;
  }

  /** Or makes it. */
  #hasRoom(): boolean {
    if (this.#opened.size < maxOpen) return true;
    const [oldest] = this.#opened;
    if (!oldest || this.#now() - oldest[1].usedAt < inUseMs) return false;
    return this.#opened.delete(oldest[0]);
  }
}
