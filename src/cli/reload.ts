// `reload`: the mirror reads its configuration again, as it does on SIGHUP, and says what came of it.
import type { Command } from 'commander';
import { type AdminFlags, addAdminOptions, adminClient } from './find-admin.ts';

interface Reloaded {
  readonly changed: readonly string[];
  readonly needsRestart: readonly string[];
}

export function addReloadCommand(program: Command): void {
  const reload = program
    .command('reload')
    .description('let the mirror read its configuration again')
    .option('--json', 'as JSON');
  addAdminOptions(reload)
    .addHelpText('after', '\nExample:\n  stillwater config check && stillwater reload')
    .action(async (flags: AdminFlags & { readonly json?: boolean }) => {
      const reloaded = (await adminClient(flags).post('/reload')) as Reloaded;
      const lines = flags.json ? [JSON.stringify(reloaded, undefined, 2)] : reloadLines(reloaded);
      for (const line of lines) process.stdout.write(`${line}\n`);
    });
}

function reloadLines({ changed, needsRestart }: Reloaded): readonly string[] {
  if (changed.length + needsRestart.length === 0) return ['nothing has changed'];
  return [
    ...changed.map((key) => `${key}: in effect`),
    ...needsRestart.map((key) => `${key}: changed, and waits for a restart`),
  ];
}
