// `ls`: what is cached, a line an image.
import { type Command, Option } from 'commander';
import type { ImageQuery } from '../mirror/images/images.ts';
import { shortBytes, shortDigest, shortTime } from './amounts.ts';
import type { ShownImage } from './answers.ts';
import { type CachedImages, cacheDirOption, type DirectoryFlags, openCachedImages } from './cached-images.ts';
import { addAdminOptions } from './find-admin.ts';
import { interruptibly } from './interrupt.ts';
import { tableLines } from './table.ts';

interface Flags extends DirectoryFlags {
  readonly sort?: 'name' | 'size' | 'used';
  readonly json?: boolean;
}

const pageSize = 1000;
const most = 10_000;
const shownPlatforms = 3;

export function addLsCommand(program: Command): void {
  const ls = program
    .command('ls')
    .description('list what is cached: repository, tag, platforms, size, last use')
    .argument('[glob]', 'an image or a repository, or a glob on REGISTRY/PATH with an optional :TAG glob')
    .addOption(new Option('--sort <key>', 'in which order').choices(['name', 'size', 'used']))
    .option('--json', 'as JSON');
  addAdminOptions(ls)
    .option(...cacheDirOption)
    .addHelpText(
      'after',
      `
Examples:
  stillwater ls
  stillwater ls redis
  stillwater ls "docker.io/library/*:7*" --sort size
  stillwater ls "ghcr.io/**" --json
  stillwater ls --cache-dir /var/cache/stillwater`,
    )
    .action(list);
}

async function list(glob: string | undefined, flags: Flags): Promise<void> {
  await interruptibly(async (signal) => {
    await using images = await openCachedImages(flags);
    const { found, isCut } = await gather(images, { match: glob, sort: flags.sort }, signal);
    const lines = flags.json ? [JSON.stringify(found, undefined, 2)] : imageLines(found, Date.now());
    for (const line of lines) process.stdout.write(`${line}\n`);
    if (isCut) process.stderr.write(`only the first ${most} are shown; narrow it down with a GLOB\n`);
    if (found.length === 0) process.stderr.write(`${nothing(glob)}\n`);
  });
}

async function gather(images: CachedImages, { match, sort }: Pick<ImageQuery, 'match' | 'sort'>, signal: AbortSignal) {
  if (match !== undefined && !match.includes('*')) return { found: await images.find(match, signal), isCut: false };
  const found: ShownImage[] = [];
  let cursor: string | undefined;
  do {
    const page = await images.list({ match, sort, limit: pageSize, cursor }, signal);
    found.push(...page.images);
    cursor = page.cursor;
  } while (cursor !== undefined && found.length < most);
  return { found, isCut: cursor !== undefined };
}

/** With a line of headings; `now` in milliseconds since 1970. */
export function imageLines(images: readonly ShownImage[], now: number): readonly string[] {
  const rows = images.map((image) => [
    image.repository,
    image.tag ?? `@${shortDigest(image.digest)}`,
    platformsOf(image),
    shortBytes(image.storedBytes),
    image.isComplete ? 'yes' : 'no',
    image.isPinned ? 'yes' : 'no',
    image.lastUsedAt === undefined ? 'never' : `${shortTime(now - image.lastUsedAt)} ago`,
  ]);
  return tableLines([['REPOSITORY', 'TAG', 'PLATFORMS', 'SIZE', 'COMPLETE', 'PINNED', 'LAST USED'], ...rows], [3]);
}

/** Those that are here whole come first, and only they where there are any. */
function platformsOf({ platforms }: ShownImage): string {
  const whole = platforms.filter(({ isComplete }) => isComplete);
  const names = (whole.length > 0 ? whole : platforms).map(({ platform }) => platform ?? '?');
  const rest = names.length - shownPlatforms;
  return names.slice(0, shownPlatforms).join(', ') + (rest > 0 ? ` +${rest}` : '') || '-';
}

function nothing(glob: string | undefined): string {
  if (glob === undefined) return 'nothing is cached yet';
  return `nothing that is cached matches ${JSON.stringify(glob)}; globs are on whole names, such as "docker.io/library/*"`;
}
