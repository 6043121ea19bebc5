// Shows a login's credentials to one registry, which locks out who goes on with a bad password.
import { type Credentials, sameCredentials } from '../credentials/credentials.ts';
import type { Login } from '../credentials/login.ts';
import { UpstreamError } from '../upstream.ts';

/**
 * Asks with these credentials. Throws `UpstreamError` 'login' when they were refused, 'denied' when they may have been.
 * Who waits between the two says `mayGo` before they are sent, and throws where it is `false`.
 */
export type Ask<T> = (credentials: Credentials | undefined, mayGo: () => boolean) => Promise<T>;

export interface ShowOptions {
  /** Whether they are good for anything, after a 'denied'. Throws `UpstreamError` 'login' when they are not. */
  readonly check?: ((credentials: Credentials) => Promise<unknown>) | undefined;
  /** Those of one lane wait for each other; what waits for a transfer must not hold up what does not. */
  readonly lane?: string;
}

/** Credentials that were refused, and until when they are not shown again. */
interface Refused {
  readonly credentials: Credentials;
  readonly restMs: number;
  readonly until: number;
}

const restMs = 60_000;
const longestRestMs = 15 * 60_000;

export class ShownLogin {
  readonly #login: Login;
  readonly #onRefused: (problem: string) => void;
  /** What the registry took last. */
  #accepted: Credentials | undefined;
  /** By lane: credentials that it has not taken yet are on their way. They never reject. */
  readonly #trials = new Map<string, Promise<void>>();
  readonly #checks = new Map<Credentials, Promise<unknown>>();
  #refused: Refused | undefined;
  #restsUntil = Number.NEGATIVE_INFINITY;
  #problem: string | undefined;

  constructor(login: Login, onRefused: (problem: string) => void = () => {}) {
    this.#login = login;
    this.#onRefused = onRefused;
  }

  /** Its credentials were refused, or could not be had: for a minute nobody sees them, then others may be there. */
  get isRefused(): boolean {
    return performance.now() < this.#restsUntil;
  }

