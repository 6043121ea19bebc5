// Answers a registry's challenge: Basic, or a token from its realm, kept until shortly before it expires.
import { LRUCache } from 'lru-cache';
import { basicAuthorization, type Credentials } from '../credentials/credentials.ts';
import { type Login, refusedCredentials } from '../credentials/login.ts';
import { UpstreamError, type UpstreamFailure } from '../upstream.ts';
import { parseChallenges } from './challenge.ts';
import { checkRealm } from './realm.ts';
import { ShownLogin } from './shown-login.ts';
import type { Token } from './token-request.ts';
import { askTokenServer, type TokenServer, type TokenServerOptions } from './token-server.ts';

export interface AuthenticatorOptions extends TokenServerOptions {
  readonly login: Login;
  /** Told whenever the login begins to rest. */
  readonly onRefused?: (problem: string) => void;
}

/** A password that is about to be shown with a question. */
export interface Password {
  readonly authorization: string | undefined;
  /** To be asked again when it is sent: others may have learned meanwhile that it is no good. */
  mayGo(): boolean;
  /** After a refusal: was it one of the password? Throws `UpstreamError` 'login' when it is no good at all. */
  check(): Promise<void>;
}

interface KeptToken {
  readonly authorization: string;
  readonly fetchedAt: number;
}

/** A token this young has not ended yet. */
const freshMs = 10_000;

const maxTokensLength = 8 * 1024 * 1024;
/** What a token takes besides its own length. */
const tokenOverhead = 256;

