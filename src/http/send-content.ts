// Content onto a connection. After the first byte the only way to say "this went wrong" is to close short.
import type { ServerResponse } from 'node:http';
import type { ByteRange } from '../oci/byte-range.ts';
import type { Content } from '../store/content.ts';

/** Small enough that one turn over many clients stays short, large enough for the kernel (measured, ADR 0004). */
const chunkBytes = 128 * 1024;

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
  const length = Math.min(chunkBytes, end - start + 1);
  // A second buffer is made only for a client slower than the disk: one fills while the other drains.
  const buffers = [Buffer.allocUnsafeSlow(length)];
  let draining: Buffer | undefined;
  let drained: Promise<void> = Promise.resolve();
  let leave = () => {};
  // Resolves when the kernel has taken the bytes, so that the buffer may be used again.
  const write = (chunk: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      // node forgets the callback of a write that meets a destroyed connection.
      leave = () => reject(clientGone.reason);
      if (clientGone.aborted) leave();
      else outgoing.write(chunk, (error) => (error ? reject(error) : resolve()));
    });
  clientGone.addEventListener('abort', () => leave(), { once: true });
  // The server's idle limit, heard here: waiting for an upstream is no stall of the client's.
  outgoing.on('timeout', () => draining && outgoing.destroy());
  try {
    outgoing.flushHeaders();
    for (let position = start; position <= end; ) {
      const available = Math.min(end + 1, await content.waitFor(position, clientGone));
      const free = buffers.find((buffer) => buffer !== draining) ?? Buffer.allocUnsafeSlow(length);
      if (!buffers.includes(free)) buffers.push(free);
      const read = await content.read(free.subarray(0, Math.min(length, available - position)), position);
      if (read === 0) throw new Error(`the file ends at ${position}`);
      await drained;
      draining = free;
      drained = write(free.subarray(0, read)).finally(() => {
        draining = undefined;
      });
      drained.catch(() => {}); // awaited before the next write
      position += read;
      onSent(read);
    }
    await drained;
    outgoing.end();
  } catch {
    outgoing.destroy();
  }
}
