// `user`: what the commands print, how they exit, and what the file is afterwards.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { isPasswordOf } from '../../src/access/bcrypt.ts';
import { parseHtpasswd } from '../../src/access/htpasswd.ts';
import { directoryWith } from '../config/config-files.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const hash = `$2y$10$${'a'.repeat(53)}`;
const configured = { 'config.json': { access: { htpasswdFile: 'users' } } };

function start(files: Readonly<Record<string, unknown>>) {
  const cwd = directoryWith(files);
  const user = (argv: readonly string[], input = '') => {
    const env = { PATH: process.env.PATH };
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'user', ...argv], {
      cwd,
      env,
      input,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
  const read = (name = 'users') => readFileSync(join(cwd, name), 'utf8');
  return { user, read, path: (name: string) => join(cwd, name) };
}

describe('user add', () => {
  test('makes the file of the configuration, readable by its owner alone', async () => {
    const { user, read, path } = start(configured);
    expect(user(['add', 'bob'], 'pässword\n')).toEqual({ status: 0, stdout: '', stderr: 'added bob to users\n' });
    const own = parseHtpasswd(read()).get('bob') ?? '';
    expect(own).toMatch(/^\$2y\$10\$/);
    expect(await isPasswordOf(own, 'pässword')).toBe(true);
    expect(statSync(path('users')).mode & 0o777).toBe(0o600);
  });

  test('takes another configuration, or another file and then no configuration', () => {
    const files = { 'other.json': { access: { htpasswdFile: 'theirs' } }, 'config.json': { unknown: 1 } };
    const { user, read } = start(files);
    expect(user(['add', 'bob', '--config', 'other.json'], 'x').stderr).toBe('added bob to theirs\n');
    expect(user(['add', 'bob', '--file', 'mine', '--password-stdin'], 'x').stderr).toBe('added bob to mine\n');
    expect([...parseHtpasswd(read('theirs')).keys(), ...parseHtpasswd(read('mine')).keys()]).toEqual(['bob', 'bob']);
  });

  test('gives a user who is there another password, and leaves every other line', () => {
    const { user, read } = start({ ...configured, users: `# ours\nbob:md5\namy:${hash}\n` });
    expect(user(['add', 'bob'], 'new\n')).toMatchObject({ status: 0, stderr: 'bob has a new password in users\n' });
    expect(read()).toMatch(/^# ours\nbob:\$2y\$10\$.{53}\namy:\$2y\$10\$a{53}\n$/);
  });

  test.each([
    ['', 'the password is empty; choose another'],
    ['one\ntwo\n', 'the password has line breaks or other control characters; choose another'],
    ['a'.repeat(73), 'the password is longer than 72 bytes, of which bcrypt sees no more; choose a shorter one'],
  ])('refuses the password %j and writes nothing', (password, fault) => {
    const { user, path } = start(configured);
    expect(user(['add', 'bob'], password)).toEqual({
      status: 1,
      stdout: '',
      stderr: `stillwater: cannot add bob: ${fault}\n`,
    });
    expect(existsSync(path('users'))).toBe(false);
  });

  test('says when the file cannot be there', () => {
    const { user } = start({});
    expect(user(['add', 'bob', '--file', 'gone/users'], 'x')).toMatchObject({
      status: 1,
      stderr: 'stillwater: cannot change gone/users: its directory does not exist; make it first\n',
    });
  });
});

describe('user rm', () => {
  test('removes one line', () => {
    const { user, read } = start({ ...configured, users: `# ours\nbob:${hash}\namy:${hash}\n` });
    expect(user(['rm', 'bob'])).toEqual({ status: 0, stdout: '', stderr: 'removed bob from users\n' });
    expect(read()).toBe(`# ours\namy:${hash}\n`);
  });

  test.each([
    [{ users: `bob:${hash}\n` }, 'cannot change users: there is no user "amy"; see stillwater user ls'],
    [{}, 'cannot read users: there is no such file'],
  ])('of nobody is told, in %j', (files, fault) => {
    const { user } = start({ ...configured, ...files });
    expect(user(['rm', 'amy'])).toEqual({ status: 1, stdout: '', stderr: `stillwater: ${fault}\n` });
  });
});

describe('user ls', () => {
  test('prints the names and nothing else', () => {
    const { user } = start({ ...configured, users: `bob:${hash}\n# x\namy lee:${hash}\n` });
    expect(user(['ls'])).toEqual({ status: 0, stdout: 'bob\namy lee\n', stderr: '' });
  });

  test.each([
    [
      { users: 'bob:md5' },
      'cannot read users: line 1: the hash of "bob" is not bcrypt; use htpasswd -B or stillwater user add',
    ],
    [{}, 'cannot read users: there is no such file'],
    [{ 'users/x': '' }, 'cannot read users: it is a directory'],
  ])('of %j fails', (files, fault) => {
    const { user } = start({ ...configured, ...files });
    expect(user(['ls'])).toEqual({ status: 1, stdout: '', stderr: `stillwater: ${fault}\n` });
  });
});

describe('wrong usage', () => {
  test.each([
    [[], 'a subcommand is missing: user add, user rm or user ls; see stillwater --help'],
    [['ad', 'bob'], "unknown command 'ad' (Did you mean add?); see stillwater --help"],
    [['add'], "missing required argument 'name'; see stillwater --help"],
    [
      ['add', 'anonymous'],
      '"anonymous" means somebody else in access.rules; choose another name; see stillwater --help',
    ],
    [['add', 'ci-*'], '"ci-*" means somebody else in access.rules; choose another name; see stillwater --help'],
    [['ls'], 'access.htpasswdFile is not set: no file to work on; set it, or name a file with --file'],
    [['ls', '--config', 'gone.json'], 'cannot read the configuration file: gone.json: there is no such file'],
  ])('%j is told in one line and exits with 2', (argv, fault) => {
    expect(start({}).user(argv)).toEqual({ status: 2, stdout: '', stderr: `stillwater: ${fault}\n` });
  });
});
