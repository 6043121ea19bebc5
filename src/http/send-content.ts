// Content onto a connection. After the first byte the only way to say "this went wrong" is to close short.
import type { ServerResponse } from 'node:http';
import type { ByteRange } from '../oci/byte-range.ts';
import type { Content } from '../store/content.ts';
import { OrdinaryWrites } from './ordinary-writes.ts';
import type { Sendfile } from './sendfile.ts';
import { ZeroCopy } from './zero-copy.ts';

/** Small enough that one turn over many clients stays short, large enough for the kernel (measured, ADR 0004). */
const copiedBytes = 128 * 1024;
/** Up to here one copy costs less than a call more. */
const smallBytes = 64 * 1024;
/** What one client has of the event loop before the others have their turn. */
const turnBytes = 512 * 1024;
/** Written in the ordinary way to learn when there is room; costs little, and leaves with the rest. */
const pollBytes = 16 * 1024;

interface Body {
  readonly content: Content;
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly clientGone: AbortSignal;
  readonly onSent: (bytes: number) => void;
  readonly writes: OrdinaryWrites;
}

/**
 * Sends a range of the content as the body of a response whose head is already written, and ends it. Never throws:
 * a client that left or stalls, and content that fails, end in a closed connection, short of Content-Length.
 * With `sendfile` the bytes of a file pass by our memory where the connection allows it.
 */
export async function sendContent(
  outgoing: ServerResponse,
  content: Content,
  { start, end }: ByteRange,
  clientGone: AbortSignal,
  onSent: (bytes: number) => void,
  sendfile?: Sendfile,
): Promise<void> {
  const writes = new OrdinaryWrites(outgoing, clientGone);
  const body = { content, start, end: end + 1, clientGone, onSent, writes };
  try {
    if (end - start < smallBytes && (await isHere(outgoing, body))) return await sendAtOnce(body, sendfile);
    outgoing.flushHeaders();
    const left = sendfile ? await sendUncopied(body, new ZeroCopy(sendfile, outgoing)) : start;
    await sendCopied({ ...body, start: left });
    outgoing.end();
  } catch {
    outgoing.flushHeaders();
    outgoing.destroy();
  }
}

/** A head does not wait for bytes that still arrive, but shares the packet of those that are here. */
async function isHere(outgoing: ServerResponse, { content, start, end, clientGone }: Body): Promise<boolean> {
  const head = setImmediate(() => outgoing.flushHeaders());
  try {
    return (await content.waitFor(start, clientGone)) >= end;
  } finally {
    clearImmediate(head);
  }
}

async function sendAtOnce({ content, start, end, onSent, writes }: Body, sendfile?: Sendfile): Promise<void> {
  const bytes = Buffer.allocUnsafeSlow(end - start);
  for (let position = start; position < end; ) {
    const rest = bytes.subarray(position - start);
    const cached = content.fd === undefined ? 0 : sendfile?.readCached(content.fd, rest, position);
    position += cached || (await readSome(content, rest, position));
  }
  onSent(bytes.length);
  writes.end(bytes);
}

/** As far as it goes without copying. Resolves to the position of the first byte that is left. */
async function sendUncopied(body: Body, zeroCopy: ZeroCopy): Promise<number> {
  const { content, start, end, clientGone, onSent, writes } = body;
  let buffer = Buffer.alloc(0);
  let position = start;
  for (; position < end; await othersTurn()) {
    const available = Math.min(end, await content.waitFor(position, clientGone));
    const { fd } = content;
    if (fd === undefined) break;
    let sent = zeroCopy.send({ fd, position, length: Math.min(turnBytes, available - position) });
    if (sent === 'impossible') break;
    if (typeof sent === 'string') {
      const wanted = sent === 'cold' ? copiedBytes : pollBytes;
      if (buffer.length < wanted) buffer = Buffer.allocUnsafeSlow(wanted);
      const chunk = buffer.subarray(0, Math.min(wanted, available - position));
      const cached = sent === 'cold' ? 0 : zeroCopy.readCached(fd, chunk, position);
      sent = cached || (await readSome(content, chunk, position));
      await writes.write(chunk.subarray(0, sent));
    }
    onSent(sent);
    position += sent;
  }
  return position;
}

async function sendCopied({ content, start, end, clientGone, onSent, writes }: Body): Promise<void> {
  const length = Math.min(copiedBytes, end - start);
  // A second buffer is made only for a client slower than the disk: one fills while the other drains.
  const buffers = [Buffer.allocUnsafeSlow(length)];
  let draining: Buffer | undefined;
  let drained: Promise<void> = Promise.resolve();
  for (let position = start; position < end; ) {
    const available = Math.min(end, await content.waitFor(position, clientGone));
    const free = buffers.find((buffer) => buffer !== draining) ?? Buffer.allocUnsafeSlow(length);
    if (!buffers.includes(free)) buffers.push(free);
    const read = await readSome(content, free.subarray(0, Math.min(length, available - position)), position);
    await drained;
    draining = free;
    drained = writes.write(free.subarray(0, read)).finally(() => {
      draining = undefined;
    });
    drained.catch(() => {}); // awaited before the next write
    position += read;
    onSent(read);
  }
  await drained;
}

async function readSome(content: Content, buffer: Uint8Array, position: number): Promise<number> {
  const read = await content.read(buffer, position);
  if (read === 0) throw new Error(`the file ends at ${position}`);
  return read;
}

function othersTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
