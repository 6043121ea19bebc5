// The tokens of our own token endpoint: short, opaque, and worth no more than what they were issued for.
import { createHash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Principal } from './principal.ts';

export interface IssuedToken {
  readonly token: string;
  readonly expiresInSeconds: number;
}

interface Issued {
  readonly principal: Principal;
  readonly isStillGood: () => boolean;
  readonly expiresAtMs: number;
}

const prefix = 'swi_';
const tokenForm = /^swi_[\w-]{43}$/;
const lifeSeconds = 300;
/** Beyond it the one that was not used for longest goes; its client asks for another. */
const mostIssued = 10_000;

export class IssuedTokens {
  readonly #now: () => number;
  // By the hash of the text: how long a look takes says nothing of a text.
  readonly #issued = new LRUCache<string, Issued>({ max: mostIssued });

  /** `now`: milliseconds that only go forward. */
  constructor({ now = () => performance.now() }: { readonly now?: () => number } = {}) {
    this.#now = now;
  }

  /** `isStillGood` is asked at each use: a token does not outlive the credentials that it was given for. */
  issue(principal: Principal, isStillGood: () => boolean): IssuedToken {
    const token = prefix + randomBytes(32).toString('base64url');
    this.#issued.set(keyOf(token), { principal, isStillGood, expiresAtMs: this.#now() + lifeSeconds * 1000 });
    return { token, expiresInSeconds: lifeSeconds };
  }

  find(token: string): Principal | undefined {
    if (!tokenForm.test(token)) return undefined;
    const key = keyOf(token);
    const issued = this.#issued.get(key);
    if (!issued) return undefined;
    if (this.#now() < issued.expiresAtMs && issued.isStillGood()) return issued.principal;
    this.#issued.delete(key);
    return undefined;
  }
}

function keyOf(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}
