// A stored blob that nginx sends in our place: whether it may, and what it is told (X-Accel-Redirect).
import type { IncomingMessage } from 'node:http';
import type { Digest } from '../oci/digest.ts';
import { blobPath } from '../store/layout.ts';

export interface Accel {
  /** Of the internal location that has the folder of the blobs. */
  readonly prefix: string;
  /** Whether a peer is a proxy that is believed: to anybody else an answer without its body would be a broken one. */
  isTrusted(peer: string): boolean;
}

/** nginx counts with 63 bits, and answers 416 to what it cannot read, where we send all of it. */
const plainRange = /^bytes=(?:\d{1,18}-\d{0,18}|-\d{1,18})$/;

/** What nginx would judge by the date of the file. */
const conditions = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range'];

/**
 * Only what came through a proxy: somebody on the proxy's own machine who asks us directly gets the bytes. nginx asks
 * for them by `x-stillwater-accel: off` when it cannot open the file.
 */
export function mayAccelerate(
  accel: Accel | undefined,
  { method, headers, socket }: IncomingMessage,
  status: number,
): accel is Accel {
  return (
    accel !== undefined &&
    method === 'GET' &&
    headers['x-forwarded-for'] !== undefined &&
    headers['x-stillwater-accel'] !== 'off' &&
    conditions.every((condition) => headers[condition] === undefined) &&
    (headers.range === undefined || (status === 206 && plainRange.test(headers.range))) &&
    accel.isTrusted(socket.remoteAddress ?? '')
  );
}

/** Of the answer with this head. nginx adds the length, the range and what it makes of `accept-ranges` itself. */
export function accelHeaders(
  { prefix }: Accel,
  digest: Digest,
  { 'accept-ranges': _, 'content-range': _range, ...headers }: Readonly<Record<string, string>>,
): Record<string, string> {
  // Its connection to us can be used again only if it knows that no body comes.
  return { ...headers, 'content-length': '0', 'x-accel-redirect': `${prefix}${blobPath(digest)}` };
}
