// Every command as a user types it: against a mirror, against a directory, and against what is not there. What is said is one line, and true.
import { chmod, cp, lstat, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { main, OperatedMirror } from '../support/operated-mirror.ts';
import { committedFiles } from '../support/stored-files.ts';

let scene: OperatedMirror;
/** A copy of the cache that no mirror holds. */
let free: string;

beforeAll(async () => {
  scene = await OperatedMirror.start();
  scene.upstream.addImage('library/other', { layers: ['of other'] });
  scene.upstream.addImage('acme/new', { layers: ['of new'] });
  await scene.keep('library/other:latest');
  free = join(scene.dir.path, 'free');
  await cp(scene.mirror.cacheDir, free, { recursive: true });
});

afterAll(() => scene?.[Symbol.asyncDispose]());

const oneLine = /^stillwater: [^\n]+$/;

describe('against a mirror and a directory', () => {
  test('an image goes through its whole life: fetched, listed, shown, pinned, kept, let go, forgotten', async () => {
    const done = await scene.run(['prefetch', 'acme/new', ...scene.asked]);
    expect(done).toMatchObject({ code: 0, stdout: expect.stringContaining('docker.io/acme/new:latest: done') });
    const listed = await scene.run(['ls', 'acme/new', '--json', ...scene.asked]);
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { repository: 'docker.io/acme/new', tag: 'latest', isComplete: true },
    ]);
    expect(await scene.run(['pin', 'acme/new', ...scene.asked])).toMatchObject({ code: 0, stderr: '' });
    expect(await scene.run(['purge', 'acme/new:latest', ...scene.asked])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^stillwater: [^\n]*unpin[^\n]*$/),
    });
    expect(await scene.run(['purge', 'docker.io/acme/n*', ...scene.asked])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('pinned'),
    });
    const shown = await scene.run(['inspect', 'acme/new', '--json', ...scene.asked]);
    expect(JSON.parse(shown.stdout)).toMatchObject([{ isPinned: true }]);
    expect((await scene.run(['unpin', 'acme/new', ...scene.asked])).code).toBe(0);
    expect((await scene.run(['purge', 'acme/new:latest', '--json', ...scene.asked])).code).toBe(0);
    expect(await scene.run(['inspect', 'acme/new', ...scene.asked])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(oneLine),
    });
  }, 60_000);

  test.each([['ls'], ['status'], ['verify']])('%s --json is JSON, line by line or as one', async (command) => {
    const { code, stdout } = await scene.run([command, '--json', ...scene.asked]);
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
      await writeFile(join(scene.dir.path, 'held.tar'), '');
      const said = await scene.run([...args, '--cache-dir', scene.mirror.cacheDir]);
      expect(said).toMatchObject({
        code: 1,
        stdout: '',
        stderr: expect.stringMatching(/^stillwater: a mirror runs on [^\n]+$/),
      });
    },
  );

  test('what one directory exports another one imports, verifies and lists', async () => {
    const [tar, to] = [join(scene.dir.path, 'two.tar'), join(scene.dir.path, 'fresh')];
    expect((await scene.run(['export', 'app', 'other', '-o', tar, '--cache-dir', free])).code).toBe(0);
    expect((await scene.run(['import', tar, '--cache-dir', to])).code).toBe(0);
    expect((await scene.run(['verify', '--cache-dir', to])).code).toBe(0);
    const { stdout } = await scene.run(['ls', '--json', '--cache-dir', to]);
    expect(
      JSON.parse(stdout).map(({ repository, isComplete }: Record<string, unknown>) => [repository, isComplete]),
    ).toEqual([
      ['docker.io/library/app', true],
      ['docker.io/library/other', true],
    ]);
  }, 60_000);

  test('verify finds a byte that changed, repair removes it, and the next verify is content', async () => {
    const damaged = join(scene.dir.path, 'damaged');
    await cp(free, damaged, { recursive: true });
    const [file = ''] = await committedFiles(damaged);
    const bytes = await readFile(join(damaged, file));
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    await chmod(join(damaged, file), 0o600);
    await writeFile(join(damaged, file), bytes);
    const found = await scene.run(['verify', '--cache-dir', damaged]);
    expect(found).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('damaged'),
      stderr: expect.stringMatching(oneLine),
    });
    expect((await scene.run(['verify', '--repair', '--cache-dir', damaged])).code).toBe(1);
    expect((await scene.run(['verify', '--cache-dir', damaged])).code).toBe(0);
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
    await writeFile(join(scene.dir.path, 'some.tar'), 'x');
    const said = await scene.run([...args, '--admin', 'http://127.0.0.1:1']);
    expect(said).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^stillwater: [^\n]*no mirror answers at http:\/\/127\.0\.0\.1:1[^\n]*$/),
    });
    await expect(lstat(join(scene.dir.path, 'none.tar'))).rejects.toThrow('ENOENT');
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
    expect(await scene.run(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(oneLine) });
    expect((await scene.run(args)).stderr).toMatch(names);
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
      ? args.map((arg) => (arg === 'REGISTRY' ? scene.mirror.url : arg))
      : [...args, ...scene.asked];
    const said = await scene.run(given);
    expect(said).toMatchObject({ code: 1, stderr: expect.stringMatching(oneLine) });
    expect(said.stderr).toMatch(names);
  });
});
