// The open connections of a listener: no more from one address than it may have, and all of them gone when it must end.
import type { Socket } from 'node:net';
import { AddressPlaces } from '../access/address-places.ts';

export interface ConnectionLimitsOptions {
  /** Connections at the same time at most from one IPv4 address or one IPv6 /64. */
  readonly perAddress?: number | undefined;
  /** For proxies that bring the connections of many. */
  readonly isExempt?: ((address: string) => boolean) | undefined;
  /** Hears of the first connection that is refused for its address, and of the next a minute later at the earliest. */
  readonly onCrowded?: ((address: string) => void) | undefined;
  readonly now?: (() => number) | undefined;
}

const tellEveryMs = 60_000;

export class ConnectionLimits {
  readonly #options: ConnectionLimitsOptions;
  readonly #open = new Set<Socket>();
  readonly #places: AddressPlaces;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(options: ConnectionLimitsOptions) {
    const { perAddress = Number.POSITIVE_INFINITY } = options;
    this.#options = options;
    this.#places = new AddressPlaces({ most: Number.POSITIVE_INFINITY, mostEach: perAddress });
  }

  /** Counts the connection until it closes; false when it must not stay. */
  admit(socket: Socket): boolean {
    const { isExempt } = this.#options;
    const { remoteAddress: address } = socket;
    // It was closed before we came to it.
    if (address === undefined) return false;
    const leave = isExempt?.(address) ? () => {} : this.#places.take(address);
    if (!leave) {
      this.#tell(address);
      return false;
    }
    this.#open.add(socket);
    socket.once('close', () => {
      this.#open.delete(socket);
      leave();
    });
    return true;
  }

  /** Those on which not a byte has come. */
  closeSilent(): void {
    for (const socket of this.#open) if (socket.bytesRead === 0) socket.destroy();
  }

  /** Handshakes in progress too, of which an HTTP server knows nothing. */
  closeAll(): void {
    for (const socket of this.#open) socket.destroy();
  }

  #tell(address: string): void {
    const { onCrowded, now = () => performance.now() } = this.#options;
    if (now() - this.#toldAt < tellEveryMs) return;
    this.#toldAt = now();
    onCrowded?.(address);
  }
}
