// Every command as a user types it: against a mirror, against a directory, and against what is not there. What is said is one line, and true.
import { execFileSync } from 'node:child_process';
import { chmod, cp, lstat, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { StartedProcess } from '../support/started-process.ts';
import { committedFiles } from '../support/stored-files.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { pullWhole } from '../support/whole-pull.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
let upstream: FakeUpstream;
let mirror: MirrorProcess;
let dir: TempDir;
/** A copy of the cache that no mirror holds. */
let free: string;

beforeAll(async () => {
  upstream = await startFakeUpstream();
  mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
  dir = await tempDir('commands');
  for (const name of ['library/app', 'library/other', 'acme/one']) upstream.addImage(name, { layers: [`of ${name}`] });
  for (const image of ['library/app:latest', 'library/other:latest']) await pullWhole(mirror.url, image);
  free = join(dir.path, 'free');
  await cp(mirror.cacheDir, free, { recursive: true });
});

afterAll(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
  await dir?.remove();
});

type Said = { readonly code: number | null; readonly stdout: string; readonly stderr: string };
type Around = { readonly env?: NodeJS.ProcessEnv };

async function sw(args: readonly string[], { env = {} }: Around = {}): Promise<Said> {
  const process_ = new StartedProcess('stillwater', process.execPath, [main, ...args], { cwd: dir.path, env });
  const { code } = await process_.exited;
  // Lines come a turn after the exit.
  await new Promise((resolve) => setImmediate(resolve));
  return { code, stdout: process_.stdout.join('\n'), stderr: process_.stderr.join('\n') };
}

/** Through a shell, for what only a shell can do to stdout. */
function shell(line: string): Promise<Said> {
  const script = new StartedProcess('sh', 'bash', ['-o', 'pipefail', '-c', line], {
    cwd: dir.path,
    env: { NODE: process.execPath, SW: main, ADMIN: mirror.adminUrl },
  });
  return script.exited.then(({ code }) => ({
    code,
    stdout: script.stdout.join('\n'),
    stderr: script.stderr.join('\n'),
  }));
}

const oneLine = /^stillwater: [^\n]+$/;
const admin = () => ['--admin', mirror.adminUrl];

describe('against a mirror and a directory', () => {
  test('an image goes through its whole life: fetched, listed, shown, pinned, kept, let go, forgotten', async () => {
    const done = await sw(['prefetch', 'acme/one', ...admin()]);
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('docker.io/acme/one:latest: done') });
    const listed = await sw(['ls', 'acme/one', '--json', ...admin()]);
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { repository: 'docker.io/acme/one', tag: 'latest', isComplete: true },
    ]);
    expect(await sw(['pin', 'acme/one', ...admin()])).toMatchObject({ code: 0, stderr: '' });
    expect(await sw(['purge', 'acme/one:latest', ...admin()])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^stillwater: [^\n]*unpin[^\n]*$/),
    });
    expect(await sw(['purge', 'docker.io/acme/*', ...admin()])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('pinned'),
    });
    const shown = await sw(['inspect', 'acme/one', '--json', ...admin()]);
    expect(JSON.parse(shown.stdout)).toMatchObject([{ isPinned: true }]);
    expect((await sw(['unpin', 'acme/one', ...admin()])).code).toBe(0);
    expect((await sw(['purge', 'acme/one:latest', '--json', ...admin()])).code).toBe(0);
    expect(await sw(['inspect', 'acme/one', ...admin()])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(oneLine),
    });
  }, 60_000);

  test.each([['ls'], ['status'], ['verify']])('%s --json is JSON, line by line or as one', async (command) => {
    const { code, stdout } = await sw([command, '--json', ...admin()]);
    expect(code).toBe(0);
    const read = () => JSON.parse(stdout);
    expect(
      command === 'verify'
        ? stdout
            .split('\n')
            .map((line) => JSON.parse(line))
            .at(-1)
        : read(),
    ).toBeTruthy();
  });

  test.each([['ls'], ['verify'], ['inspect', 'app'], ['export', 'app', '-o', 'held.tar'], ['import', 'held.tar']])(
    '%s says who holds a directory, and leaves it alone',
    async (...args) => {
      await writeFile(join(dir.path, 'held.tar'), '');
      const said = await sw([...args, '--cache-dir', mirror.cacheDir]);
      expect(said).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/^stillwater: a mirror runs on [^\n]+$/),
      });
    },
  );

  test('what one directory exports another one imports, verifies and lists', async () => {
    const [tar, to] = [join(dir.path, 'two.tar'), join(dir.path, 'fresh')];
    expect((await sw(['export', 'app', 'other', '-o', tar, '--cache-dir', free])).code).toBe(0);
    expect((await sw(['import', tar, '--cache-dir', to])).code).toBe(0);
    expect((await sw(['verify', '--cache-dir', to])).code).toBe(0);
    const { stdout } = await sw(['ls', '--json', '--cache-dir', to]);
    expect(
      JSON.parse(stdout).map(({ repository, isComplete }: Record<string, unknown>) => [repository, isComplete]),
    ).toEqual([
      ['docker.io/library/app', true],
      ['docker.io/library/other', true],
    ]);
  }, 60_000);

  test('verify finds a byte that changed, repair removes it, and the next verify is content', async () => {
    const damaged = join(dir.path, 'damaged');
    await cp(free, damaged, { recursive: true });
    const [file = ''] = await committedFiles(damaged);
    const bytes = await readFile(join(damaged, file));
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    await chmod(join(damaged, file), 0o600);
    await writeFile(join(damaged, file), bytes);
    const found = await sw(['verify', '--cache-dir', damaged]);
    expect(found).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('damaged'),
      stderr: expect.stringMatching(oneLine),
    });
    expect((await sw(['verify', '--repair', '--cache-dir', damaged])).code).toBe(1);
    expect((await sw(['verify', '--cache-dir', damaged])).code).toBe(0);
  }, 60_000);
});

