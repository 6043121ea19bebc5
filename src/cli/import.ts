// `import`: the images of archives into the cache, as if they had been pulled.
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Command } from 'commander';
import { bar, shortBytes, shortDigest } from './amounts.ts';
import { cacheDirOption, type DirectoryFlags, isDirectoryMeant } from './cached-images.ts';
import { addAdminOptions, adminClient } from './find-admin.ts';
import { checkImage } from './image-argument.ts';
import { interruptibly } from './interrupt.ts';
import { showProgress } from './progress.ts';

interface Flags extends DirectoryFlags {
  readonly name?: string;
  readonly json?: boolean;
}

export type ImportLine =
  | { readonly type: 'progress'; readonly receivedBytes: number }
  | { readonly type: 'image'; readonly image: string; readonly digest: string; readonly bytes: number }
  | { readonly type: 'done'; readonly images: number; readonly bytes: number };

export interface Archive {
  readonly body: Readable;
  /** Where it is known. */
  readonly sizeBytes: number | undefined;
  readonly name: string | undefined;
}

/** Imports one archive, telling a line for each image and `done` at the end. */
export type Importer = (archive: Archive, signal: AbortSignal) => AsyncIterable<ImportLine>;

const stdin = '-';
const barWidth = 30;

export function addImportCommand(program: Command): void {
  const command = program
    .command('import')
    .description('bring the images of archives into the cache: OCI image layouts, or what docker save wrote')
    .argument('<file...>', 'the tars; - is stdin')
    .option('--name <image>', 'for an image that has no name in its archive, or to give a single one another')
    .option('--json', 'what was imported, as a line of JSON each');
  addAdminOptions(command)
    .option(...cacheDirOption)
    .addHelpText(
      'after',
      `
Examples:
  stillwater import images.tar
  docker save my/app:1 | stillwater import - --name docker.io/my/app:1
  stillwater import layout.tar --cache-dir ./cache       the air gap, before the mirror starts`,
    )
    .action(bring);
}

async function bring(files: readonly string[], flags: Flags, command: Command): Promise<void> {
  if (flags.name !== undefined) checkImage(flags.name);
  if (flags.name !== undefined && files.length > 1) command.error('--name is for a single archive');
  if (files.filter((file) => file === stdin).length > 1) command.error('stdin can be read once');
  if (files.includes(stdin) && process.stdin.isTTY) command.error('- is stdin, which is a terminal: give it a tar');
  await interruptibly(async (signal) => {
    await using opened = await openImporter(flags);
    for (const file of files) await bringOne(file, opened.run, { flags, signal });
  });
}

async function openImporter(flags: Flags): Promise<AsyncDisposable & { readonly run: Importer }> {
  if (isDirectoryMeant(flags)) return (await import('./local-archives.ts')).openImporter(flags);
  const client = adminClient(flags, { hasDirectory: true });
  return {
    run: ({ body, sizeBytes, name }, signal) => {
      const query = name === undefined ? '' : `?${new URLSearchParams({ name })}`;
      return client.stream(`/import${query}`, { upload: { body, sizeBytes }, signal }) as AsyncIterable<ImportLine>;
    },
    [Symbol.asyncDispose]: async () => {},
  };
}

async function bringOne(
  file: string,
  run: Importer,
  { flags, signal }: { readonly flags: Flags; readonly signal: AbortSignal },
): Promise<void> {
  const size = file === stdin ? undefined : await sizeOf(file);
  // A file that grows meanwhile is read as long as it was said to be.
  const end = size ? size - 1 : undefined;
  const body: Readable = file === stdin ? process.stdin : createReadStream(file, { highWaterMark: 1024 * 1024, end });
  let read = 0;
  const counted = body.compose(async function* (source: AsyncIterable<Uint8Array>) {
    for await (const bytes of source) {
      read += bytes.length;
      yield bytes;
    }
  });
  const paint = () => [
    size === undefined ? shortBytes(read) : `${bar(read, size, barWidth)}  ${shortBytes(read)} of ${shortBytes(size)}`,
  ];
  using progress = await showProgress(process.stdout, paint, { isQuiet: flags.json === true });
  try {
    for await (const event of run({ body: counted, sizeBytes: size, name: flags.name }, signal)) {
      if (flags.json) process.stdout.write(`${JSON.stringify(event)}\n`);
      else if (event.type === 'image')
        progress.say(`imported ${event.image}  ${shortDigest(event.digest)}  ${shortBytes(event.bytes)}`);
    }
  } catch (cause) {
    throw new Error(`${file === stdin ? 'stdin' : file}: ${(cause as Error).message}`, { cause });
  }
}

/** `undefined` of what only shows its end when it comes. */
async function sizeOf(file: string): Promise<number | undefined> {
  const found = await stat(file).catch((cause) => {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new Error(`cannot read ${file}: ${code === 'ENOENT' ? 'there is no such file' : (code ?? message)}`, {
      cause,
    });
  });
  if (found.isDirectory()) throw new Error(`cannot read ${file}: it is a directory; pack it into a tar`);
  return found.isFile() ? found.size : undefined;
}
