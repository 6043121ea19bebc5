// `status`: how the mirror is, on one screen.
import { setTimeout as wait } from 'node:timers/promises';
import type { Command } from 'commander';
import type { AdminClient } from './admin-client.ts';
import type { ShownFill, ShownStatus } from './answers.ts';
import { type AdminFlags, addAdminOptions, adminClient } from './find-admin.ts';
import { interruptibly } from './interrupt.ts';
import { showProgress } from './progress.ts';
import { statusLines } from './status-screen.ts';

interface Flags extends AdminFlags {
  readonly json?: boolean;
  readonly watch?: boolean;
}

const everyMs = 2000;

export function addStatusCommand(program: Command): void {
  const status = program
    .command('status')
    .description('show how the mirror is: hits, bytes saved, fills, upstreams, disk')
    .option('--json', 'as JSON; with --watch a line each time')
    .option('--watch', 'again every 2 s, until Ctrl-C');
  addAdminOptions(status)
    .addHelpText(
      'after',
      `
It exits with 1 if the mirror is not ready; with --watch, it goes on.

Examples:
  stillwater status
  stillwater status --watch
  stillwater status --json | jq .hitRatio`,
    )
    .action(show);
}

async function show(flags: Flags): Promise<void> {
  const client = adminClient(flags);
  await interruptibly(async (signal) => {
    if (flags.watch) return watch(client, { ...flags, signal });
    const { status, fills } = await ask(client, signal);
    const lines = flags.json
      ? [JSON.stringify(status, undefined, 2)]
      : statusLines(status, fills, columnsOf(process.stdout));
    for (const line of lines) print(line);
    failUnlessReady(status);
  });
  // To end what goes on for ever is no failure.
  if (flags.watch && process.exitCode === 130) process.exitCode = 0;
}

/** Health checks of containers go by the exit code. */
function failUnlessReady({ readiness }: ShownStatus): void {
  const problems = readiness.filter(({ problem }) => problem !== null);
  if (problems.length > 0)
    throw new Error(
      `the mirror is not ready: ${problems.map(({ name, problem }) => `${name}: ${problem}`).join('; ')}`,
    );
}

interface Watching {
  readonly json?: boolean;
  readonly signal: AbortSignal;
}

async function watch(client: AdminClient, { json, signal }: Watching): Promise<void> {
  let lines: readonly string[] = [];
  let asked = await ask(client, signal);
  using progress = await showProgress(process.stdout, () => lines, { isQuiet: json === true });
  for (;;) {
    const { status, fills } = asked;
    lines = statusLines(status, fills, columnsOf(process.stdout));
    if (!progress.isLive) for (const line of json ? [JSON.stringify(status)] : [...lines, '']) print(line);
    await wait(everyMs, undefined, { signal });
    asked = await ask(client, signal);
  }
}

async function ask(client: AdminClient, signal: AbortSignal) {
  const [status, { fills }] = await Promise.all([
    client.get('/status', { signal }) as Promise<ShownStatus>,
    client.get('/fills', { signal }) as Promise<{ readonly fills: readonly ShownFill[] }>,
  ]);
  return { status, fills };
}

function columnsOf({ columns = 100 }: { readonly columns?: number }): number {
  return columns;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
