// Content onto a connection. After the first byte the only way to say "this went wrong" is to close short.
import type { ServerResponse } from 'node:http';
import type { ByteRange } from '../oci/byte-range.ts';
import type { Content } from '../store/content.ts';

/** Small enough that one turn over many clients stays short, large enough for the kernel (measured, ADR 0004). */
const chunkBytes = 256 * 1024;

/** A client that takes nothing for this long is let go. */
const clientIdleMs = 120_000;

/**
 * Sends a range of the content as the body of a response whose head is already written, and ends it. Never throws:
 * a client that left or stalls, and content that fails, end in a closed connection, short of Content-Length.
 */
export async function sendContent(
  outgoing: ServerResponse,
  content: Content,
  { start, end }: ByteRange,
  clientGone: AbortSignal,
  onSent: (bytes: number) => void,
): Promise<void> {
  // Two buffers in turn: one is filled from disk while the other drains into the socket.
  let filling = Buffer.allocUnsafe(Math.min(chunkBytes, end - start + 1));
  let draining = filling.length < chunkBytes ? filling : Buffer.allocUnsafe(chunkBytes);
  let drained: Promise<void> = Promise.resolve();
  try {
    outgoing.flushHeaders();
    for (let position = start; position <= end; ) {
      const available = Math.min(end + 1, await content.waitFor(position, clientGone));
      const chunk = filling.subarray(0, Math.min(filling.length, available - position));
      const read = await content.read(chunk, position);
      if (read === 0) throw new Error(`the file ends at ${position}`);
      await drained;
      drained = write(outgoing, chunk.subarray(0, read));
      drained.catch(() => {});
      [filling, draining] = [draining, filling];
      position += read;
      onSent(read);
    }
    await drained;
    outgoing.end();
  } catch {
    outgoing.destroy();
  }
}

/** Resolves when the kernel has taken the bytes, so that the buffer may be used again. */
function write(outgoing: ServerResponse, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const stalled = setTimeout(() => reject(new Error('the client takes nothing')), clientIdleMs);
    outgoing.write(chunk, (error) => {
      clearTimeout(stalled);
      if (error) reject(error);
      else resolve();
    });
  });
}
