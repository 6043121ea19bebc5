// Commands that print secrets: what they are given, how they are bounded, and what is never said of them.
import { execFile } from 'node:child_process';
import { access, chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { runCommand } from '../../../src/upstream/credentials/run-command.ts';
import { type FakeCommands, fakeCommands, printing } from '../../support/fake-command.ts';
import { until } from '../../support/until.ts';

let commands: FakeCommands;
beforeEach(async () => {
  commands = await fakeCommands();
});
afterEach(() => commands[Symbol.asyncDispose]());

async function problem(...run: Parameters<typeof runCommand>): Promise<Error> {
  return runCommand(...run).then(
    () => {
      throw new Error('it did not fail');
    },
    (error: Error) => error,
  );
}

describe('a command', () => {
  test('gets its arguments as they are, without a shell, and its input', async () => {
    await commands.write('echo-all', 'echo "$1"');
    const evil = '$(id) `id`; id > x "';
    expect(await runCommand(['echo-all', evil], { input: 'ghcr.io' })).toEqual({ exitCode: 0, output: `${evil}\n` });
    expect(await commands.runs()).toEqual([`${evil} <ghcr.io>`]);
  });

  test('that does not read its input is no failure', async () => {
    const path = join(commands.dir, 'deaf');
    await writeFile(path, '#!/bin/sh\nexec 0<&-\necho said\n');
    await chmod(path, 0o755);
    expect(await runCommand([path], { input: 'x'.repeat(1024 * 1024) })).toEqual({ exitCode: 0, output: 'said\n' });
  });

  test('that fails tells its exit code and what it printed', async () => {
    await commands.write('failing', `${printing('credentials not found')}\nexit 3`);
    expect(await runCommand(['failing'])).toEqual({ exitCode: 3, output: 'credentials not found\n' });
  });

  test('that takes too long is ended with everything it started', async () => {
    const pid = join(commands.dir, 'pid');
    await commands.write('slow', `sleep 1000 &\necho $! > '${pid}'\nwait`);
    const ending = problem(['slow'], { timeoutMs: 500 });
    expect((await ending).message).toBe('slow took longer than 0.5 s');
    const started = (await readFile(pid, 'utf8')).trim();
    // A killed process that nobody has waited for yet is a zombie: its folder stays, its command line is empty.
    await until('the child is gone', async () => (await commandLine(started)) === '');
  });

  test('that leaves something behind is over when it ends, and so is that', async () => {
    const pid = join(commands.dir, 'pid');
    await commands.write('forking', `sleep 1000 &\necho $! > '${pid}'\necho done`);
    expect(await runCommand(['forking'])).toEqual({ exitCode: 0, output: 'done\n' });
    await commands.write('quiet', `sleep 1000 > /dev/null &\necho $! >> '${pid}'\necho done`);
    expect(await runCommand(['quiet'])).toEqual({ exitCode: 0, output: 'done\n' });
    const started = (await readFile(pid, 'utf8')).trim().split('\n');
    expect(started).toHaveLength(2);
    for (const one of started) await until('the child is gone', async () => (await commandLine(one)) === '');
  });

  test('whose daemon keeps its output open has ended all the same', async () => {
    const pid = join(commands.dir, 'pid');
    // In a group of its own nobody finds it. The command ends when it is there.
    const daemon = `echo $$ > '${pid}.new'; mv '${pid}.new' '${pid}'; exec sleep 1000`;
    await commands.write(
      'daemon',
      `setsid sh -c "${daemon.replaceAll('$', '\\$')}" &\nwhile ! [ -e '${pid}' ]; do :; done\necho done`,
    );
    expect(await runCommand(['daemon'])).toEqual({ exitCode: 0, output: 'done\n' });
    process.kill(Number(await readFile(pid, 'utf8')));
  });

  test('ends with the process that runs it', async () => {
    const pid = join(commands.dir, 'pid');
    await commands.write('slow', `echo $$ > '${pid}.new'; mv '${pid}.new' '${pid}'\nexec sleep 1000`);
    const source = JSON.stringify(new URL('../../../src/upstream/credentials/run-command.ts', import.meta.url).href);
    const runner = `import { existsSync } from 'node:fs';
      import { runCommand } from ${source};
      runCommand(['slow']);
      setInterval(() => existsSync(${JSON.stringify(pid)}) && process.exit(0), 10);`;
    await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', runner]);
    const started = (await readFile(pid, 'utf8')).trim();
    await until('the child is gone', async () => (await commandLine(started)) === '');
  });

  test('whose argument cannot be passed on is said to be so, without it', async () => {
    for (const argument of ['secret-\0', 'secret-'.repeat(100_000)]) {
      const error = await problem(['echo', argument]);
      expect(error.message).toMatch(/^echo could not be started: /);
      expect(`${error.stack} ${JSON.stringify(error)} ${error.cause}`).not.toContain('secret-');
    }
  });

  test('that prints without end is ended', async () => {
    await commands.write('endless', 'exec yes secret');
    expect((await problem(['endless'])).message).toBe('endless printed more than 64 KiB');
  });

  test('that is killed has no result', async () => {
    await commands.write('dying', 'kill -9 $$');
    expect((await problem(['dying'])).message).toBe('dying was ended by SIGKILL');
  });

  test('that is not there, or may not be executed, is said to be so', async () => {
    expect((await problem(['no-such-command'])).message).toBe(
      'no-such-command could not be started: there is no such command',
    );
    const path = join(commands.dir, 'plain');
    await writeFile(path, 'text');
    expect((await problem([path])).message).toBe(`${path} could not be started: it may not be executed`);
    await access(path);
  });

  test('has its arguments and its words in no error, nor in the cause of one', async () => {
    await commands.write('wordy', 'echo secret-1; echo secret-2 >&2; kill -9 $$');
    for (const command of ['wordy', 'no-such-command']) {
      const error = await problem([command, 'secret-3'], { input: 'secret-4' });
      expect(error.cause).toBeUndefined();
      expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toContain('secret-');
    }
  });
});

async function commandLine(pid: string): Promise<string> {
  return readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
}
