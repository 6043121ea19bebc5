// The keys that an issuer signs with: found through its discovery document, kept, and asked for again when they change.
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTHeaderParameters } from 'jose';
import { errorText } from '../observe/log.ts';
import { fetchJson } from './fetch-json.ts';

export interface IssuerKeysOptions {
  readonly fetch?: typeof fetch;
  /** For discovery and keys together. */
  readonly timeoutMs?: number;
  /** A monotonic clock, in milliseconds. */
  readonly clock?: () => number;
  /** At most once a minute. */
  readonly onProblem?: (problem: string) => void;
}

type KeySet = ReturnType<typeof createLocalJWKSet>;
type Key = Awaited<ReturnType<KeySet>>;

const freshMs = 10 * 60_000;
/** As long as the issuer cannot be asked. */
const staleMs = 24 * 60 * 60_000;
/** What could not be had is not asked for again before that. */
const retryMs = 10_000;
/** Anybody can write a token that names a key nobody has. */
const unknownKeyMs = 30_000;
const tellMs = 60_000;
const never = Number.NEGATIVE_INFINITY;

export class IssuerKeys {
  readonly #issuer: string;
  readonly #options: IssuerKeysOptions;
  readonly #clock: () => number;
  #keys: KeySet | undefined;
  #fetchedAt = never;
  #failedAt = never;
  #searchedAt = never;
  #toldAt = never;
  #fetching: Promise<void> | undefined;

  constructor(issuer: string, options: IssuerKeysOptions = {}) {
    this.#issuer = issuer;
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
  }

  /** Throws when there is no such key, or the issuer could not be asked for it. */
  async find(header: JWTHeaderParameters): Promise<Key> {
    const isOld = this.#age > freshMs;
    if (isOld) await this.#refresh();
    try {
      return await this.#kept()(header);
    } catch (error) {
      if (isOld || !(error instanceof errors.JWKSNoMatchingKey)) throw error;
      await this.#search();
      return await this.#kept()(header);
    }
  }

  get #age(): number {
    return this.#clock() - this.#fetchedAt;
  }

  #kept(): KeySet {
    if (!this.#keys || this.#age > staleMs) throw new Error(`the keys of ${this.#issuer} are not known`);
    return this.#keys;
  }

  /** For a key that may be newer than those we have; several searches at the same time are one. */
  async #search(): Promise<void> {
    if (this.#fetching) return this.#fetching;
    if (this.#clock() - this.#searchedAt < unknownKeyMs) return;
    this.#searchedAt = this.#clock();
    await this.#refresh();
  }

  async #refresh(): Promise<void> {
    if (!this.#fetching && this.#clock() - this.#failedAt < retryMs) return;
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    await this.#fetching;
  }

  async #fetch(): Promise<void> {
    try {
      this.#keys = createLocalJWKSet(await this.#download());
      this.#fetchedAt = this.#clock();
    } catch (error) {
      this.#failedAt = this.#clock();
      this.#tell(`the keys of ${this.#issuer} could not be had: ${errorText(error)}`);
    }
  }

  async #download(): Promise<JSONWebKeySet> {
    const { fetch: ask = fetch, timeoutMs = 5000 } = this.#options;
    const options = { fetch: ask, signal: AbortSignal.timeout(timeoutMs) };
    const document = await fetchJson(`${this.#issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, options);
    const { issuer, jwks_uri: uri } = Object(document) as Readonly<Record<string, unknown>>;
    if (issuer !== this.#issuer)
      throw new Error(`its discovery document is that of another issuer, ${JSON.stringify(issuer)?.slice(0, 200)}`);
    return (await fetchJson(this.#allowed(uri), options)) as JSONWebKeySet;
  }

  /** Keys that came without TLS would be anybody's, unless the issuer itself is believed without. */
  #allowed(uri: unknown): string {
    const schemes = this.#issuer.startsWith('http://') ? ['http://', 'https://'] : ['https://'];
    const url = typeof uri === 'string' ? URL.parse(uri)?.href : undefined;
    if (url !== undefined && schemes.some((scheme) => url.startsWith(scheme))) return url;
    throw new Error(`its discovery document has no jwks_uri that begins with ${schemes.join(' or ')}`);
  }

  #tell(problem: string): void {
    if (this.#clock() - this.#toldAt < tellMs) return;
    this.#toldAt = this.#clock();
    this.#options.onProblem?.(problem);
  }
}
