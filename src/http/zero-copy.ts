// One response's way past memory: the kernel takes a file's bytes for the socket itself.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FilePart, Sendfile } from './sendfile.ts';

/**
 * Why the kernel took nothing: there is `no room`, or bytes of ours are ahead, and an ordinary write waits for both;
 * the bytes are `cold`, and a disk is not waited for here; or it is `impossible`, now and later.
 */
export type Refusal = 'no room' | 'cold' | 'impossible';

/**
 * Calls are synchronous, each on the descriptor that the socket has at that moment: between the look and the call nobody
 * closes it, so that no other connection's can have its number, and there is none of our own to be closed.
 */
export class ZeroCopy {
  readonly #sendfile: Sendfile;
  readonly #outgoing: ServerResponse;
  readonly #probe = new Uint8Array(1);

  constructor(sendfile: Sendfile, outgoing: ServerResponse) {
    this.#sendfile = sendfile;
    this.#outgoing = outgoing;
  }

  /** Between 1 and `length` bytes, in order behind all that node has written. */
  send(part: FilePart): number | Refusal {
    const { socket } = this.#outgoing;
    if (!socket) return 'no room';
    if ('encrypted' in socket) return 'impossible';
    if (this.#outgoing.writableLength > 0) return 'no room';
    const descriptor = descriptorOf(socket);
    if (descriptor === undefined) return 'impossible';
    for (const position of [part.position, part.position + part.length - 1]) {
      const cached = this.#sendfile.readCached(part.fd, this.#probe, position);
      if (cached === undefined) return 'impossible';
      if (cached === 0) return 'cold';
    }
    const sent = this.#sendfile.send(descriptor, part);
    if (sent === undefined) return 'impossible';
    return sent || 'no room';
  }

  /** What the buffer got of the bytes that are in memory. */
  readCached(fd: number, buffer: Uint8Array, position: number): number {
    return this.#sendfile.readCached(fd, buffer, position) ?? 0;
  }
}

/** node tells it to nobody; a handle that is closed has none. */
function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd;
}
