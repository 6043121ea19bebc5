// Who calls: from the connection and the headers to a principal. Whatever proves nothing is dropped here and goes no further.
import type { IncomingMessage } from 'node:http';
import type { MiddlewareHandler } from 'hono';
import type { Access, Caller } from '../access/access.ts';
import type { TrustedProxies } from '../access/client-address.ts';
import type { Principal } from '../access/principal.ts';
import { OciError } from '../oci/errors.ts';
import { commonNameOf } from './client-certificate.ts';
import type { Exchange, ExchangeEnv } from './exchange.ts';

/** Sets the client's address; before anything that counts or logs by it. */
export function findAddress(proxies: TrustedProxies): MiddlewareHandler<ExchangeEnv> {
  return async function setAddress(exchange, next) {
    exchange.set('address', addressOf(exchange.env.incoming, proxies));
    await next();
  };
}

/** Sets the principal. Throws `OciError` UNAUTHORIZED for nobody, where the mirror serves only those it knows. */
export function identifyCaller(access: Access): MiddlewareHandler<ExchangeEnv> {
  return async function setPrincipal(exchange, next) {
    const principal = await access.identify(callerOf(exchange));
    exchange.set('principal', principal);
    if (!isKnown(principal, access)) {
      const told = exchange.env.incoming.headers.authorization === undefined ? 'none came' : 'these are not known here';
      throw new OciError('UNAUTHORIZED', `this mirror wants credentials of its own, and ${told}`);
    }
    await next();
  };
}

/** Or need not be. */
export function isKnown({ name }: Principal, { asksForCredentials }: Access): boolean {
  return name !== undefined || !asksForCredentials;
}

export function callerOf(exchange: Exchange): Caller {
  return callerAt(exchange.get('address'), exchange.env.incoming);
}

export function callerAt(address: string, { headers, socket }: IncomingMessage): Caller {
  return { address, authorization: headers.authorization, certificate: commonNameOf(socket) };
}

/** Of the client, whatever trusted proxies stand between. */
export function addressOf(incoming: IncomingMessage, proxies: TrustedProxies): string {
  const forwardedFor = incoming.headers['x-forwarded-for'];
  return proxies.clientOf({
    peer: incoming.socket.remoteAddress ?? '',
    forwardedFor: Array.isArray(forwardedFor) ? forwardedFor.join(',') : forwardedFor,
  });
}
