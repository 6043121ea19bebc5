// What the kernel still holds of a connection's bytes that the peer has not acknowledged. Linux only.
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

/** 0 where the kernel does not tell. */
export function unacknowledgedBytes({ localPort = 0, remotePort = 0 }: Socket): number {
  const ends = [localPort, remotePort].map((port) => port.toString(16).toUpperCase().padStart(4, '0'));
  const line = new RegExp(`:${ends[0]} [0-9A-F]+:${ends[1]} [0-9A-F]{2} ([0-9A-F]{8}):`);
  try {
    return Number.parseInt(line.exec(readFileSync('/proc/net/tcp', 'utf8'))?.[1] ?? '0', 16);
  } catch {
    return 0;
  }
}
