// `config check`, `config print` and `config schema`.
import type { Command } from 'commander';
import { anonymousName, isReservedName } from '../access/principal.ts';
import { loadConfig } from '../config/load.ts';
import { printableConfig } from '../config/printable.ts';
import { configJsonSchema } from '../config/schema.ts';
import { checkFiles } from './check-files.ts';
import { explain } from './explain.ts';

interface Flags {
  readonly config?: string;
}

interface CheckFlags extends Flags {
  readonly explain?: string;
}

const FILE_OPTION = [
  '--config <file>',
  'the file (default: STILLWATER_CONFIG, else ./config.json if it exists)',
] as const;

export function addConfigCommand(program: Command): void {
  const config = program
    .command('config')
    .description('check and show the configuration')
    .addHelpText(
      'after',
      '\nExamples:\n  stillwater config check\n  stillwater config print\n  stillwater config schema > config.schema.json',
    );
  config
    .command('check')
    .description('say whether the configuration can be used, and what has no effect')
    .argument('[repository]', 'what --explain asks about, such as docker.io/acme/app')
    .option(...FILE_OPTION)
    .option('--explain <principal>', 'say what a principal ("anonymous": nobody) may pull of the repository, and why')
    .addHelpText(
      'after',
      `
Examples:
  stillwater config check --config /etc/stillwater/config.json
  stillwater config check --explain alice docker.io/acme/app
  stillwater config check --explain anonymous ghcr.io/acme/app`,
    )
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

async function check(image: string | undefined, flags: CheckFlags, command: Command): Promise<void> {
  const { explain: principal } = flags;
  if (principal !== undefined && image === undefined)
    command.error('--explain needs a repository too: --explain PRINCIPAL REPOSITORY');
  if (principal === undefined && image !== undefined)
    command.error(`'${image}' needs a principal too: --explain PRINCIPAL ${image}`);
  if (principal !== undefined && principal !== anonymousName && isReservedName(principal))
    command.error(`'${principal}' is nobody's name: give one principal, or "${anonymousName}"`);
  const { config, file } = loadConfig({ file: flags.config });
  for (const warning of await checkFiles(config)) process.stderr.write(`warning: ${warning}\n`);
  process.stdout.write(`${file ?? 'no configuration file, so the defaults'}: fine\n`);
  if (principal === undefined || image === undefined) return;
  for (const line of explain(config, { principal, image })) process.stdout.write(`${line}\n`);
}

function print(flags: Flags): void {
  const { config } = loadConfig({ file: flags.config, isTerminal: process.stdout.isTTY });
  writeJson(printableConfig(config));
}

function writeJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
}
