// Where commands write: pipes, links, disks that are full and readers that leave. And what --help says of each.
import { execFileSync } from 'node:child_process';
import { lstat, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/command.ts';
import { OperatedMirror } from '../support/operated-mirror.ts';
import { ScratchDisk } from '../support/scratch-disk.ts';
import { tempDir } from '../support/temp-dir.ts';

let scene: OperatedMirror;

beforeAll(async () => {
  scene = await OperatedMirror.start();
  const layer = await scene.upstream.addGeneratedBlob('library/large', { size: 4 * 1024 * 1024, seed: 1 });
  scene.upstream.addImage('library/large', { layers: [layer] });
  await scene.keep('library/large:latest');
});

afterAll(() => scene?.[Symbol.asyncDispose]());

async function tarNames(path: string): Promise<readonly string[]> {
  return (await run('tar', ['-tf', path])).split('\n');
}

const oneLine = /^stillwater: [^\n]+$/;

describe('where it goes', () => {
  /** Of the tests alone: what the machine has is left alone. */
  const things: Readonly<Record<string, (path: string, target: string) => Promise<unknown> | unknown>> = {
    'a pipe with a name': (path) => execFileSync('mkfifo', [path]),
    'a device': (path) => execFileSync('mknod', [path, 'c', '1', '3']),
    'a link to a file': async (path, target) => {
      await writeFile(target, '');
      await symlink(target, path);
    },
    'a link to nothing yet': (path, target) => symlink(target, path),
  };

  test.each(Object.keys(things))(
    'an export goes into %s, and leaves it what it is',
    async (what) => {
      await using place = await tempDir('output');
      const [path, target] = [join(place.path, 'it'), join(place.path, 'target')];
      await things[what]?.(path, target);
      const before = (await lstat(path)).mode;
      const copy = join(place.path, 'copy');
      const reader = what.includes('pipe') && scene.shell(`timeout 20 cat '${path}' > '${copy}'`);
      const said = await scene.run(['export', 'app', '-o', path, ...scene.asked]);
      await reader;
      expect([said.code, said.stdout, (await lstat(path)).mode]).toEqual([0, '', before]);
      const got = what.includes('link') ? target : copy;
      if (what !== 'a device') expect(await tarNames(got)).toContain('index.json');
      expect((await readdir(place.path)).filter((name) => name.includes('.part'))).toEqual([]);
    },
    40_000,
  );

  test.each(['config schema > "$DISK/out"', 'export large -o - --admin $ADMIN > "$DISK/out"'])(
    'a disk with room for half of %s is one line and an exit code',
    async (line) => {
      await using disk = await ScratchDisk.mount(16 * 1024);
      const { code, stderr } = await scene.shell(`DISK='${disk.path}'; "$NODE" "$SW" ${line}`);
      expect([code, stderr]).toEqual([1, 'stillwater: cannot write to standard output: no space left']);
    },
  );

  test('an export to a disk that is too small says so, and leaves what was there', async () => {
    await using disk = await ScratchDisk.mount(16 * 1024);
    const path = join(disk.path, 'out.tar');
    await writeFile(path, 'before');
    const said = await scene.run(['export', 'large', '-o', path, ...scene.asked]);
    expect(said).toEqual({ code: 1, stdout: '', stderr: `stillwater: cannot write ${path}: no space left` });
    expect([await readFile(path, 'utf8'), await readdir(disk.path)]).toEqual(['before', ['out.tar']]);
  });

  test.each(['ls --admin $ADMIN', 'config schema', '--help', 'export app -o - --admin $ADMIN'])(
    'a disk that is full under %s is one line and an exit code',
    async (args) => {
      const { code, stderr } = await scene.shell(`"$NODE" "$SW" ${args} > /dev/full`);
      expect([code, stderr]).toEqual([1, expect.stringMatching(oneLine)]);
    },
  );

  test.each([
    'ls --json --admin $ADMIN',
    'config schema',
    'verify --json --admin $ADMIN',
    'export large -o - --admin $ADMIN',
  ])('a reader of %s who has seen enough is no failure', async (args) => {
    const { code, stderr } = await scene.shell(`"$NODE" "$SW" ${args} | head -c 1 > /dev/null`);
    expect([code, stderr]).toEqual([0, '']);
  });

  test('every command has a help with an example', async () => {
    const commands = [
      'serve',
      'prefetch',
      'ls',
      'inspect',
      'pin',
      'unpin',
      'purge',
      'import',
      'export',
      'verify',
      'status',
    ];
    const others = [
      'client-config',
      'doctor',
      'user',
      'token',
      'config',
      'config check',
      'user add',
      'token create',
      'completion',
    ];
    const without: string[] = [];
    for (const command of [...commands, ...others]) {
      const { code, stdout } = await scene.run([...command.split(' '), '--help']);
      expect(code).toBe(0);
      if (!/Examples?:/.test(stdout)) without.push(command);
    }
    expect(without).toEqual([]);
  }, 60_000);
});
