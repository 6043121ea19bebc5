// The token server that a registry names, asked while it is well.
import type { Circuit } from '../circuit.ts';
import type { Transport } from '../transport.ts';
import { UpstreamError } from '../upstream.ts';
import { checkRealm, type RealmRules } from './realm.ts';
import { requestToken, type Token, type TokenRequest } from './token-request.ts';

export interface TokenServerOptions extends RealmRules {
  readonly transport: Transport;
  /** Of the token server. */
  readonly circuit: Circuit;
  /** Bounds one token request, in milliseconds. */
  readonly timeoutMs: number;
}

/** As a challenge names it. */
export interface TokenServer {
  readonly realm: string;
  readonly service: string | undefined;
}

/** What it rests for after a 429 that does not say. */
const limitedMs = 60_000;

/** Throws `UpstreamError` as `requestToken` does, and 'away' while it rests. */
export async function askTokenServer(
  { transport, circuit, timeoutMs, ...rules }: TokenServerOptions,
  { realm: text, service }: TokenServer,
  { scope, credentials }: Pick<TokenRequest, 'scope' | 'credentials'>,
): Promise<Token> {
  const { name } = rules;
  const realm = checkRealm(text, credentials, rules);
  const permit = circuit.enter();
  if (!permit) throw away(name, realm, circuit);
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
}

function away(name: string, { host }: URL, { problem = 'it failed a moment ago', retryInMs }: Circuit): UpstreamError {
  return new UpstreamError('away', `upstream ${name} cannot be asked: its token server ${host} rests: ${problem}`, {
    ...(retryInMs !== undefined && { retryAfterMs: retryInMs }),
  });
}
