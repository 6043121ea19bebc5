// One question to a token server: anonymously, with a password, or with an identity token.
import { basicAuthorization, type Credentials } from '../credentials/credentials.ts';
import { statusError } from '../status-error.ts';
import type { Transport, UpstreamResponse } from '../transport.ts';
import { UpstreamError } from '../upstream.ts';

export interface TokenRequest {
  readonly name: string;
  readonly realm: URL;
  readonly service: string | undefined;
  readonly scope: string;
  readonly credentials: Credentials | undefined;
  readonly transport: Transport;
  readonly signal: AbortSignal;
}

export interface Token {
  readonly token: string;
  /** How long it may be shown from now on. */
  readonly keepMs: number;
}

const maxTokenBytes = 64 * 1024;
// https://distribution.github.io/distribution/spec/auth/token/: "if omitted, this defaults to 60 seconds"
const defaultTokenSeconds = 60;
const longestTokenSeconds = 3600;

/** Throws `UpstreamError`: 'login' when the credentials were refused. */
export async function requestToken(request: TokenRequest): Promise<Token> {
  const { name, realm, scope, credentials } = request;
  const response = await ask(request);
  if (response.status === 200) return parseToken(await response.bytes(maxTokenBytes), name);
  if (!credentials) throw await statusError(name, `token for ${scope}`, response);
  if (response.status !== 401) throw await statusError(name, `token for ${scope}`, unquoted(response));
  response.discard();
  const why = `its token server ${realm.host} answered 401; see upstreams.${name}.credentials`;
  throw new UpstreamError('login', `upstream ${name} refused the configured credentials: ${why}`);
}

function ask({ realm, service, scope, credentials, transport, signal }: TokenRequest): Promise<UpstreamResponse> {
  const url = new URL(realm);
  const question = { ...(service !== undefined && { service }), scope };
  // https://distribution.github.io/distribution/spec/auth/oauth/: a refresh token goes into a body, never into a URL.
  if (credentials && 'identityToken' in credentials) {
    const grant = { grant_type: 'refresh_token', refresh_token: credentials.identityToken, client_id: 'stillwater' };
    const body = new URLSearchParams({ ...question, ...grant }).toString();
    return transport.send({ kind: 'token', method: 'POST', url, body, signal });
  }
  for (const [key, value] of Object.entries(question)) url.searchParams.set(key, value);
  const authorization = credentials && basicAuthorization(credentials);
  return transport.send({ kind: 'token', method: 'GET', url, authorization, signal });
}

/** A server may say again what it was shown: with credentials in it nothing of its answer reaches a client or a log. */
function unquoted(response: UpstreamResponse): UpstreamResponse {
  const bytes = async () => {
    response.discard();
    return new Uint8Array();
  };
  return { ...response, bytes };
}

function parseToken(bytes: Uint8Array, name: string): Token {
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
  const seconds = typeof told === 'number' && told > 0 ? Math.min(told, longestTokenSeconds) : defaultTokenSeconds;
  // A tenth early, so that a token does not expire on its way.
  return { token, keepMs: Math.max(1, seconds * 0.9) * 1000 };
}