/** One login at one endpoint. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #login: ShownLogin;
  /** What the last challenge said, so that the next repository's token is fetched without a 401 first. */
  #scheme: 'none' | 'basic' | TokenServer = 'none';
  /** The last one that the credentials were given a token for. */
  #granted: string | undefined;
  readonly #tokens = new LRUCache<string, KeptToken, TokenServer>({
    // No `max`: room for so many would be taken at once, for every upstream.
    maxSize: maxTokensLength,
    sizeCalculation: ({ authorization }, scope) => authorization.length + scope.length + tokenOverhead,
    ttl: 1,
    fetchMethod: async (scope, _stale, { context, options }) => {
      const { token, keepMs } = await this.#fetchToken(context, scope);
      options.ttl = keepMs;
      return { authorization: `Bearer ${token}`, fetchedAt: performance.now() };
    },
  });

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
    this.#login = new ShownLogin(options.login, options.onRefused);
  }

  /** The login was refused, or its credentials could not be had: it rests, and every new token ends as 'login'. */
  get isRefused(): boolean {
    return this.#login.isRefused;
  }

  /** Why the login was refused last; `undefined` since it was taken. */
  get problem(): string | undefined {
    return this.#login.problem;
  }

  /** Until a refused login is tried again; `undefined` when it may be now. */
  get retryInMs(): number | undefined {
    return this.#login.retryInMs;
  }

  /** The host that the registry sends us to for tokens; `undefined` while it named none. */
  get tokenServer(): string | undefined {
    return typeof this.#scheme === 'string' ? undefined : new URL(this.#scheme.realm).host;
  }

  /** What to send before being asked; `undefined` while nothing was ever demanded. */
  async authorization(scope: string): Promise<string | undefined> {
    if (this.#scheme === 'none') return undefined;
    if (this.#scheme === 'basic') return this.#basic(await this.#login.credentials());
    return (await this.#tokens.fetch(scope, { context: this.#scheme }))?.authorization;
  }

  /** What to send after a 401 for `refused`; `undefined` when there is nothing better to show. */
  async answer(challenge: string, scope: string, refused: string | undefined): Promise<string | undefined> {
    const challenges = parseChallenges(challenge);
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    const credentials = await this.#login.credentials();
    if (bearer) {
      const { realm = '', service, error } = bearer.parameters;
      checkRealm(realm, credentials, this.#options);
      // RFC 6750 §3.1. Docker Hub says it of what is missing or private, and another token as young would be no better.
      if (error === 'insufficient_scope' && this.#isFresh(scope, refused)) return undefined;
      this.#scheme = { realm, service };
    } else if (challenges.some(({ scheme }) => scheme === 'basic') && credentials) {
      this.#scheme = 'basic';
      if (refused?.startsWith('Basic ')) return undefined;
    } else return undefined;

    // Only the token that was refused goes: another request may have fetched a new one meanwhile.
    if (refused !== undefined && refused === this.#tokens.peek(scope)?.authorization) this.#tokens.delete(scope);
    const fresh = await this.authorization(scope);
    return fresh === refused ? undefined : fresh;
  }

  /**
   * Asks with the password that there is now, and once more if it is refused and there is another (ECR's expire with a
   * 403). Throws `UpstreamError` 'login' for one that the registry does not take at all.
   */
  showPassword<T>(lane: string, ask: (password: Password) => Promise<T>): Promise<T> {
    return this.#login.show(
      (credentials, mayGo) => {
        const authorization = this.#basic(credentials);
        const check = async () => {
          if (!credentials || authorization === undefined) return;
          if (!mayGo()) throw refusedCredentials(this.#options.name, 'others were refused with them');
          await this.#login.check(credentials, () => this.#knock(authorization));
        };
        return ask({ authorization, mayGo, check });
      },
      { lane },
    );
  }

  /**
   * What to send after a refusal without a challenge, which is all that some registries have for a token that ended
   * before its time; `undefined` for a fresh one, which was not refused for its age.
   */
  async refresh(scope: string, refused: string): Promise<string | undefined> {
    if (this.#isFresh(scope, refused)) return undefined;
    if (this.#tokens.peek(scope)?.authorization === refused) this.#tokens.delete(scope);
    return this.authorization(scope);
  }

  #isFresh(scope: string, authorization: string | undefined): boolean {
    const kept = this.#tokens.peek(scope);
    return kept?.authorization === authorization && performance.now() - (kept?.fetchedAt ?? 0) < freshMs;
  }

  #basic(credentials: Credentials | undefined): string | undefined {
    const { name } = this.#options;
    if (credentials && 'identityToken' in credentials)
      throw new UpstreamError('login', `upstream ${name} wants a password, and its credentials are an identity token`);
    return credentials && basicAuthorization(credentials);
  }

  /** Tells a password that is no good from a repository that is not for it: at the door only the password counts. */
  async #knock(authorization: string): Promise<void> {
    const { name, endpoint, transport, timeoutMs } = this.#options;
    const url = new URL(`${endpoint.href.replace(/\/+$/, '')}/v2/`);
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await transport.send({ kind: 'token', method: 'GET', url, authorization, signal });
    response.discard();
    if (response.status !== 401 && response.status !== 403) return;
    throw refusedCredentials(name, `it answered ${response.status}`);
  }

  #fetchToken(server: TokenServer, scope: string): Promise<Token> {
    const { name } = this.#options;
    const ask = async (credentials: Credentials | undefined) => {
      try {
        const token = await askTokenServer(this.#options, server, { scope, credentials });
        if (credentials) this.#granted = scope;
        return token;
      } catch (error) {
        // Of credentials that were good before, and for another scope, it may be said that they are not for this one.
        const mayBeOfScope = credentials && this.#login.takes(credentials) && this.#granted !== scope;
        if (!mayBeOfScope || !isFailure(error, 'login')) throw error;
        throw new UpstreamError('denied', `upstream ${name} refused the configured credentials a token for ${scope}`);
      }
    };
    return this.#login.show(ask, { check: (credentials) => this.#checkAt(server, credentials) });
  }

  /** Asks for what was given before, or for nothing in particular, as `docker login` does. */
  async #checkAt(server: TokenServer, credentials: Credentials): Promise<void> {
    const scope = this.#login.takes(credentials) ? this.#granted : undefined;
    try {
      await askTokenServer(this.#options, server, { scope, credentials });
    } catch (error) {
      if (!isFailure(error, 'denied')) throw error;
      throw refusedCredentials(this.#options.name, `its token server ${new URL(server.realm).host} answered 403`);
    }
  }
}

function isFailure(error: unknown, failure: UpstreamFailure): boolean {
  return error instanceof UpstreamError && error.failure === failure;
}
