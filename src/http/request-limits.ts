// What a request may be before anybody looks at it; what is no plain request is answered here, or ends here.
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { isDistrusted } from './client-certificate.ts';

/** Enough for proxies that add theirs; above it nothing is dropped in silence, as node would do. */
const mostHeaders = 100;
/** Requests of one connection that wait for their answers; each costs memory. */
const mostPipelined = 100;

export class RequestLimits {
  readonly #listener: RequestListener;
  readonly #unanswered = new WeakMap<Socket, number>();

  /** Every request within the limits goes to the listener. */
  constructor(listener: RequestListener) {
    this.#listener = listener;
  }

  guard(server: Server): void {
    server.on('request', (incoming, outgoing) => this.#answer(incoming, outgoing));
    // Nobody is invited to send a body: the answer is the same without it.
    server.on('checkContinue', (incoming, outgoing) => this.#answer(incoming, outgoing));
    server.on('connect', ({ socket }: IncomingMessage) => this.#refuseTunnel(socket));
  }

  #answer(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { socket } = incoming;
    const before = this.#unanswered.get(socket) ?? 0;
    if (before >= mostPipelined || isDistrusted(socket)) {
      // One that is distrusted ends with its running answer.
      if (before === 0 || !isDistrusted(socket)) socket.destroy();
      return;
    }
    this.#unanswered.set(socket, before + 1);
    outgoing.once('close', () => {
      this.#unanswered.set(socket, (this.#unanswered.get(socket) ?? 1) - 1);
      if (isDistrusted(socket)) socket.destroySoon();
    });
    if (hasBody(incoming)) outgoing.shouldKeepAlive = false;
    if (incoming.rawHeaders.length / 2 > mostHeaders) refuseHead(outgoing);
    else this.#listener(incoming, outgoing);
  }

  #refuseTunnel(socket: Socket): void {
    socket.on('error', () => {}); // node has taken its own listener away
    // Behind a request that waits for its answer, this would be taken for it.
    if (this.#unanswered.get(socket)) return void socket.destroy();
    const head = ['HTTP/1.1 405 Method Not Allowed', 'allow: GET, HEAD', 'connection: close', 'content-length: 0'];
    socket.end(`${head.join('\r\n')}\r\n\r\n`, () => socket.destroy());
  }
}

/** It is not waited for, and where the next request begins is not searched for behind it. */
function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
}

function refuseHead(outgoing: ServerResponse): void {
  outgoing.shouldKeepAlive = false;
  outgoing.writeHead(431, { 'content-type': 'text/plain; charset=utf-8' });
  outgoing.end(`too many header fields: at most ${mostHeaders}\n`);
}
