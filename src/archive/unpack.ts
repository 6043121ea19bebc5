// Bytes as they were before somebody compressed them: gzip and zstd are told by their first bytes, anything else is plain.
import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { ArchiveError } from './archive-error.ts';

export type Packing = 'gzip' | 'zstd';

export interface UnpackOptions {
  /** Of what comes out: a few bytes can unpack to more than any disk takes. */
  readonly mostBytes: number;
  readonly signal: AbortSignal;
}

// https://www.rfc-editor.org/rfc/rfc1952#page-6 and https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1
const magics: readonly (readonly [Packing, Uint8Array])[] = [
  ['gzip', Uint8Array.of(0x1f, 0x8b)],
  ['zstd', Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd)],
];
/** What `packingOf` has to see. */
export const magicBytes = 4;

export function packingOf(head: Uint8Array): Packing | undefined {
  return magics.find(([, magic]) => magic.every((byte, at) => head[at] === byte))?.[0];
}

/** Throws `ArchiveError` when what is packed is damaged or unpacks to too much. Ends `bytes` when it is ended itself. */
export async function* unpacked(
  bytes: AsyncIterable<Uint8Array>,
  { mostBytes, signal }: UnpackOptions,
): AsyncGenerator<Uint8Array> {
  const { head, whole } = await headOf(bytes);
  const packing = packingOf(head);
  const plain = packing ? through(whole, packing, signal) : whole;
  let given = 0;
  for await (const chunk of plain) {
    given += chunk.length;
    if (given > mostBytes)
      throw new ArchiveError(`the archive unpacks to more than the ${mostBytes} bytes that there is room for`);
    yield chunk;
  }
}

/** Looks at the first bytes, however small the pieces are in which they come. */
async function headOf(
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ head: Uint8Array; whole: AsyncIterable<Uint8Array> }> {
  const iterator = bytes[Symbol.asyncIterator]();
  let head: Uint8Array = new Uint8Array();
  while (head.length < magicBytes) {
    const next = await iterator.next();
    if (next.done) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  return { head, whole: continued(head, iterator) };
}

async function* continued(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    if (head.length > 0) yield head;
    for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

async function* through(
  bytes: AsyncIterable<Uint8Array>,
  packing: Packing,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const unpack: Transform = packing === 'gzip' ? createGunzip() : createZstdDecompress();
  const fed = pipeline(bytes, unpack, { signal, end: true });
  fed.catch(() => {}); // told below, after what could be unpacked
  try {
    for await (const chunk of unpack) yield chunk as Uint8Array;
    await fed;
  } catch (cause) {
    signal.throwIfAborted();
    const { code = '' } = cause as NodeJS.ErrnoException;
    if (!/^(Z_|ZSTD_|ERR_STREAM_PREMATURE_CLOSE)/.test(code)) throw cause;
    throw new ArchiveError(`the archive's ${packing} is damaged or cut short: ${(cause as Error).message}`, { cause });
  } finally {
    unpack.destroy();
  }
}