  /** Why it was refused last; `undefined` since it was taken. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Until it is tried again; `undefined` when it may be now. */
  get retryInMs(): number | undefined {
    const waitMs = Math.max(this.#restsUntil, this.#refused?.until ?? 0) - performance.now();
    return waitMs > 0 ? waitMs : undefined;
  }

  /** The registry took these, and nobody has heard otherwise since. */
  takes(credentials: Credentials): boolean {
    return this.#accepted !== undefined && sameCredentials(this.#accepted, credentials);
  }

  /** What may be shown now; `undefined`: nothing. Throws `UpstreamError` 'login' while it rests. */
  async credentials(): Promise<Credentials | undefined> {
    if (this.isRefused) throw this.#resting();
    let credentials: Credentials | undefined;
    try {
      credentials = await this.#login.credentials();
    } catch (error) {
      throw this.#settled(error);
    }
    const { until = 0 } = credentials && this.#isOfRefused(credentials) ? (this.#refused ?? {}) : {};
    const now = performance.now();
    if (now < until) this.#restsUntil = Math.min(until, now + restMs);
    if (this.isRefused) throw this.#resting();
    return credentials;
  }

  /** Asks, and once more after a refusal if the login then has others. Refused to the end, it rests. */
  async show<T>(ask: Ask<T>, { check, lane = '' }: ShowOptions = {}): Promise<T> {
    for (let before: { credentials: Credentials; error: unknown } | undefined; ; ) {
      const credentials = await this.credentials();
      if (!credentials) return ask(undefined, () => true);
      if (before && sameCredentials(before.credentials, credentials)) throw this.#settled(before.error, credentials);
      // A hundred pulls at the start must not show one bad password a hundred times: one goes ahead.
      if (!this.takes(credentials)) {
        const trial = this.#trials.get(lane);
        if (!trial) return this.#try(credentials, ask, { check, lane });
        await trial;
        continue;
      }
      try {
        return await ask(credentials, () => this.takes(credentials));
      } catch (error) {
        if (!isLogin(error) && !(check && isDenied(error))) throw error;
        // Others have found out meanwhile.
        if (!this.takes(credentials)) continue;
        const verdict = await this.#verdict(error, credentials, check);
        if (!isLogin(verdict)) throw verdict;
        if (this.takes(credentials)) this.#accepted = undefined;
        if (before || !this.#login.refused(credentials)) throw this.#settled(verdict, credentials);
        before = { credentials, error: verdict };
      }
    }
  }

  /** One check at a time, however many were refused. */
  check(credentials: Credentials, how: () => Promise<unknown>): Promise<unknown> {
    const known = this.#checks.get(credentials);
    if (known) return known;
    const checking = how().finally(() => this.#checks.delete(credentials));
    this.#checks.set(credentials, checking);
    return checking;
  }

  #try<T>(credentials: Credentials, ask: Ask<T>, { check, lane }: ShowOptions & { lane: string }): Promise<T> {
    const trying = this.#tried(credentials, ask, check);
    const ended = () => {
      this.#trials.delete(lane);
    };
    this.#trials.set(lane, trying.then(ended, ended));
    return trying;
  }

  async #tried<T>(credentials: Credentials, ask: Ask<T>, check: ShowOptions['check'], isLast = false): Promise<T> {
    try {
      const answer = await ask(credentials, () => !this.isRefused);
      this.#accept(credentials);
      return answer;
    } catch (error) {
      if (!isLogin(error) && !(check && isDenied(error))) throw error;
      const others = isLast ? undefined : await this.#othersThan(credentials);
      if (others) return this.#tried(others, ask, check, true);
      throw this.#settled(await this.#verdict(error, credentials, check), credentials);
    }
  }

  async #othersThan(credentials: Credentials): Promise<Credentials | undefined> {
    if (!this.#login.refused(credentials)) return undefined;
    const others = await this.credentials();
    return others && !sameCredentials(others, credentials) ? others : undefined;
  }

  /** A denial may be one of what was asked for, or of everything. */
  async #verdict(error: unknown, credentials: Credentials, check: ShowOptions['check']): Promise<unknown> {
    if (!check || !isDenied(error)) return error;
    const wasTaken = this.takes(credentials);
    try {
      await this.check(credentials, () => check(credentials));
      this.#accept(credentials);
      return error;
    } catch (reason) {
      return wasTaken || isLogin(reason) ? reason : error;
    }
  }

  #accept(credentials: Credentials): void {
    this.#accepted = credentials;
    this.#refused = undefined;
    this.#problem = undefined;
  }

  #isOfRefused(credentials: Credentials): boolean {
    return this.#refused !== undefined && sameCredentials(this.#refused.credentials, credentials);
  }

  #resting(): UpstreamError {
    const retryAfterMs = this.#restsUntil - performance.now();
    return new UpstreamError('login', this.#problem ?? '', { retryAfterMs });
  }

  /** The same again rest longer each time: whoever changes them need not wait for that. */
  #settled(error: unknown, credentials?: Credentials): unknown {
    if (!isLogin(error) || this.isRefused) return error;
    const now = performance.now();
    const before = credentials && this.#isOfRefused(credentials) ? this.#refused : undefined;
    const nextMs = before ? Math.min(before.restMs * 2, longestRestMs) : restMs;
    if (credentials) this.#refused = { credentials, restMs: nextMs, until: now + nextMs };
    this.#accepted = undefined;
    this.#problem = error.message;
    this.#restsUntil = now + restMs;
    this.#onRefused(error.message);
    return error;
  }
}

function isLogin(error: unknown): error is UpstreamError {
  return error instanceof UpstreamError && error.failure === 'login';
}

function isDenied(error: unknown): boolean {
  return error instanceof UpstreamError && error.failure === 'denied';
}
