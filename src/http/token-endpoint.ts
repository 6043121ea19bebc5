// GET /token, where clients are sent for a token when the mirror serves only those it knows, and the challenge that does it.
import type { Access } from '../access/access.ts';
import type { TrustedProxies } from '../access/client-address.ts';
import { OciError } from '../oci/errors.ts';
import { callerOf } from './caller.ts';
import type { Exchange } from './exchange.ts';

export const tokenPath = '/token';

// https://distribution.github.io/distribution/spec/auth/token/
export async function sendToken(exchange: Exchange, access: Access): Promise<Response> {
  const issued = await access.issueToken(callerOf(exchange));
  if (!issued) throw new OciError('UNAUTHORIZED', 'these credentials are not known to this mirror');
  const { token, expiresInSeconds } = issued;
  exchange.header('cache-control', 'no-store');
  return exchange.json({ token, access_token: token, expires_in: expiresInSeconds });
}

/**
 * In terms of the address that the client used. Basic where that cannot be told: a realm of ours would send the password
 * elsewhere, or in the clear.
 */
export function challengeOf(exchange: Exchange, proxies: TrustedProxies): string {
  const { incoming } = exchange.env;
  const isToken = (incoming.url ?? '').split('?', 1)[0] === tokenPath;
  const origin = isToken ? undefined : originOf(exchange, proxies);
  if (origin === undefined) return 'Basic realm="stillwater"';
  const wasRefused = incoming.headers.authorization !== undefined;
  return `Bearer realm="${origin}${tokenPath}",service="stillwater"${wasRefused ? ',error="invalid_token"' : ''}`;
}

const hostForm = /^[a-z0-9._-]+(?::\d{1,5})?$|^\[[0-9a-f:.]+\](?::\d{1,5})?$/i;

function originOf({ env: { incoming } }: Exchange, proxies: TrustedProxies): string | undefined {
  const { headers, socket } = incoming;
  // Of several proxies the first met the client.
  const told = (name: string) => headers[name]?.toString().split(',')[0]?.trim() || undefined;
  const forwarded = { host: told('x-forwarded-host'), scheme: told('x-forwarded-proto') };
  const isTrusted = proxies.isTrusted(socket.remoteAddress ?? '');
  if (!isTrusted && (forwarded.host ?? forwarded.scheme) !== undefined) return undefined;
  const host = forwarded.host ?? headers.host ?? '';
  const scheme = forwarded.scheme ?? ('encrypted' in socket ? 'https' : 'http');
  return hostForm.test(host) && /^https?$/.test(scheme) ? `${scheme}://${host}` : undefined;
}
