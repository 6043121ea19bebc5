// What can follow what on the command line, as the commands themselves declare it.
import type { Argument, Command, Option } from 'commander';

/** What a shell may offer: these words, paths, or nothing that it could know. */
export type Values = readonly string[] | 'files' | 'directories' | 'unknown';

export interface TableOption {
  /** `-o`, `--output`. */
  readonly names: readonly string[];
  readonly description: string;
  /** `undefined` for one that takes no value. */
  readonly values: Values | undefined;
}

export interface TableCommand {
  /** With a space between the words; empty for the program itself. */
  readonly path: string;
  readonly subcommands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly TableOption[];
  /** Of its arguments. */
  readonly values: Values;
}

/** Of a program whose default command may be left out. */
export function commandTable(program: Command, defaultCommand: string): readonly TableCommand[] {
  const tables = entries(program, '');
  const [root] = tables;
  const implied = tables.find(({ path }) => path === defaultCommand);
  const help = { name: 'help', description: 'print the help of a command' };
  const names = program.commands.map((command) => command.name());
  return [
    {
      path: '',
      subcommands: [...(root?.subcommands ?? []), help],
      options: [...(implied?.options ?? []), ...(root?.options ?? [])].filter(isFirstOfItsName),
      values: 'unknown',
    },
    ...tables.slice(1),
    { path: help.name, subcommands: [], options: [], values: names },
  ];
}

function entries(command: Command, path: string): TableCommand[] {
  const [argument] = command.registeredArguments;
  const own: TableCommand = {
    path,
    subcommands: command.commands.map((each) => ({ name: each.name(), description: each.description() })),
    options: command.createHelp().visibleOptions(command).map(optionOf),
    values: argument ? valuesOf(argument.name(), argument.argChoices) : 'unknown',
  };
  const below = command.commands.flatMap((each) => entries(each, `${path} ${each.name()}`.trim()));
  return [own, ...below];
}

function optionOf({ short, long, flags, description, argChoices, required, optional }: Option): TableOption {
  const [, value = ''] = /[<[]([^>\]]+)[>\]]/.exec(flags) ?? [];
  return {
    names: [short, long].filter((name) => name !== undefined),
    description,
    values: required || optional ? valuesOf(value, argChoices) : undefined,
  };
}

function valuesOf(name: string, choices: Argument['argChoices']): Values {
  if (choices) return choices;
  if (/^files?$/.test(name)) return 'files';
  return /^dir/.test(name) ? 'directories' : 'unknown';
}

function isFirstOfItsName(option: TableOption, index: number, all: readonly TableOption[]): boolean {
  return all.findIndex(({ names }) => names.at(-1) === option.names.at(-1)) === index;
}
