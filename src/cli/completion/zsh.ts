// The completion script of zsh.
import type { TableCommand, Values } from './command-table.ts';
import { anyOf, quoted, stepsOf, valuesOf } from './following.ts';

export function zshScript(name: string, table: readonly TableCommand[]): string {
  const values = [...valuesOf(table)];
  return `#compdef ${name}
# Completion of ${name} for zsh: source <(${name} completion zsh), or this as _${name} in a folder of $fpath
_${name}() {
  local at='' i
  local -a offered
  for ((i = 2; i < CURRENT; i++)); do
    case "$at \${words[i]}" in
      (${anyOf(stepsOf(table))}) at="\${at:+$at }\${words[i]}" ;;
      (${anyOf(values.flatMap(([, after]) => after))}) ((i++)) ;;
    esac
  done
  case "$at \${words[CURRENT - 1]}" in
${values.map(([offered, after]) => `    (${anyOf(after)}) ${offer(offered)}; return ;;`).join('\n')}
  esac
  case "$at $PREFIX" in
${table.map(({ path, options }) => `    (${quoted(`${path} -`)}*) ${describe(options)} ;;`).join('\n')}
${table.map(({ path, ...each }) => `    (${quoted(`${path} `)}*) ${wordsOf(each)} ;;`).join('\n')}
  esac
}
# The first is how zsh runs it from $fpath.
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

interface Described {
  readonly names: readonly string[];
  readonly description: string;
}

function wordsOf({ subcommands, values }: Pick<TableCommand, 'subcommands' | 'values'>): string {
  if (subcommands.length === 0) return offer(values);
  return describe(subcommands.map(({ name, description }) => ({ names: [name], description })));
}

function describe(entries: readonly Described[]): string {
  const texts = entries.flatMap(({ names, description }) => names.map((name) => quoted(`${name}:${description}`)));
  return texts.length === 0 ? ':' : `offered=(${texts.join(' ')}); _describe -V word offered`;
}

function offer(values: Values): string {
  if (values === 'unknown') return ':';
  if (values === 'files') return '_files';
  return values === 'directories' ? '_files -/' : `compadd -- ${values.map(quoted).join(' ')}`;
}
