// `prefetch`: the mirror pulls images into its cache before anybody asks for them.
import type { Command } from 'commander';
import type { AdminClient } from './admin-client.ts';
import { counted, shortBytes } from './amounts.ts';
import type { PrefetchLine } from './answers.ts';
import { type AdminFlags, addAdminOptions, adminClient } from './find-admin.ts';
import { checkImage } from './image-argument.ts';
import type { ListedImage } from './image-list/found-images.ts';
import { readListFiles } from './image-list-files.ts';
import { interruptibly } from './interrupt.ts';
import { collect, namedPlatforms, type PlatformFlags } from './platform-flags.ts';
import { showProgress } from './progress.ts';
import { PullProgress } from './pull-progress.ts';

interface Flags extends AdminFlags, PlatformFlags {
  readonly from?: readonly string[];
  readonly json?: boolean;
}

/** As many as the API takes at once. */
const mostAtOnce = 1000;

export function addPrefetchCommand(program: Command): void {
  const prefetch = program
    .command('prefetch')
    .description('pull images into the cache before anybody asks for them')
    .argument('[image...]', 'REPO, REPO:TAG or REPO@DIGEST')
    .option('--platform <platform>', 'such as linux/arm64; may be repeated (default: that of the mirror)', collect)
    .option('--all-platforms', 'everything that an image has')
    .option(
      '--from <file>',
      'the images of a Dockerfile, a compose file, Kubernetes manifests or a list; - is stdin; may be repeated',
      collect,
    )
    .option('--json', 'what happens, as a line of JSON each');
  addAdminOptions(prefetch)
    .addHelpText(
      'after',
      `
Examples:
  stillwater prefetch redis:7 ghcr.io/acme/app:1.4
  stillwater prefetch postgres:17 --platform linux/amd64 --platform linux/arm64
  stillwater prefetch --from Dockerfile --from compose.yaml
  kubectl get pods -A -o yaml | stillwater prefetch --from -`,
    )
    .action(fetchImages);
}

interface Wish {
  readonly images: readonly string[];
  readonly platforms?: readonly string[];
  readonly allPlatforms?: true;
}

async function fetchImages(named: readonly string[], flags: Flags, command: Command): Promise<void> {
  if (named.length === 0 && !flags.from) command.error('name an image, or a file that has some with --from FILE');
  for (const image of named) checkImage(image);
  const platforms = namedPlatforms(flags, command);
  const client = adminClient(flags);
  const listed = await readListFiles(flags.from ?? [], (line) => process.stderr.write(`left out: ${line}\n`));
  const wishes = wishesOf([...named.map((image) => ({ image })), ...listed], { ...flags, platforms });
  await interruptibly(async (signal) => {
    const failed = await run(client, wishes, { json: flags.json === true, signal });
    const count = wishes.reduce((sum, { images }) => sum + images.length, 0);
    if (failed > 0) throw new Error(`${failed} of ${counted(count, 'image')} did not come whole; what came is kept`);
  });
}

/** What a file says of an image's platform counts for that image, unless all are wanted. */
export function wishesOf(
  listed: readonly Pick<ListedImage, 'image' | 'platform'>[],
  { platforms, allPlatforms }: { readonly platforms?: readonly string[] | undefined; readonly allPlatforms?: boolean },
): readonly Wish[] {
  const groups = Map.groupBy(listed, ({ platform }) => (allPlatforms ? '' : (platform ?? '')));
  return [...groups].flatMap(([platform, group]) => {
    const images = [...new Set(group.map(({ image }) => image))];
    const own = platform === '' ? platforms : [platform];
    return Array.from({ length: Math.ceil(images.length / mostAtOnce) }, (_, page) => ({
      images: images.slice(page * mostAtOnce, (page + 1) * mostAtOnce),
      ...(own && { platforms: own }),
      ...(allPlatforms && { allPlatforms: true as const }),
    }));
  });
}

interface Running {
  readonly json: boolean;
  readonly signal: AbortSignal;
}

/** Resolves to how many images failed. */
async function run(client: AdminClient, wishes: readonly Wish[], { json, signal }: Running): Promise<number> {
  const pulls = new PullProgress();
  using progress = await showProgress(process.stdout, (columns) => pulls.lines(columns), { isQuiet: json });
  const total = { images: 0, failed: 0, bytes: 0 };
  for (const body of wishes) {
    let isDone = false;
    for await (const line of client.stream('/prefetch', { body, signal })) {
      const event = line as PrefetchLine;
      const told = pulls.apply(event);
      if (json) process.stdout.write(`${JSON.stringify(event)}\n`);
      // On a terminal, layers are redrawn where they stand.
      else if (told !== undefined && !(progress.isLive && isPassing(event))) progress.say(told);
      if (event.type !== 'done') continue;
      isDone = true;
      total.images += event.images;
      total.failed += event.failed;
      total.bytes += event.bytes;
    }
    if (!isDone) throw new Error(`the mirror at ${client.url} broke off before all was done; see its log`);
  }
  const whole = total.images - total.failed;
  if (!json) progress.say(`${whole} of ${counted(total.images, 'image')} here, ${shortBytes(total.bytes)} fetched`);
  return total.failed;
}

function isPassing(event: PrefetchLine): boolean {
  return event.type === 'layer' || (event.type === 'image' && event.state === 'started');
}
