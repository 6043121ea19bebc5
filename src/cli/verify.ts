// `verify`: hashes everything that is stored again, and says what lies, and what cannot be read.
import type { Command } from 'commander';
import { bar, counted, percent, printable, shortBytes } from './amounts.ts';
import type { VerifyLine } from './answers.ts';
import { cacheDirOption, type DirectoryFlags, isDirectoryMeant } from './cached-images.ts';
import { addAdminOptions, adminClient } from './find-admin.ts';
import { interruptibly } from './interrupt.ts';
import { showProgress } from './progress.ts';

interface Flags extends DirectoryFlags {
  readonly repair?: boolean;
  readonly json?: boolean;
}

type Progress = Extract<VerifyLine, { type: 'progress' }>;
type Done = Extract<VerifyLine, { type: 'done' }>;

interface Verifying {
  readonly repair: boolean;
  readonly signal: AbortSignal;
  readonly onEvent: (event: VerifyLine) => void;
}

const widestBar = 40;

export function addVerifyCommand(program: Command): void {
  const verify = program
    .command('verify')
    .description('hash everything that is stored again; exits with 1 if anything lied or could not be read')
    .option('--repair', 'remove what lies, so that the next pull fetches it again')
    .option('--json', 'what is found, as a line of JSON each');
  addAdminOptions(verify)
    .option(...cacheDirOption)
    .addHelpText(
      'after',
      `
Examples:
  stillwater verify
  stillwater verify --repair
  stillwater verify --cache-dir /mnt/backup/cache --json`,
    )
    .action(check);
}

async function check(flags: Flags): Promise<void> {
  await interruptibly(async (signal) => {
    let last: Progress | undefined;
    let end: Done | undefined;
    const paint = (columns: number) => (last ? [progressLine(last, columns)] : []);
    using progress = await showProgress(process.stdout, paint, { isQuiet: flags.json === true });
    const onEvent = (event: VerifyLine) => {
      if (event.type === 'progress') last = event;
      if (event.type === 'done') end = event;
      if (flags.json) process.stdout.write(`${JSON.stringify(event)}\n`);
      else if (event.type !== 'progress') progress.say(eventLine(event));
    };
    await verify(flags, { repair: flags.repair === true, signal, onEvent });
    if (end) throwIfUntrue(end);
    else throw new Error('the mirror broke off before all was checked; see its log');
  });
}

async function verify(flags: Flags, { onEvent, ...options }: Verifying): Promise<void> {
  if (isDirectoryMeant(flags)) {
    const { verifyDirectory } = await import('./local-verify.ts');
    return verifyDirectory(flags, { ...options, onEvent });
  }
  const { repair, signal } = options;
  const client = adminClient(flags, { hasDirectory: true });
  for await (const line of client.stream('/verify', { body: { repair }, signal })) onEvent(line as VerifyLine);
}

function throwIfUntrue({ damaged, missing, unread, dropped }: Done): void {
  const lies = damaged + missing;
  const problems: string[] = [];
  const rest =
    lies === dropped
      ? 'what lied was removed, and comes again with a pull'
      : 'stillwater verify --repair removes what lies';
  if (lies > 0) problems.push(`${counted(lies, 'blob')} damaged or missing; ${rest}`);
  if (unread > 0) problems.push(`${counted(unread, 'blob')} could not be read; the lines above say why`);
  if (problems.length > 0) throw new Error(problems.join('; '));
}

export function eventLine(event: Exclude<VerifyLine, Progress>): string {
  if (event.type === 'done') return doneLine(event);
  const verb = event.type === 'unread' ? '' : 'found ';
  const found = event.found === undefined ? '' : `: ${verb}${printable(event.found)}`;
  return `${event.digest}: ${event.type}, ${shortBytes(event.sizeBytes)}${found}${event.isDropped ? '; removed' : ''}`;
}

function doneLine({ checkedBlobs, checkedBytes, damaged, missing, unread, dropped }: Done): string {
  const checked = `${counted(checkedBlobs, 'blob')}, ${shortBytes(checkedBytes)} checked`;
  return `${checked}: ${damaged} damaged, ${missing} missing, ${unread} unread, ${dropped} removed`;
}

function progressLine({ checkedBytes, totalBytes, checkedBlobs, totalBlobs }: Progress, columns: number): string {
  const amounts = `${percent(totalBytes === 0 ? 1 : checkedBytes / totalBytes)}  ${checkedBlobs} of ${totalBlobs} blobs, ${shortBytes(checkedBytes)} of ${shortBytes(totalBytes)}`;
  const width = Math.min(widestBar, columns - amounts.length - 5);
  return width >= 5 ? `${bar(checkedBytes, totalBytes, width)}  ${amounts}` : amounts;
}
