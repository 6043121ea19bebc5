// Who a client is by the certificate that it showed in its TLS handshake.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { isReservedName } from '../access/principal.ts';

/** Nothing that a log, a rule or a header could misread. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}$/;

const distrusted = new WeakSet<Socket>();
/** To take a certificate apart takes longer than to serve a manifest. */
const names = new WeakMap<Socket, string | undefined>();

/**
 * The common name, if an authority that is trusted now vouches for it. `undefined` for several names in one certificate,
 * and for a name that the rules keep for somebody else.
 */
export function commonNameOf(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized || distrusted.has(socket)) return undefined;
  if (!names.has(socket)) names.set(socket, nameIn(socket));
  return names.get(socket);
}

function nameIn(socket: TLSSocket): string | undefined {
  const name: unknown = socket.getPeerCertificate()?.subject?.CN;
  return typeof name === 'string' && plainName.test(name) && !isReservedName(name) ? name : undefined;
}

/** From now on the connection's certificate proves nothing: it was checked against authorities of the past. */
export function distrust(socket: Socket): void {
  distrusted.add(socket);
}

export function isDistrusted(socket: Socket): boolean {
  return distrusted.has(socket);
}
