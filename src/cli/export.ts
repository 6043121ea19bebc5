// `export`: cached images into one tar, which `docker load` and skopeo take.
import type { Command } from 'commander';
import { shortBytes, shortRate } from './amounts.ts';
import { cacheDirOption, type DirectoryFlags, isDirectoryMeant } from './cached-images.ts';
import { type ExportOutput, openExportOutput, openStandardOutput } from './export-output.ts';
import { addAdminOptions, adminClient } from './find-admin.ts';
import { checkImage } from './image-argument.ts';
import { interruptibly } from './interrupt.ts';
import { collect, namedPlatforms, type PlatformFlags } from './platform-flags.ts';
import { showProgress } from './progress.ts';

interface Flags extends DirectoryFlags, PlatformFlags {
  readonly output: string;
}

type Bytes = AsyncIterable<Uint8Array>;

const stdout = '-';

export function addExportCommand(program: Command): void {
  const command = program
    .command('export')
    .description('write cached images into a tar that docker load and skopeo take')
    .argument('<image...>', 'REPO, REPO:TAG or REPO@DIGEST')
    .requiredOption('-o, --output <file>', 'the tar; - is stdout')
    .option('--platform <platform>', 'such as linux/arm64; may be repeated (default: all that is here)', collect)
    .option('--all-platforms', 'everything that an image has, or fail');
  addAdminOptions(command)
    .option(...cacheDirOption)
    .addHelpText(
      'after',
      `
What is not in the cache whole is not written: prefetch it first.

Examples:
  stillwater export redis:7 postgres:17 -o images.tar
  stillwater export redis:7 --platform linux/arm64 -o - | ssh far docker load
  stillwater export redis:7 -o redis.tar --cache-dir /var/cache/stillwater`,
    )
    .action(write);
}

async function write(images: readonly string[], flags: Flags, command: Command): Promise<void> {
  for (const image of images) checkImage(image);
  const named = namedPlatforms(flags, command);
  const platforms = flags.allPlatforms ? ['all'] : named;
  if (flags.output === stdout && process.stdout.isTTY)
    command.error('a tar is nothing for a terminal: write it to a file with -o FILE, or into a pipe');
  await interruptibly(async (signal) => {
    await using source = await openSource({ images, platforms }, flags, signal);
    await using output = flags.output === stdout ? openStandardOutput() : await openExportOutput(flags.output, signal);
    const written = await drain(source.body, output);
    if (written === undefined) return;
    process.stderr.write(`wrote ${shortBytes(written)} to ${flags.output === stdout ? 'stdout' : flags.output}\n`);
  });
}

export interface ExportWish {
  readonly images: readonly string[];
  /** `all` alone is everything; without any, what is here. */
  readonly platforms: readonly string[] | undefined;
}

async function openSource(
  wish: ExportWish,
  flags: Flags,
  signal: AbortSignal,
): Promise<AsyncDisposable & { body: Bytes }> {
  if (isDirectoryMeant(flags)) return (await import('./local-archives.ts')).exportDirectory(wish, flags, signal);
  const given = [
    ...wish.images.map((image) => ['image', image]),
    ...(wish.platforms ?? []).map((platform) => ['platform', platform]),
  ];
  const client = adminClient(flags, { hasDirectory: true });
  const body = await client.download(`/export?${new URLSearchParams(given)}`, { signal });
  return { body, [Symbol.asyncDispose]: async () => {} };
}

/** Resolves to the bytes written; `undefined`: the reader had enough before the end. */
async function drain(body: Bytes, output: ExportOutput): Promise<number | undefined> {
  const startedAt = performance.now();
  let written = 0;
  const paint = () => {
    const rate = written / Math.max(0.1, (performance.now() - startedAt) / 1000);
    return [`${shortBytes(written)}  ${shortRate(rate)}`];
  };
  // Elsewhere than on a terminal there is nothing to say on the way.
  using _progress = await showProgress(process.stderr, paint);
  for await (const bytes of body) {
    if (!(await output.write(bytes))) return undefined;
    written += bytes.length;
  }
  await output.commit();
  return written;
}
