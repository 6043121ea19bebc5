// The table of commands, and what becomes of wrong usage: one line, exit code 2.
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config/config-error.ts';
import { nearest } from '../config/nearest.ts';
import { readVersion } from '../version.ts';
import { printable } from './amounts.ts';
import { addClientConfigCommand } from './client-config.ts';
import { addCompletionCommand } from './completion.ts';
import { addConfigCommand } from './config.ts';
import { addDoctorCommand } from './doctor.ts';
import { addExportCommand } from './export.ts';
import { addImportCommand } from './import.ts';
import { addInspectCommand } from './inspect.ts';
import { addLsCommand } from './ls.ts';
import { addPinCommands } from './pin.ts';
import { addPrefetchCommand } from './prefetch.ts';
import { addPurgeCommand } from './purge.ts';
import { addReloadCommand } from './reload.ts';
import { addServeCommand } from './serve.ts';
import { addStatusCommand } from './status.ts';
import { addTokenCommand } from './token.ts';
import { addUserCommand } from './user.ts';
import { addVerifyCommand } from './verify.ts';

/** Runs one command line to its end; resolves to the exit code. */
export async function runCli(argv: readonly string[]): Promise<number> {
  const program = buildProgram();
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) return fail(error, error instanceof ConfigError ? 2 : 1);
    if (error.exitCode === 0) return 0;
    return fail(new Error(`${usageFault(error, program, argv)}; see stillwater --help`), 2);
  }
}

/** Prints the one line that a fatal error gets. */
export function fail(error: unknown, exitCode: number): number {
  const message = error instanceof Error ? error.message : String(error);
  const parts = message.split('\n').map((part) => part.trim());
  process.stderr.write(`stillwater: ${printable(parts.filter(Boolean).join(' '))}\n`);
  return exitCode;
}

function buildProgram(): Command {
  const program = new Command('stillwater')
    .description('A pull-through registry mirror: one upstream fetch for everyone, streamed from the first byte.')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', '\nWithout a command it serves: see stillwater serve --help for the options.')
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  program.commandsGroup('The mirror:');
  addServeCommand(program);
  addStatusCommand(program);
  addConfigCommand(program);
  addReloadCommand(program);
  addDoctorCommand(program);
  addClientConfigCommand(program);
  program.commandsGroup('What is cached:');
  addLsCommand(program);
  addInspectCommand(program);
  addPrefetchCommand(program);
  addPinCommands(program);
  addPurgeCommand(program);
  addVerifyCommand(program);
  addExportCommand(program);
  addImportCommand(program);
  program.commandsGroup('Who may pull:');
  addUserCommand(program);
  addTokenCommand(program);
  program.commandsGroup('This command line:');
  addCompletionCommand(program);
  program.helpCommand('help [command]', 'print the help of a command');
  return program;
}

function usageFault(error: CommanderError, program: Command, argv: readonly string[]): string {
  if (error.code === 'commander.help') {
    const [first, asked] = argv;
    if (first === 'help' && asked !== undefined) return unknownCommand(asked, program);
    const names =
      program.commands.find((command) => command.name() === first)?.commands.map((each) => each.name()) ?? [];
    const choices = names.map((name) => `${first} ${name}`);
    return `a subcommand is missing: ${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`;
  }
  const stray = program.commands.find((command) => command.name() === 'serve')?.args[0];
  // Without a known command commander hands everything to the default one, serve.
  if (error.code === 'commander.excessArguments' && stray !== undefined && !argv.includes('serve')) {
    return unknownCommand(stray, program);
  }
  return error.message.replace(/^error: /, '').replace(/\.?\s*$/, '');
}

function unknownCommand(name: string, program: Command): string {
  const names = program.commands.map((command) => command.name());
  const meant = nearest(name, names);
  return `unknown command '${name}'${meant ? `; did you mean ${meant}?` : `: the commands are ${names.join(', ')}`}`;
}
