// Writes of one response, each over when the kernel has its bytes; a client that takes none for too long is let go.
import type { ServerResponse } from 'node:http';

export class OrdinaryWrites {
  readonly #outgoing: ServerResponse;
  readonly #clientGone: AbortSignal;
  #leave: ((reason: unknown) => void) | undefined;

  constructor(outgoing: ServerResponse, clientGone: AbortSignal) {
    this.#outgoing = outgoing;
    this.#clientGone = clientGone;
    clientGone.addEventListener('abort', () => this.#leave?.(clientGone.reason), { once: true });
    // The server's idle limit, heard here: waiting for an upstream is no stall of the client's.
    outgoing.on('timeout', () => this.#leave && outgoing.destroy());
  }

  /** One at a time. Resolves when the bytes may be overwritten; rejects once the connection is gone. */
  async write(chunk: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      // node forgets the callback of a write that meets a destroyed connection.
      this.#leave = reject;
      if (this.#clientGone.aborted) reject(this.#clientGone.reason);
      else this.#outgoing.write(chunk, (error) => (error ? reject(error) : resolve()));
    });
    this.#leave = undefined;
  }

  /** The last one, which nobody waits for. */
  end(chunk: Uint8Array): void {
    this.#leave = () => {};
    this.#outgoing.end(chunk);
  }
}
