// Named tokens for programs: known by the hash of their text, within their scopes, until they expire.
import { createHash, randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { compileGlob } from '../oci/glob.ts';
import type { Principal } from './principal.ts';
import type { TokenRecord } from './token-file.ts';

export interface NamedToken extends Principal {
  readonly name: string;
  readonly by: 'token';
}

interface Entry {
  readonly record: TokenRecord;
  readonly token: NamedToken;
  readonly expiresAtMs: number;
}

const prefix = 'swt_';
const tokenForm = /^swt_[\w-]{43}$/;

/** The text of a new token, of 256 random bits. */
export function newTokenText(): string {
  return prefix + randomBytes(32).toString('base64url');
}

export function tokenHash(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

export class Tokens {
  readonly #now: () => number;
  readonly #lastUses = new Map<string, number>();
  // By the hash of the text: how long a look takes says nothing of a text.
  #byHash: ReadonlyMap<string, Entry> = new Map();
  #byName: ReadonlyMap<string, Entry> = new Map();

  constructor({ now = Date.now }: { readonly now?: () => number } = {}) {
    this.#now = now;
  }

  /** From now on these tokens and no others. */
  use(records: readonly TokenRecord[]): void {
    const entries = records.map((record) => this.#entryOf(record));
    this.#byHash = new Map(entries.map((entry) => [entry.record.sha256, entry]));
    this.#byName = new Map(entries.map((entry) => [entry.record.name, entry]));
    for (const name of this.#lastUses.keys()) if (!this.#byName.has(name)) this.#lastUses.delete(name);
  }

  /** Counts as a use. `undefined` for what is no token of ours, or no more. */
  find(text: string): NamedToken | undefined {
    if (!tokenForm.test(text)) return undefined;
    const entry = this.#byHash.get(tokenHash(text));
    if (!entry || !this.#isCurrent(entry)) return undefined;
    this.#lastUses.set(entry.token.name, this.#now());
    return entry.token;
  }

  /** Whether what `find` gave is still in the file, with the same scopes, and has not expired. Counts as no use. */
  isStillGood(token: NamedToken): boolean {
    const entry = this.#byName.get(token.name);
    return entry?.token === token && this.#isCurrent(entry);
  }

  /** Milliseconds since 1970, by name. */
  lastUses(): ReadonlyMap<string, number> {
    return this.#lastUses;
  }

  /** Takes over uses before this process, of tokens that are still there. */
  recall(uses: ReadonlyMap<string, number>): void {
    for (const [name, usedAt] of uses) {
      if (this.#byName.has(name)) this.#lastUses.set(name, Math.max(usedAt, this.#lastUses.get(name) ?? 0));
    }
  }

  #isCurrent({ expiresAtMs }: Entry): boolean {
    return this.#now() < expiresAtMs;
  }

  #entryOf(record: TokenRecord): Entry {
    const before = this.#byHash.get(record.sha256);
    if (before && isDeepStrictEqual(before.record, record)) return before;
    const { name, scopes, expiresAt } = record;
    const globs = scopes?.map(compileGlob);
    const covers = globs && ((repository: string) => globs.some((matches) => matches(repository)));
    const expiresAtMs = expiresAt === undefined ? Number.POSITIVE_INFINITY : Date.parse(expiresAt);
    return { record, token: { name, by: 'token', ...(covers && { covers }) }, expiresAtMs };
  }
}