describe('what is not there', () => {
  test.each([
    ['ls'],
    ['inspect', 'app'],
    ['pin', 'app'],
    ['unpin', 'app'],
    ['purge', 'app'],
    ['prefetch', 'app'],
    ['import', 'some.tar'],
    ['export', 'app', '-o', 'none.tar'],
    ['verify'],
    ['status'],
    ['reload'],
  ])('no mirror answers %s', async (...args) => {
    await writeFile(join(dir.path, 'some.tar'), 'x');
    const said = await sw([...args, '--admin', 'http://127.0.0.1:1']);
    expect(said).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^stillwater: [^\n]*no mirror answers at http:\/\/127\.0\.0\.1:1[^\n]*$/),
    });
    await expect(lstat(join(dir.path, 'none.tar'))).rejects.toThrow('ENOENT');
  });

  test.each([
    ['an unknown command', ['nosuch'], /'nosuch'/],
    ['an unknown option', ['ls', '--nosuch'], /--nosuch/],
    ['too many arguments', ['ls', 'a', 'b'], /too many/],
    ['too few', ['inspect'], /image/],
    ['a URL that is none', ['ls', '--admin', 'ftp://x'], /--admin.*"ftp:\/\/x"/],
    ['a platform that is none', ['export', 'app', '-o', 'x', '--platform', 'bogus'], /--platform.*"bogus"/],
    ['an image name that is none, to ask about', ['inspect', 'BAD'], /BAD/],
    ['an image name that is none, to fetch', ['prefetch', 'BAD'], /BAD/],
    ['a configuration that is not there', ['ls', '--config', 'absent.json'], /absent\.json/],
    ['a subcommand that is missing', ['config'], /config check/],
    ['two places at once', ['ls', '--admin', 'http://127.0.0.1:1', '--cache-dir', 'x'], /--admin.*--cache-dir/],
  ])('%s is wrong usage', async (_, args, names) => {
    expect(await sw(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(oneLine) });
    expect((await sw(args)).stderr).toMatch(names);
  });

  test.each([
    ['a tar that is not there', ['import', 'absent.tar'], /absent\.tar/],
    ['a directory for a tar', ['import', '.'], /directory/],
    ['no tar at all', ['import', main], /tar/],
    ['a list that is not there', ['prefetch', '--from', 'absent.txt'], /absent\.txt/],
    ['a place that is not there', ['export', 'app', '-o', 'absent/x.tar'], /absent\/x\.tar/],
    ['another listener', ['ls', '--admin', 'REGISTRY'], /no admin listener/],
  ])('%s fails', async (_, args, names) => {
    const given = args.includes('--admin')
      ? args.map((arg) => (arg === 'REGISTRY' ? mirror.url : arg))
      : [...args, ...admin()];
    const said = await sw(given);
    expect(said).toMatchObject({ code: 1, stderr: expect.stringMatching(oneLine) });
    expect(said.stderr).toMatch(names);
  });
});

describe('where it goes', () => {
  // The one for the tests alone: what the machine has is left alone.
  test.each(['a pipe with a name', 'a link'])(
    'an export goes into %s, and leaves it what it is',
    async (what) => {
      const path = join(dir.path, what.replaceAll(' ', '-'));
      const target = join(dir.path, `target of ${what}`);
      if (what === 'a link') {
        await writeFile(target, '');
        await symlink(target, path);
      } else execFileSync('mkfifo', [path]);
      const before = (await lstat(path)).mode;
      const reader = what === 'a link' ? undefined : new StartedProcess('cat', 'timeout', ['20', 'cat', path]);
      const said = await sw(['export', 'app', '-o', path, ...admin()]);
      await reader?.stop();
      expect([said.code, (await lstat(path)).mode]).toEqual([0, before]);
      if (what === 'a link') expect((await readFile(target)).length).toBeGreaterThan(1000);
    },
    40_000,
  );

  test.each(['ls --admin $ADMIN', 'config schema', '--help', 'export app -o - --admin $ADMIN'])(
    'a disk that is full under %s is one line and an exit code',
    async (args) => {
      const { code, stderr } = await shell(`"$NODE" "$SW" ${args} > /dev/full`);
      expect([code, stderr]).toEqual([1, expect.stringMatching(oneLine)]);
    },
  );

  test.each([
    'ls --json --admin $ADMIN',
    'config schema',
    'verify --json --admin $ADMIN',
    'export app -o - --admin $ADMIN',
  ])('a reader of %s who has seen enough is no failure', async (args) => {
    const { code, stderr } = await shell(`"$NODE" "$SW" ${args} | head -c 1 > /dev/null`);
    expect([code, stderr.replace(/^wrote .*$/, '')]).toEqual([0, '']);
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
      const { code, stdout } = await sw([...command.split(' '), '--help']);
      expect(code).toBe(0);
      if (!/Examples?:/.test(stdout)) without.push(command);
    }
    expect(without).toEqual([]);
  }, 60_000);
});
