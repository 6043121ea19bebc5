// The certificate of a listener and the authorities of its clients, and how both change while connections go on.
import { constants, X509Certificate } from 'node:crypto';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import { createSecureContext, type SecureContextOptions, type TLSSocket, type TlsOptions } from 'node:tls';
import { distrust } from './client-certificate.ts';

/** PEM texts. */
export interface Pems {
  readonly cert: string;
  readonly key: string;
  /** With it clients are asked for a certificate; one without is let in all the same, as nobody. */
  readonly clientCa?: string | undefined;
}

export function tlsOptions({ cert, key, clientCa }: Pems): TlsOptions {
  return { ...contextOptions({ cert, key, clientCa }), requestCert: clientCa !== undefined, rejectUnauthorized: false };
}

function contextOptions({ cert, key, clientCa }: Pems): SecureContextOptions {
  return {
    cert,
    key,
    minVersion: 'TLSv1.2',
    // A resumed session would be taken for proven until it is too old, whatever became of the certificate.
    ...(clientCa !== undefined && { ca: clientCa, secureOptions: constants.SSL_OP_NO_TICKET }),
  };
}

export class ListenerTls {
  readonly #server: Server;
  readonly #open = new Set<TLSSocket>();
  /** By the client's address and port: the authorities that a handshake in progress is checked against. */
  readonly #handshakes = new Map<string, string | undefined>();
  #clientCa: string | undefined;

  constructor(server: Server, { clientCa }: Pems) {
    this.#server = server;
    this.#clientCa = clientCa;
    server.on('connection', (socket: Socket) => {
      const peer = peerOf(socket);
      this.#handshakes.set(peer, this.#clientCa);
      socket.once('close', () => this.#handshakes.delete(peer));
    });
    server.on('secureConnection', (socket) => {
      if (this.#handshakes.get(peerOf(socket)) !== this.#clientCa) socket.destroy();
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
    });
  }

  /** For new connections. Throws, and changes nothing, when the texts cannot be used. */
  use(pems: Pems): void {
    const { clientCa } = pems;
    tryOut(pems, this.#clientCa);
    this.#server.setSecureContext(contextOptions(pems));
    if (clientCa === this.#clientCa) return;
    this.#clientCa = clientCa;
    for (const socket of this.#open) distrust(socket);
    this.#server.closeIdleConnections();
  }
}

function tryOut(pems: Pems, currentCa: string | undefined): void {
  try {
    if ((pems.clientCa === undefined) !== (currentCa === undefined))
      throw new Error('whether clients show certificates changes with a restart only');
    // OpenSSL takes an empty text for none at all, and would serve nothing without a word.
    if (!pems.cert.trim() || !pems.key.trim()) throw new Error('a text is empty');
    createSecureContext(contextOptions(pems));
    // It takes authorities that are none, and would believe nobody.
    if (pems.clientCa !== undefined) new X509Certificate(pems.clientCa);
  } catch (cause) {
    const why = (cause as Error).message.replace(/^.*::/, '');
    throw new Error(`the new TLS certificate cannot be used: ${why}; the old one stays`, { cause });
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
