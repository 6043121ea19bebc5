// `completion`: a script that lets a shell complete the commands, made from their own table.
import { Argument, type Command } from 'commander';
import { bashScript } from './completion/bash.ts';
import { commandTable } from './completion/command-table.ts';
import { fishScript } from './completion/fish.ts';
import { zshScript } from './completion/zsh.ts';

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript };
type Shell = keyof typeof scripts;

export function addCompletionCommand(program: Command): void {
  program
    .command('completion')
    .description('print a script that completes these commands in a shell')
    .addArgument(new Argument('<shell>', 'which').choices(Object.keys(scripts)))
    .addHelpText(
      'after',
      `
Examples:
  eval "$(stillwater completion bash)"                                      in ~/.bashrc
  source <(stillwater completion zsh)                                       in ~/.zshrc
  stillwater completion fish > ~/.config/fish/completions/stillwater.fish`,
    )
    .action((shell: Shell) => {
      process.stdout.write(scripts[shell](program.name(), commandTable(program, 'serve')));
    });
}
