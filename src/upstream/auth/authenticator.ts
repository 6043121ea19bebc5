// Answers a registry's challenge: Basic, or a token from its realm, kept until shortly before it expires.
import { LRUCache } from 'lru-cache';
import type { Circuit } from '../circuit.ts';
import { basicAuthorization, type Credentials } from '../credentials/credentials.ts';
import type { Login } from '../credentials/login.ts';
import type { Transport } from '../transport.ts';
import { UpstreamError } from '../upstream.ts';
import { parseChallenges } from './challenge.ts';
import { checkRealm } from './realm.ts';
import { ShownLogin } from './shown-login.ts';
import { requestToken, type Token } from './token-request.ts';

export interface AuthenticatorOptions {
  readonly name: string;
  readonly endpoint: URL;
  readonly login: Login;
  /** Hosts of token servers that may see the credentials, besides those of the endpoint's own domain. */
  readonly realms: readonly string[];
  readonly transport: Transport;
  /** Of the token server. */
  readonly circuit: Circuit;
  /** Bounds one token request, in milliseconds. */
  readonly timeoutMs: number;
  /** Told whenever the login begins to rest. */
  readonly onRefused?: (problem: string) => void;
}

interface TokenServer {
  readonly realm: string;
  readonly service: string | undefined;
}

interface KeptToken {
  readonly authorization: string;
  readonly fetchedAt: number;
}

/** What a token server rests for after a 429 that does not say. */
const limitedMs = 60_000;

/** A token this young has not ended yet. */
const freshMs = 10_000;

/** One login at one endpoint. */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #login: ShownLogin;
  /** What the last challenge said, so that the next repository's token is fetched without a 401 first. */
  #scheme: 'none' | 'basic' | TokenServer = 'none';
  readonly #tokens = new LRUCache<string, KeptToken, TokenServer>({
    max: 10_000,
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
      if (refused?.startsWith('Basic ')) return this.renew(refused);
    } else return undefined;

    // Only the token that was refused goes: another request may have fetched a new one meanwhile.
    if (refused !== undefined && refused === this.#tokens.peek(scope)?.authorization) this.#tokens.delete(scope);
    const fresh = await this.authorization(scope);
    return fresh === refused ? undefined : fresh;
  }

  /**
   * What to send after a refusal that may be one of the password itself (ECR's expire with a 403); `undefined` when
   * there is nothing better to show. A password that the registry does not take at all throws `UpstreamError` 'login'.
   */
  async renew(refused: string): Promise<string | undefined> {
    if (!refused.startsWith('Basic ')) return undefined;
    return this.#login.show(async (credentials) => {
      const known = this.#basic(credentials);
      if (known !== refused) return known;
      await this.#knock(known);
      return undefined;
    });
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
    const why = `it answered ${response.status}; see upstreams.${name}.credentials`;
    throw new UpstreamError('login', `upstream ${name} refused the configured credentials: ${why}`);
  }

  #fetchToken({ realm: text, service }: TokenServer, scope: string): Promise<Token> {
    const { name, transport, timeoutMs, circuit } = this.#options;
    return this.#login.show(async (credentials) => {
      const realm = checkRealm(text, credentials, this.#options);
      const permit = circuit.enter();
      if (!permit) throw this.#away(realm);
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        const token = await requestToken({ name, realm, service, scope, credentials, transport, signal });
        permit.succeeded();
        return token;
      } catch (error) {
        if (!(error instanceof UpstreamError)) permit.released();
        else if (error.failure !== 'limited') permit.failed(error, scope);
        else {
          permit.released();
          circuit.open(error.retryAfterMs ?? limitedMs, error.message);
        }
        throw error;
      }
    });
  }

  #away({ host }: URL): UpstreamError {
    const { name, circuit } = this.#options;
    const { problem = 'it failed a moment ago', retryInMs } = circuit;
    return new UpstreamError('away', `upstream ${name} cannot be asked: its token server ${host} rests: ${problem}`, {
      ...(retryInMs !== undefined && { retryAfterMs: retryInMs }),
    });
  }
}
