// The completion script of fish.
import type { TableCommand, TableOption, Values } from './command-table.ts';
import { stepsOf, valuesOf } from './following.ts';

export function fishScript(name: string, table: readonly TableCommand[]): string {
  const taking = [...valuesOf(table).values()].flat();
  return `# Completion of ${name} for fish: ${name} completion fish | source
function __${name}_at
    set -l at ''
    set -l isValue 0
    for word in (commandline -opc)[2..]
        if test $isValue = 1
            set isValue 0
            continue
        end
        switch "$at $word"
            case ${stepsOf(table).map(quoted).join(' ')}
                set at (string trim -- "$at $word")
            case ${taking.map(quoted).join(' ')}
                set isValue 1
        end
    end
    test "$at" = "$argv[1]"
end
complete -c ${name} -f
${table.flatMap((command) => linesOf(name, command)).join('\n')}
`;
}

function linesOf(name: string, { path, subcommands, options, values }: TableCommand): string[] {
  const at = `complete -c ${name} -n ${quoted(`__${name}_at ${quoted(path)}`)}`;
  const words = subcommands.map((each) => `${at} -a ${quoted(each.name)} -d ${quoted(each.description)}`);
  const ofArguments = subcommands.length > 0 || values === 'unknown' ? [] : [`${at} ${offer(values)}`];
  return [...words, ...ofArguments, ...options.map((option) => `${at} ${optionText(option)}`)];
}

function optionText({ names, description, values }: TableOption): string {
  const flags = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  const value =
    values === undefined ? [] : [values === 'files' || values === 'directories' ? '-r' : '-x', offer(values)];
  return [...flags, ...value, '-d', quoted(description)].filter((text) => text !== '').join(' ');
}

function offer(values: Values): string {
  if (values === 'unknown') return '';
  if (values === 'files') return '-F';
  return values === 'directories' ? "-a '(__fish_complete_directories)'" : `-a ${quoted(values.join(' '))}`;
}

/** In single quotes, fish knows these two escapes and no other. */
function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
