// The completion scripts: what the real shells offer with them, and that every one of them knows the whole table.
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { Argument, Command, Option } from 'commander';
import { beforeAll, describe, expect, test } from 'vitest';
import { bashScript } from '../../src/cli/completion/bash.ts';
import { commandTable } from '../../src/cli/completion/command-table.ts';
import { fishScript } from '../../src/cli/completion/fish.ts';
import { zshScript } from '../../src/cli/completion/zsh.ts';
import { directoryWith } from '../config/config-files.ts';
import { here, main } from './run-command.ts';

const hasShell = (name: string) => spawnSync(name, ['-c', 'true']).status === 0;

/** What bash offers for the last of the words, as readline would ask. */
function bashOffers(script: string, words: readonly string[]): readonly string[] {
  const given = words.map((word) => `'${word}'`).join(' ');
  const asking = `${script}
compopt() { echo "compopt $*"; }
COMP_WORDS=(stillwater ${given}); COMP_CWORD=${words.length}
_stillwater
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { status, stdout, stderr } = spawnSync('bash', ['-c', asking], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.split('\n').filter((line) => line !== '');
}

describe('the script of bash', () => {
  let script = '';

  beforeAll(() => {
    script = execFileSync(process.execPath, [main, 'completion', 'bash'], { encoding: 'utf8' });
  });

  test('is for this command', () => {
    const { stdout } = spawnSync('bash', ['-c', `${script}\ncomplete -p stillwater`], { encoding: 'utf8' });
    expect(stdout).toBe('complete -F _stillwater stillwater\n');
  });

  test.each<[string[], string[]]>([
    [['se'], ['serve']],
    [['un'], ['unpin']],
    [
      ['config', ''],
      ['check', 'print', 'schema'],
    ],
    [['config', 'p'], ['print']],
    [['config', 'check', '--ex'], ['--explain']],
    [['--cache-m'], ['--cache-max-size']],
    [['ls', '--so'], ['--sort']],
    [
      ['ls', '--sort', ''],
      ['name', 'size', 'used'],
    ],
    [['ls', '--sort', '=', 's'], ['size']],
    [
      ['ls', '--sort', '='],
      ['name', 'size', 'used'],
    ],
    [['ls', ''], []],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [['completion', 'bash', 'f'], ['fish']],
    [['help', 'ex'], ['export']],
    [['--config', ''], ['compopt -o default']],
    [['export', 'redis:7', '-o', ''], ['compopt -o default']],
    [['ls', '--cache-dir', ''], ['compopt -o dirnames']],
    [['import', ''], ['compopt -o default']],
    [['ls', '--admin', ''], []],
    // Neither the value of an option nor an argument is a command.
    [['--config', 'serve', 'se'], ['serve']],
    [['inspect', 'config', ''], []],
    [['-'], expect.arrayContaining(['--port', '-V', '--version', '--help'])],
    [
      ['purge', '-'],
      ['-y', '--yes', '--json', '--admin', '--config', '-h', '--help'],
    ],
  ])('offers after %j: %j', (words, offered) => {
    expect(bashOffers(script, words)).toEqual(offered);
  });
});

/** With all that could break a script: quotes, colons, dollars. */
function odd(): Command {
  const program = new Command('odd').option('--file <file>', `it's "quoted": $HOME \\ here`);
  program.command('run', { isDefault: true }).option('--fast', 'be fast');
  program
    .command('go')
    .description("it's: a $go")
    .addArgument(new Argument('[where]').choices(['up', 'down']))
    .addOption(new Option('-k, --kind <kind>', 'which `kind`').choices(['a', 'b']))
    .option('--dir [directory]', 'where');
  program.command('hidden-not').command('sub').argument('<dir>');
  return program;
}

test('the table has everything that the commands declare', () => {
  const help = { names: ['-h', '--help'], description: 'display help for command', values: undefined };
  const file = { names: ['--file'], description: `it's "quoted": $HOME \\ here`, values: 'files' };
  const fast = { names: ['--fast'], description: 'be fast', values: undefined };
  expect(commandTable(odd(), 'run')).toEqual([
    {
      path: '',
      subcommands: [
        { name: 'run', description: '' },
        { name: 'go', description: "it's: a $go" },
        { name: 'hidden-not', description: '' },
        { name: 'help', description: 'print the help of a command' },
      ],
      options: [fast, help, file],
      values: 'unknown',
    },
    { path: 'run', subcommands: [], options: [fast, help], values: 'unknown' },
    {
      path: 'go',
      subcommands: [],
      options: [
        { names: ['-k', '--kind'], description: 'which `kind`', values: ['a', 'b'] },
        { names: ['--dir'], description: 'where', values: 'directories' },
        help,
      ],
      values: ['up', 'down'],
    },
    {
      path: 'hidden-not',
      subcommands: [{ name: 'sub', description: '' }],
      options: [help],
      values: 'unknown',
    },
    { path: 'hidden-not sub', subcommands: [], options: [help], values: 'directories' },
    { path: 'help', subcommands: [], options: [], values: ['run', 'go', 'hidden-not'] },
  ]);
});

describe.each([
  ['bash', bashScript, ['-n']],
  ['zsh', zshScript, ['-n']],
  ['fish', fishScript, ['-n']],
] as const)('the script of %s', (shell, script, check) => {
  test.skipIf(!hasShell(shell))('is one, whatever the descriptions have in them', () => {
    const path = join(directoryWith({ script: script('odd', commandTable(odd(), 'run')) }), 'script');
    const { status, stderr } = spawnSync(shell, [...check, path], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test('has every command, option and choice', () => {
    const text = script('odd', commandTable(odd(), 'run'));
    for (const word of ['run', 'go', 'hidden-not', 'sub', 'fast', 'kind', 'dir', 'up', 'down', 'a', 'b'])
      expect(text).toMatch(new RegExp(`\\b${word}\\b`));
  });
});

test('the script of zsh quotes what it is given', () => {
  expect(zshScript('odd', commandTable(odd(), 'run'))).toContain(`'go:it'\\''s: a $go'`);
});

test('the script of fish quotes what it is given', () => {
  const text = fishScript('odd', commandTable(odd(), 'run'));
  expect(text).toContain(`-a 'go' -d 'it\\'s: a $go'`);
  expect(text).toContain(`-l file -r -F -d 'it\\'s "quoted": $HOME \\\\ here'`);
  expect(text).toContain(`-n '__odd_at \\'go\\'' -s k -l kind -x -a 'a b'`);
});

test.each([
  [['completion'], "missing required argument 'shell'; see stillwater --help"],
  [
    ['completion', 'csh'],
    "command-argument value 'csh' is invalid for argument 'shell'. Allowed choices are bash, zsh, fish; see stillwater --help",
  ],
])('%j is wrong usage', async (argv, fault) => {
  expect(await here(argv)).toEqual({ status: 2, stdout: '', stderr: `stillwater: ${fault}\n` });
});
