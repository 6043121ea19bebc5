// `config check`, `config print` and `config schema`.
import type { Command } from 'commander';
import { loadConfig } from '../config/load.ts';
import { printableConfig } from '../config/printable.ts';
import { configJsonSchema } from '../config/schema.ts';

interface Flags {
  readonly config?: string;
}

const FILE_OPTION = [
  '--config <file>',
  'the file (default: STILLWATER_CONFIG, else ./config.json if it exists)',
] as const;

export function addConfigCommand(program: Command): void {
  const config = program.command('config').description('check and show the configuration');
  config
    .command('check')
    .description('say whether the configuration can be used, and what has no effect')
    .option(...FILE_OPTION)
    .action(check);
  config
    .command('print')
    .description('print the configuration in effect as JSON, secrets hidden')
    .option(...FILE_OPTION)
    .action(print);
  config
    .command('schema')
    .description('print the JSON schema of the configuration file')
    .action(() => writeJson(configJsonSchema()));
}

function check(flags: Flags): void {
  const { file, warnings } = loadConfig({ file: flags.config });
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(`${file ?? 'no configuration file, so the defaults'}: fine\n`);
}

function print(flags: Flags): void {
  const { config, warnings } = loadConfig({ file: flags.config, isTerminal: process.stdout.isTTY });
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  writeJson(printableConfig(config));
}

function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
