// Shows a login's credentials to one registry, which locks out who goes on with a bad password.
import { type Credentials, sameCredentials } from '../credentials/credentials.ts';
import type { Login } from '../credentials/login.ts';
import { UpstreamError } from '../upstream.ts';

/** Asks with these credentials. Throws `UpstreamError` 'login' when they were refused, 'denied' when they may have been. */
export type Ask<T> = (credentials: Credentials | undefined) => Promise<T>;

const restMs = 60_000;

export class ShownLogin {
  readonly #login: Login;
  readonly #onRefused: (problem: string) => void;
  /** What the registry took last. */
  #accepted: Credentials | undefined;
  /** Credentials that it has not seen yet are on their way. Never rejects. */
  #trial: Promise<void> | undefined;
  #restsUntil = Number.NEGATIVE_INFINITY;
  #problem = '';

  constructor(login: Login, onRefused: (problem: string) => void = () => {}) {
    this.#login = login;
    this.#onRefused = onRefused;
  }

  /** Its credentials were refused, or could not be had, within the last minute: until then nobody sees them. */
  get isRefused(): boolean {
    return performance.now() < this.#restsUntil;
  }

  /** What may be shown now; `undefined`: nothing. Throws `UpstreamError` 'login' while it rests. */
  async credentials(): Promise<Credentials | undefined> {
    if (this.isRefused)
      throw new UpstreamError('login', this.#problem, { retryAfterMs: this.#restsUntil - performance.now() });
    try {
      return await this.#login.credentials();
    } catch (error) {
      throw this.#settled(error);
    }
  }

  /** Asks, and once more after a refusal if the login then has others. Refused to the end, it rests for a minute. */
  async show<T>(ask: Ask<T>): Promise<T> {
    for (let before: { credentials: Credentials; error: unknown } | undefined; ; ) {
      const credentials = await this.credentials();
      if (!credentials) return ask(undefined);
      if (before && sameCredentials(before.credentials, credentials)) throw this.#settled(before.error);
      const isKnown = credentials === this.#accepted;
      // A hundred pulls at the start must not show one bad password a hundred times: one goes ahead.
      if (!isKnown && this.#trial) {
        await this.#trial;
        continue;
      }
      const asking = ask(credentials);
      if (!isKnown) this.#trial = this.#ended(asking);
      try {
        const answer = await asking;
        this.#accepted = credentials;
        return answer;
      } catch (error) {
        if (before || !isRefusal(error) || !this.#login.refused(credentials)) throw this.#settled(error);
        before = { credentials, error };
      }
    }
  }

  async #ended(asking: Promise<unknown>): Promise<void> {
    await asking.catch(() => {});
    this.#trial = undefined;
  }

  #settled(error: unknown): unknown {
    if (error instanceof UpstreamError && error.failure === 'login' && !this.isRefused) {
      this.#accepted = undefined;
      this.#problem = error.message;
      this.#restsUntil = performance.now() + restMs;
      this.#onRefused(error.message);
    }
    return error;
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof UpstreamError && (error.failure === 'login' || error.failure === 'denied');
}
