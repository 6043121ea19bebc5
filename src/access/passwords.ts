// Whether a password is a user's: hashed off the event loop, seldom, and never more than a core can bear.
import { createHmac, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { addressBlock } from './address-block.ts';
import { isPasswordOf } from './bcrypt.ts';
import { HashTurns } from './hash-turns.ts';
import { mostPasswordBytes } from './htpasswd.ts';
import type { Lockout } from './lockout.ts';

export interface PasswordsOptions {
  readonly lockout: Lockout;
  /** Milliseconds that only go forward. */
  readonly now?: () => number;
  /** Hashes at once. */
  readonly hashes?: 1 | 2;
  /** Attempts that wait for a hash at most. */
  readonly waiting?: number;
  readonly compare?: (hash: string, password: string) => Promise<boolean>;
}

export interface Attempt {
  readonly user: string;
  readonly password: string;
  /** Of the client. */
  readonly address: string;
}

/** `locked`: too many wrong ones came from there; `busy`: too many wait for an answer. Neither says anything of the password. */
export type Verdict = 'right' | 'wrong' | 'locked' | 'busy';

interface Remembered {
  /** The user's hash at that time: with another, nothing is remembered. */
  readonly hash: string | undefined;
  readonly until: number;
}

const rememberedMs = 60_000;
const mostRemembered = 10_000;
const mostOfOneAddress = 8;
const patienceMs = 5000;

export class Passwords {
  readonly #lockout: Lockout;
  readonly #now: () => number;
  readonly #compare: (hash: string, password: string) => Promise<boolean>;
  readonly #turns: HashTurns;
  readonly #flights = new Map<string, Promise<Verdict>>();
  // Two, so that no flood of wrong passwords can push out a right one.
  readonly #right = new LRUCache<string, Remembered>({ max: mostRemembered });
  readonly #wrong = new LRUCache<string, Remembered>({ max: mostRemembered });
  readonly #knownAddresses = new LRUCache<string, true>({ max: mostRemembered });
  readonly #secret = randomBytes(32);
  #hashes: ReadonlyMap<string, string> = new Map();
  #decoys: readonly string[] = [];

  constructor(options: PasswordsOptions) {
    const { lockout, now = () => performance.now(), hashes = 1, waiting = 32, compare = isPasswordOf } = options;
    this.#lockout = lockout;
    this.#now = now;
    this.#compare = compare;
    this.#turns = new HashTurns({
      atOnce: hashes,
      mostWaiting: waiting,
      mostOfOne: mostOfOneAddress,
      patienceMs,
      now,
    });
  }

  /** From now on these users, and what was learned of any whose hash is another is forgotten. */
  use(hashes: ReadonlyMap<string, string>): void {
    this.#hashes = hashes;
    this.#decoys = [...hashes.values()];
  }

  /** `undefined` for who is no user. */
  hashOf(user: string): string | undefined {
    return this.#hashes.get(user);
  }

  async verify(attempt: Attempt): Promise<boolean> {
    return (await this.judge(attempt)) === 'right';
  }

  /** As `verify`, and says why not. */
  async judge(attempt: Attempt): Promise<Verdict> {
    if (this.#hashes.size === 0) return 'wrong';
    const key = this.#keyOf(attempt);
    const settled = this.#settled(attempt, key);
    if (settled) return settled;
    // One pull asks for many things at once, all with the same password.
    const flightKey = `${addressBlock(attempt.address)} ${key}`;
    const joined = this.#flights.get(flightKey);
    if (joined) return joined;
    const flight = this.#find(attempt, key).finally(() => this.#flights.delete(flightKey));
    this.#flights.set(flightKey, flight);
    return flight;
  }

  async #find(attempt: Attempt, key: string): Promise<Verdict> {
    const address = addressBlock(attempt.address);
    const asker = { address, isKnown: this.#knownAddresses.has(address) };
    // What was waited for may have become clear meanwhile, and the address locked.
    const verdict = await this.#turns.run(asker, async () => this.#settled(attempt, key) ?? this.#hash(attempt, key));
    return verdict ?? 'busy';
  }

  /** What needs no hash. */
  #settled({ user, password, address }: Attempt, key: string): Verdict | undefined {
    if (this.#isRemembered(this.#right, key, user)) {
      this.#remember(this.#right, key, this.#hashes.get(user));
      return 'right';
    }
    if (this.#lockout.isLocked(address)) return 'locked';
    // The same again tells nobody more, and dockerd shows the wrong login of its user with each request.
    return isPossible(password) && !this.#isRemembered(this.#wrong, key, user) ? undefined : 'wrong';
  }

  async #hash({ user, password, address }: Attempt, key: string): Promise<Verdict> {
    const hash = this.#hashes.get(user);
    const isMatch = await this.#compare(hash ?? this.#decoyOf(user), password);
    // Who was removed, or given another password, while this was hashed is refused.
    const isRight = isMatch && hash !== undefined && this.#hashes.get(user) === hash;
    if (isRight) this.#knownAddresses.set(addressBlock(address), true);
    else this.#lockout.failed(address);
    this.#remember(isMatch && hash !== undefined ? this.#right : this.#wrong, key, hash);
    return isRight ? 'right' : 'wrong';
  }

  /** A hash of somebody, and for one name always the same, so that a name that is no user's takes as long as one that is. */
  #decoyOf(user: string): string {
    const at = createHmac('sha256', this.#secret).update(user).digest().readUInt32BE() % this.#decoys.length;
    return this.#decoys[at] ?? '';
  }

  #isRemembered(memory: LRUCache<string, Remembered>, key: string, user: string): boolean {
    const remembered = memory.get(key);
    return remembered !== undefined && remembered.until > this.#now() && remembered.hash === this.#hashes.get(user);
  }

  #remember(memory: LRUCache<string, Remembered>, key: string, hash: string | undefined): void {
    memory.set(key, { hash, until: this.#now() + rememberedMs });
  }

  /** Says nothing of the password to who does not have this process's secret. */
  #keyOf({ user, password }: Attempt): string {
    return createHmac('sha256', this.#secret).update(`${user.length}:${user}:${password}`).digest('base64');
  }
}

function isPossible(password: string): boolean {
  return !password.includes('\0') && Buffer.byteLength(password) <= mostPasswordBytes;
}
