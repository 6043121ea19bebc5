// Answers a registry's challenge: Basic, or a token from its realm, kept until shortly before it expires.
import { LRUCache } from 'lru-cache';
import { getDomain } from 'tldts';
import { parseChallenges } from './challenge.ts';
import { basicAuthorization, type Credentials } from './credentials.ts';
import { statusError } from './status-error.ts';
import type { Transport } from './transport.ts';
import { UpstreamError } from './upstream.ts';

export interface AuthenticatorOptions {
  readonly name: string;
  readonly endpoint: URL;
  readonly credentials: Credentials | undefined;
  readonly transport: Transport;
  /** Bounds one token request, in milliseconds. */
  readonly timeoutMs: number;
}

interface TokenServer {
  readonly realm: URL;
  readonly service: string | undefined;
}

const maxTokenBytes = 64 * 1024;
// https://distribution.github.io/distribution/spec/auth/token/: "if omitted, this defaults to 60 seconds"
const defaultTokenSeconds = 60;

export class Authenticator {
  readonly #options: AuthenticatorOptions;
  /** What the last challenge said, so that the next repository's token is fetched without a 401 first. */
  #scheme: 'none' | 'basic' | TokenServer = 'none';
  readonly #tokens = new LRUCache<string, string, TokenServer>({
    max: 10_000,
    ttl: defaultTokenSeconds * 1000,
    fetchMethod: async (scope, _stale, { context, options }) => {
      const { token, seconds } = await this.#fetchToken(context, scope);
      options.ttl = seconds * 1000;
      return token;
    },
  });

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** What to send before being asked; `undefined` while nothing was ever demanded. */
  async authorization(scope: string): Promise<string | undefined> {
    if (this.#scheme === 'none') return undefined;
    if (this.#scheme === 'basic') return this.#basic();
    const token = await this.#tokens.fetch(scope, { context: this.#scheme });
    return token === undefined ? undefined : `Bearer ${token}`;
  }

  /** What to send after a 401 for `refused`; `undefined` when there is nothing better to show. */
  async answer(challenge: string, scope: string, refused: string | undefined): Promise<string | undefined> {
    const challenges = parseChallenges(challenge);
    const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
    if (bearer) this.#scheme = this.#tokenServer(bearer.parameters);
    else if (challenges.some(({ scheme }) => scheme === 'basic') && this.#options.credentials) this.#scheme = 'basic';
    else return undefined;

    // Only the token that was refused goes: another request may have fetched a new one meanwhile.
    const kept = this.#tokens.peek(scope);
    if (refused !== undefined && refused === `Bearer ${kept}`) this.#tokens.delete(scope);
    const fresh = await this.authorization(scope);
    return fresh === refused ? undefined : fresh;
  }

  #basic(): string | undefined {
    return this.#options.credentials && basicAuthorization(this.#options.credentials);
  }

  #tokenServer({ realm: text = '', service }: Readonly<Record<string, string>>): TokenServer {
    const { name, endpoint, credentials } = this.#options;
    const realm = URL.parse(text);
    const refuse = (why: string) =>
      new UpstreamError('protocol', `upstream ${name} names a token server that must not be asked: ${why}`);
    if (!realm || !/^https?:$/.test(realm.protocol)) throw refuse('its realm is not a web address');
    if (endpoint.protocol === 'https:' && realm.protocol !== 'https:') throw refuse(`${realm.host} without TLS`);
    if (realm.username || realm.password) throw refuse('its realm holds credentials');
    // GHSA-3p65-76g6-3w7r: a registry must not be able to send our password wherever it likes.
    if (credentials && !sameOwner(realm.hostname, endpoint.hostname))
      throw refuse(`${realm.host} is not on the domain of ${endpoint.host}, and credentials are configured`);
    return { realm, service };
  }

  async #fetchToken({ realm, service }: TokenServer, scope: string): Promise<{ token: string; seconds: number }> {
    const { name, transport, timeoutMs } = this.#options;
    const url = new URL(realm);
    if (service !== undefined) url.searchParams.set('service', service);
    url.searchParams.set('scope', scope);
    const response = await transport.send({
      kind: 'token',
      method: 'GET',
      url,
      authorization: this.#basic(),
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.status !== 200) throw await statusError(name, `token for ${scope}`, response);
    return parseToken(await response.bytes(maxTokenBytes), name);
  }
}

function parseToken(bytes: Uint8Array, name: string): { token: string; seconds: number } {
  let body: Record<string, unknown> = {};
  try {
    body = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;
  } catch {
    // falls through to the one complaint below
  }
  const token = body?.token || body?.access_token;
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token))
    throw new UpstreamError('protocol', `upstream ${name} has a token server that answers without a token`);
  const told = body.expires_in;
  const seconds = typeof told === 'number' && told > 0 ? told : defaultTokenSeconds;
  // A tenth early, so that a token does not expire on its way.
  return { token, seconds: Math.max(1, seconds * 0.9) };
}

/** The same host, or hosts of one registrable domain: auth.docker.io may see what registry-1.docker.io may. */
function sameOwner(one: string, other: string): boolean {
  if (one === other) return true;
  const domain = getDomain(one, { allowPrivateDomains: true });
  return domain !== null && domain === getDomain(other, { allowPrivateDomains: true });
}
