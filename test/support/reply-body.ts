// Sends the body of one answer: held, paced, cut, reset or lying, as its faults say.
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Exchange } from './recorded-server.ts';
import type { ServedContent } from './served-content.ts';
import { unacknowledgedBytes } from './socket-queue.ts';

export type Span = { readonly start: number; readonly end: number };

export async function sendBody(
  { response, record, effect }: Exchange,
  content: ServedContent,
  span: Span,
): Promise<void> {
  const length = span.end - span.start;
  const { holdBody, dropAfter, resetAfter, stallAfter, truncateAfter } = effect;
  const holdAt = holdBody && (holdBody.after < 0 ? length + holdBody.after : holdBody.after);
  const stops = [holdAt, dropAfter, resetAfter, stallAfter, truncateAfter].filter((stop) => stop !== undefined);
  const write = writer(response, effect.bytesPerSecond);
  let sent = 0;
  while (!response.destroyed) {
    // At a stop the bytes before it must have left the process, or a destroy would take them back.
    if (stops.includes(sent) && sent > 0) await flushed(response);
    if (sent === holdAt) await holdBody?.gate.pass();
    if (sent === dropAfter) response.destroy();
    if (sent === resetAfter && response.socket) {
      // A reset takes back what the peer has not acknowledged: those bytes were never sent.
      record.bytesSent -= Math.min(sent, await lostByReset(response.socket));
      response.socket?.resetAndDestroy();
    }
    if (sent === stallAfter && sent < length) await closed(response);
    if (response.destroyed) return;
    if (sent >= length || sent === truncateAfter) break;
    const next = Math.min(length, ...stops.filter((stop) => stop > sent));
    for (const piece of slices(content.read(span.start + sent, span.start + next))) {
      // Counted before they leave, so that the figure is never too kind to whoever hung up.
      record.bytesSent += piece.length;
      await write(flipped(piece, effect.flipByteAt, span.start + sent));
      if (response.destroyed) return;
      sent += piece.length;
    }
  }
  while (effect.endless && !response.destroyed) {
    await write(Buffer.alloc(64 * 1024, 0x20));
    record.bytesSent += 64 * 1024;
  }
  if (response.destroyed) return;
  record.isComplete = true;
  response.end();
}

const sliceBytes = 128 * 1024;

function* slices(pieces: Iterable<Buffer>): Iterable<Buffer> {
  for (const piece of pieces)
    for (let at = 0; at < piece.length; at += sliceBytes) yield piece.subarray(at, at + sliceBytes);
}

function flipped(piece: Buffer, position: number | undefined, offset: number): Buffer {
  if (position === undefined || position < offset || position >= offset + piece.length) return piece;
  const copy = Buffer.from(piece);
  copy[position - offset] = (copy[position - offset] ?? 0) ^ 0xff;
  return copy;
}

/** Writes with back-pressure and, with a rate, no faster than that on average since the first byte. */
function writer(response: ServerResponse, bytesPerSecond: number | undefined): (bytes: Buffer) => Promise<void> {
  const startedAt = performance.now();
  const step = bytesPerSecond === undefined ? Infinity : Math.max(1, Math.ceil(bytesPerSecond / 100));
  let written = 0;
  return async (bytes) => {
    for (let at = 0; at < bytes.length && !response.destroyed; at += step) {
      const part = bytes.subarray(at, Math.min(bytes.length, at + step));
      if (!response.write(part)) await roomIn(response);
      if (bytesPerSecond === undefined) continue;
      written += part.length;
      const aheadMs = (written / bytesPerSecond) * 1000 - (performance.now() - startedAt);
      if (aheadMs > 1) await new Promise<void>((resolve) => setTimeout(resolve, aheadMs));
    }
  };
}

async function roomIn(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
    if (response.destroyed) done();
  });
}

async function closed(response: ServerResponse): Promise<void> {
  if (response.destroyed) return;
  await new Promise<void>((resolve) => response.once('close', () => resolve()));
}

const acknowledgedWithinMs = 500;

/** Whoever reads acknowledges in a moment, though not at once; what is left then is really lost. */
async function lostByReset(socket: Socket): Promise<number> {
  const deadline = performance.now() + acknowledgedWithinMs;
  for (;;) {
    const lost = unacknowledgedBytes(socket);
    if (lost === 0 || socket.destroyed || performance.now() > deadline) return lost;
    await new Promise<void>((resolve) => setTimeout(resolve, 1));
  }
}

async function flushed(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    response.once('close', () => resolve());
    response.write('', () => resolve());
  });
}
