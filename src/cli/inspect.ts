// `inspect`: everything that is known of one cached image, or of all of a repository.
import type { Command } from 'commander';
import { printable, shortBytes, shortTime } from './amounts.ts';
import type { ShownImage } from './answers.ts';
import { cacheDirOption, type DirectoryFlags, openCachedImages } from './cached-images.ts';
import { addAdminOptions } from './find-admin.ts';
import { checkImage } from './image-argument.ts';
import { interruptibly } from './interrupt.ts';
import { tableLines } from './table.ts';

interface Flags extends DirectoryFlags {
  readonly json?: boolean;
}

export function addInspectCommand(program: Command): void {
  const inspect = program
    .command('inspect')
    .description('show what is known of a cached image')
    .argument('<image>', 'REPO:TAG or REPO@DIGEST; REPO alone is all of it')
    .option('--json', 'as JSON');
  addAdminOptions(inspect)
    .option(...cacheDirOption)
    .addHelpText(
      'after',
      `
Examples:
  stillwater inspect redis:7
  stillwater inspect ghcr.io/acme/app
  stillwater inspect redis:7 --json --cache-dir /var/cache/stillwater`,
    )
    .action(show);
}

async function show(image: string, flags: Flags): Promise<void> {
  checkImage(image);
  await interruptibly(async (signal) => {
    await using images = await openCachedImages(flags);
    const found = await images.find(image, signal);
    const text = flags.json
      ? JSON.stringify(found, undefined, 2)
      : found.map((each) => inspectLines(each, Date.now()).join('\n')).join('\n\n');
    process.stdout.write(`${text}\n`);
  });
}

/** `now` in milliseconds since 1970. */
export function inspectLines(image: ShownImage, now: number): readonly string[] {
  const facts = [
    ['digest', image.digest],
    ['type', image.mediaType],
    [
      'complete',
      image.isComplete ? 'yes: a pull is served with every upstream away' : 'no: the rest comes with a pull',
    ],
    ['pinned', image.isPinned ? 'yes' : 'no'],
    ['for', image.isPrivate ? 'those who may see it at its registry' : 'everybody'],
    ['stored', shortBytes(image.storedBytes)],
    ['checked', momentOf(image.checkedAt, now)],
    ['last used', momentOf(image.lastUsedAt, now)],
  ];
  const platforms = image.platforms.map(({ platform = 'of no platform', ...each }) => [
    platform,
    each.digest,
    `${shortBytes(each.storedBytes)} of ${shortBytes(each.sizeBytes)}`,
    each.isComplete ? 'complete' : 'in part',
  ]);
  const indented = (lines: readonly string[]) => lines.map((line) => `  ${line}`);
  const name = image.tag === undefined ? `${image.repository}@${image.digest}` : `${image.repository}:${image.tag}`;
  return [printable(name), ...indented(tableLines(facts)), ...indented(tableLines(platforms, [2]))];
}

function momentOf(at: number | undefined, now: number): string {
  if (at === undefined) return 'never';
  return `${shortTime(now - at)} ago (${new Date(at).toISOString().replace(/\.\d+Z$/, 'Z')})`;
}
