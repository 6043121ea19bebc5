// Who a client is by the certificate that it showed in its TLS handshake.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { isReservedName } from '../access/principal.ts';

/** Nothing that a log, a rule or a header could misread. */
const plainName = /^[A-Za-z0-9][A-Za-z0-9._@:+-]{0,127}$/;

const distrusted = new WeakSet<Socket>();
/** To take a certificate apart takes longer than to serve a manifest. */
const names = new WeakMap<Socket, Named>();

interface Named {
  readonly name: string | undefined;
  /** Milliseconds since 1970: a connection may outlive its certificate. */
  readonly until: number;
}

/**
 * The common name, if an authority that is trusted now vouches for it. `undefined` for several names in one certificate,
 * and for a name that the rules keep for somebody else.
 */
export function commonNameOf(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized || distrusted.has(socket)) return undefined;
  const named = names.get(socket) ?? nameIn(socket);
  names.set(socket, named);
  return Date.now() < named.until ? named.name : undefined;
}

function nameIn(socket: TLSSocket): Named {
  const { subject, valid_to: end } = socket.getPeerCertificate() ?? {};
  const name: unknown = subject?.CN;
  const isPlain = typeof name === 'string' && plainName.test(name) && !isReservedName(name);
  return { name: isPlain ? name : undefined, until: Date.parse(end ?? '') };
}

/** From now on the connection's certificate proves nothing: it was checked against authorities of the past. */
export function distrust(socket: Socket): void {
  distrusted.add(socket);
}

export function isDistrusted(socket: Socket): boolean {
  return distrusted.has(socket);
}
