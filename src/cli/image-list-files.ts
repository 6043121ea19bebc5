// The files that --from names, read and understood; each fault names the file.
import { createReadStream } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseEnv } from 'node:util';
import { printable } from './amounts.ts';
import type { ListedImage } from './image-list/found-images.ts';

const stdin = '-';
const mostMiB = 32;
/** Of a line, which may be what the file itself has as one. */
const mostShown = 500;

/** `onLeftOut` is told, a line each, what of them names an image that cannot be known. */
export async function readListFiles(
  paths: readonly string[],
  onLeftOut: (line: string) => void,
): Promise<readonly ListedImage[]> {
  if (paths.length === 0) return [];
  // Loaded late: no other command needs these parsers.
  const { readImageList } = await import('./image-list/image-list.ts');
  const listed: ListedImage[] = [];
  for (const path of paths) {
    const name = path === stdin ? 'stdin' : path;
    const content = await readText(path);
    try {
      const { images, leftOut } = readImageList(content, { name: basename(path), env: await environmentOf(path) });
      for (const line of leftOut) onLeftOut(printable(`${name}: ${line.slice(0, mostShown)}`));
      if (images.length === 0 && leftOut.length === 0) throw new Error('it names none');
      listed.push(...images);
    } catch (cause) {
      throw new Error(`cannot read images from ${name}: ${(cause as Error).message}`, { cause });
    }
  }
  if (listed.length === 0) throw new Error('no image is left; give the variables a value, or name the images');
  return listed;
}

async function readText(path: string): Promise<string> {
  try {
    const content = await readBounded(path === stdin ? process.stdin : createReadStream(path));
    if (content !== undefined) return content;
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new Error(`cannot read ${path}: ${code === 'ENOENT' ? 'there is no such file' : (code ?? message)}`, {
      cause,
    });
  }
  throw new Error(`cannot read images from ${path}: it is larger than ${mostMiB} MiB; split it`);
}

/** `undefined`: larger than any that people write, or without an end. */
async function readBounded(stream: AsyncIterable<Buffer>): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > mostMiB * 1024 * 1024) return undefined;
  }
  return Buffer.concat(chunks).toString();
}

/** As docker compose has it: the file .env beside it, and before that the environment. */
async function environmentOf(path: string): Promise<Readonly<Record<string, string | undefined>>> {
  const beside = path === stdin ? '.' : dirname(path);
  const file = await readBounded(createReadStream(join(beside, '.env'))).catch(() => '');
  return { ...parseEnv(file ?? ''), ...process.env };
}
