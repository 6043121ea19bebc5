// The completion script of bash, from version 4 on.
import type { TableCommand, Values } from './command-table.ts';
import { anyOf, quoted, stepsOf, valuesOf } from './following.ts';

export function bashScript(name: string, table: readonly TableCommand[]): string {
  const values = [...valuesOf(table)];
  return `# Completion of ${name} for bash: eval "$(${name} completion bash)"
_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} at='' i
  COMPREPLY=()
  # Bash makes three words of --option=value.
  if [[ $cur == = ]]; then cur=''; elif [[ $prev == = ]]; then prev=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$at \${COMP_WORDS[i]}" in
      ${anyOf(stepsOf(table))}) at="\${at:+$at }\${COMP_WORDS[i]}" ;;
      ${anyOf(values.flatMap(([, after]) => after))}) ((i++)) ;;
    esac
  done
  case "$at $prev" in
${values.map(([offered, after]) => `    ${anyOf(after)}) ${offer(offered)}; return ;;`).join('\n')}
  esac
  case "$at $cur" in
${table.map(({ path, options }) => `    ${quoted(`${path} -`)}*) ${offer(options.flatMap(({ names }) => names))} ;;`).join('\n')}
${table.map(({ path, ...each }) => `    ${quoted(`${path} `)}*) ${offer(wordsOf(each))} ;;`).join('\n')}
  esac
}
complete -F _${name} ${name}
`;
}

function wordsOf({ subcommands, values }: Pick<TableCommand, 'subcommands' | 'values'>): Values {
  return subcommands.length > 0 ? subcommands.map(({ name }) => name) : values;
}

function offer(values: Values): string {
  if (values === 'unknown') return ':';
  if (values === 'files' || values === 'directories')
    return `compopt -o ${values === 'files' ? 'default' : 'dirnames'}`;
  return `COMPREPLY=($(compgen -W ${quoted(values.join(' '))} -- "$cur"))`;
}
