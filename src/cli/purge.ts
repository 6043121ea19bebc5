// `purge`: forgets an image, a repository, whatever matches a glob, or one blob wherever it is.
import { createInterface } from 'node:readline/promises';
import { type Command, CommanderError } from 'commander';
import { parseDigest } from '../oci/digest.ts';
import { parsePartialImageName } from '../oci/image-name.ts';
import type { AdminClient } from './admin-client.ts';
import { counted, printable, shortBytes } from './amounts.ts';
import type { ShownPurge } from './answers.ts';
import type { ListPage } from './cached-images.ts';
import { type AdminFlags, addAdminOptions, adminClient } from './find-admin.ts';
import { checkImage, ifMissing, imagePath } from './image-argument.ts';
import { interruptibly } from './interrupt.ts';

interface Flags extends AdminFlags {
  readonly yes?: boolean;
  readonly json?: boolean;
}

const pageSize = 1000;

export function addPurgeCommand(program: Command): void {
  const purge = program
    .command('purge')
    .description('forget an image, a repository, all that matches a glob, or one blob')
    .argument('<what>', 'REPO:TAG, REPO@DIGEST, REPO, a glob on REGISTRY/PATH[:TAG], or a DIGEST')
    .option('-y, --yes', 'do not ask before a repository or a glob goes (on a terminal; elsewhere nothing is asked)')
    .option('--json', 'as JSON');
  addAdminOptions(purge)
    .addHelpText(
      'after',
      `
What is pinned stays. The next pull fetches the rest again.

Examples:
  stillwater purge redis:7
  stillwater purge "docker.io/acme/*:pr-*"
  stillwater purge sha256:4bc4…            one damaged blob, wherever it is`,
    )
    .action(forget);
}

async function forget(what: string, flags: Flags): Promise<void> {
  const { path, query } = targetOf(what);
  const client = adminClient(flags);
  await interruptibly(async (signal) => {
    const isAsked = query !== undefined && process.stdin.isTTY && process.stderr.isTTY && !flags.yes;
    if (isAsked && !(await isAgreed(client, { what, query }, signal))) throw new Error('nothing was purged');
    const purged = (await client.delete(path, { signal, ifMissing })) as ShownPurge;
    const lines = flags.json ? [JSON.stringify(purged, undefined, 2)] : purgedLines(purged, what);
    for (const line of lines) process.stdout.write(`${line}\n`);
  });
}

interface Target {
  readonly path: string;
  /** Lists what would go, where that is more than one thing. */
  readonly query?: string;
}

function targetOf(what: string): Target {
  if (parseDigest(what)) return { path: `/blobs/${what}` };
  // As a name it would be the repository sha256, with a tag.
  if (/^sha(256|512):[0-9a-f]*$/.test(what))
    throw new CommanderError(
      2,
      'stillwater.digest',
      `${JSON.stringify(what)}: not a whole digest: stillwater inspect shows it`,
    );
  if (what.includes('*')) {
    const match = new URLSearchParams({ match: what });
    return { path: `/images?${match}`, query: `/images?${match}&limit=${pageSize}` };
  }
  checkImage(what);
  const image = `/images/${imagePath(what)}`;
  if (parsePartialImageName(what).reference) return { path: image };
  // In that path, the end of a repository that is called pin would be a pin.
  return { path: `/images?${new URLSearchParams({ repository: what })}`, query: image };
}

async function isAgreed(
  client: AdminClient,
  { what, query }: { readonly what: string; readonly query: string },
  signal: AbortSignal,
): Promise<boolean> {
  const { images, cursor } = (await client.get(query, { signal, ifMissing })) as ListPage;
  const pinned = images.filter(({ isPinned }) => isPinned).length;
  const count = counted(images.length - pinned, 'image') + (cursor === undefined ? '' : ' and more');
  const kept = pinned > 0 ? `, but not ${pinned} pinned` : '';
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  // The terminal is not one that sends signals while it is read line by line.
  terminal.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
  try {
    const answer = await terminal.question(`Purge ${what}: ${count}${kept}? [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

export function purgedLines({ images, imageCount, blobs, bytes, pinned }: ShownPurge, what: string): readonly string[] {
  if (imageCount === 0 && blobs === 0 && pinned.length === 0) return [`nothing that is cached matches ${what}`];
  const rest = imageCount - images.length;
  return [
    ...images.map((image) => printable(`purged ${image}`)),
    ...(rest > 0 ? [`… and ${rest} more`] : []),
    ...pinned.map((image) => printable(`left ${image}: it is pinned`)),
    `${counted(imageCount, 'image')}, ${counted(blobs, 'blob')}, ${shortBytes(bytes)} freed`,
  ];
}
