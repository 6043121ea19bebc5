// One question to a token server: anonymously, with a password, or with an identity token.
import { basicAuthorization, type Credentials } from '../credentials/credentials.ts';
import { refusedCredentials } from '../credentials/login.ts';
import { statusError } from '../status-error.ts';
import type { Transport, UpstreamResponse } from '../transport.ts';
import { UpstreamError } from '../upstream.ts';

export interface TokenRequest {
  readonly name: string;
  readonly realm: URL;
  readonly service: string | undefined;
  /** `undefined`: none, as `docker login` asks to learn whether credentials are good. */
  readonly scope: string | undefined;
  readonly credentials: Credentials | undefined;
  readonly transport: Transport;
  readonly signal: AbortSignal;
}

export interface Token {
  readonly token: string;
  /** How long it may be shown from now on. */
  readonly keepMs: number;
}

const maxAnswerBytes = 64 * 1024;
/** No registry takes a header that is longer. */
const maxTokenLength = 16 * 1024;
// https://distribution.github.io/distribution/spec/auth/token/: "if omitted, this defaults to 60 seconds"
const defaultTokenSeconds = 60;
const longestTokenSeconds = 3600;

/** Throws `UpstreamError`: 'login' when the credentials were refused, 'denied' when they are not for this scope. */
export async function requestToken(request: TokenRequest): Promise<Token> {
  const { name, realm, scope = 'nothing in particular', credentials } = request;
  const response = await ask(request);
  if (response.status === 200) return parseToken(await response.bytes(maxAnswerBytes), name);
  if (!credentials) throw await statusError(name, `token for ${scope}`, response);
  if (response.status !== 401 && !(await isRefusedGrant(response, credentials)))
    throw await statusError(name, `token for ${scope}`, unquoted(response));
  response.discard();
  throw refusedCredentials(name, `its token server ${realm.host} answered ${response.status}`);
}

/** https://www.rfc-editor.org/rfc/rfc6749#section-5.2: who refuses a refresh token says 400, and perhaps `invalid_grant`. */
async function isRefusedGrant(response: UpstreamResponse, credentials: Credentials): Promise<boolean> {
  if (response.status !== 400 || !('identityToken' in credentials)) return false;
  const said = Buffer.from(await response.bytes(maxAnswerBytes)).toString();
  return !/"(invalid_request|invalid_scope|unsupported_grant_type)"/.test(said);
}

function ask({ realm, service, scope, credentials, transport, signal }: TokenRequest): Promise<UpstreamResponse> {
  const url = new URL(realm);
  const question = { ...(service !== undefined && { service }), ...(scope !== undefined && { scope }) };
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
  if (token.length > maxTokenLength)
    throw new UpstreamError('protocol', `upstream ${name} has a token server that gives tokens above 16 KiB`);
  const told = body.expires_in;
  const seconds = typeof told === 'number' && told > 0 ? Math.min(told, longestTokenSeconds) : defaultTokenSeconds;
  // A tenth early, so that a token does not expire on its way.
  return { token, keepMs: Math.max(1, seconds * 0.9) * 1000 };
}
