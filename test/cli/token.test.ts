// `token`: what the commands print, how they exit, and what the file is afterwards.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseTokenFile } from '../../src/access/token-file.ts';
import { tokenHash } from '../../src/access/tokens.ts';
import { tokenLines } from '../../src/cli/token-lines.ts';
import { directoryWith } from '../config/config-files.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const configured = { 'config.json': { access: { tokensFile: 'tokens.json' } } };
const createdAt = '2026-01-01T00:00:00Z';
const ci = { name: 'ci', sha256: 'a'.repeat(64), createdAt };
const old = {
  name: 'old',
  sha256: 'b'.repeat(64),
  scopes: ['ghcr.io/**'],
  createdAt,
  expiresAt: '2026-02-01T00:00:00Z',
};

function start(files: Readonly<Record<string, unknown>>) {
  const cwd = directoryWith(files);
  const token = (...argv: readonly string[]) => {
    const env = { PATH: process.env.PATH };
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, 'token', ...argv], {
      cwd,
      env,
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
  const path = (name: string) => join(cwd, name);
  return { token, path, tokens: () => parseTokenFile(readFileSync(path('tokens.json'), 'utf8')) };
}

describe('token create', () => {
  test('prints the token alone on stdout, and keeps only its hash', () => {
    const { token, path, tokens } = start(configured);
    const before = Date.now();
    const { status, stdout, stderr } = token('create', 'ci');
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: 'added ci to tokens.json; the token is shown this once, use it as a password:\n',
    });
    expect(stdout).toMatch(/^swt_[\w-]{43}\n$/);
    const [made] = tokens();
    expect(made).toEqual({ name: 'ci', sha256: tokenHash(stdout.trim()), createdAt: expect.any(String) });
    expect(Date.parse(made?.createdAt ?? '')).toBeGreaterThanOrEqual(before);
    expect(readFileSync(path('tokens.json'), 'utf8')).not.toContain(stdout.trim());
    expect(statSync(path('tokens.json')).mode & 0o777).toBe(0o600);
  });

  test('gives it scopes and an end, and leaves the others', () => {
    const { token, tokens } = start({ ...configured, 'tokens.json': { tokens: [ci] } });
    const scopes = ['docker.io/acme/**', '*/public/*', 'localhost/x', 'registry:5000/x'];
    expect(token('create', 'new', ...scopes.flatMap((scope) => ['--scope', scope]), '--expires', '30d').status).toBe(0);
    const [first, made] = tokens();
    expect(first).toEqual(ci);
    expect(made?.scopes).toEqual(scopes);
    expect(Date.parse(made?.expiresAt ?? '') - Date.parse(made?.createdAt ?? '')).toBe(30 * 86_400_000);
  });

  test('takes no name that is taken', () => {
    const { token, tokens } = start({ ...configured, 'tokens.json': { tokens: [ci] } });
    expect(token('create', 'ci')).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'stillwater: cannot change tokens.json: there is a token "ci" already; remove it first, or choose another name\n',
    });
    expect(tokens()).toEqual([ci]);
  });

  test('writes nothing over a file that it cannot read', () => {
    const { token, path } = start({ ...configured, 'tokens.json': '{"tokens": [' });
    expect(token('create', 'ci')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'stillwater: cannot change tokens.json: it is not JSON; mend it, or make a new file\n',
    });
    expect(readFileSync(path('tokens.json'), 'utf8')).toBe('{"tokens": [');
  });
});

describe('token rm', () => {
  test('removes one', () => {
    const { token, tokens } = start({ ...configured, 'tokens.json': { tokens: [ci, old] } });
    expect(token('rm', 'ci')).toEqual({ status: 0, stdout: '', stderr: 'removed ci from tokens.json\n' });
    expect(tokens()).toEqual([old]);
  });

  test.each([
    [{ 'tokens.json': { tokens: [ci] } }, 'cannot change tokens.json: there is no token "x"; see stillwater token ls'],
    [{}, 'cannot read tokens.json: there is no such file'],
  ])('of one that is not there is told, in %j', (files, fault) => {
    const { token, path } = start({ ...configured, ...files });
    expect(token('rm', 'x')).toEqual({ status: 1, stdout: '', stderr: `stillwater: ${fault}\n` });
    expect(existsSync(path('tokens.json'))).toBe('tokens.json' in files);
  });
});

describe('token ls', () => {
  const files = {
    ...configured,
    'tokens.json': { tokens: [ci, old] },
    // Of an earlier token of that name.
    'tokens.json.last-used': { ci: '2026-01-05T10:11:12.345Z', old: '2025-12-31T00:00:00Z' },
  };

  test('shows scopes, expiry and last use', () => {
    const { token } = start(files);
    expect(token('ls', '--file', 'tokens.json')).toEqual({
      status: 0,
      stdout: `${tokenLines(JSON.parse(token('ls', '--json').stdout), Date.now()).join('\n')}\n`,
      stderr: '',
    });
  });

  test('gives the same as JSON', () => {
    expect(JSON.parse(start(files).token('ls', '--json').stdout)).toEqual([
      { name: 'ci', scopes: null, createdAt, expiresAt: null, lastUsedAt: '2026-01-05T10:11:12.345Z' },
      { name: 'old', scopes: ['ghcr.io/**'], createdAt, expiresAt: '2026-02-01T00:00:00Z', lastUsedAt: null },
    ]);
  });

  test('of a file that is refused says why', () => {
    const { token } = start({ ...configured, 'tokens.json': { tokens: [{ ...ci, scopes: [] }] } });
    expect(token('ls')).toEqual({
      status: 1,
      stdout: '',
      stderr:
        'stillwater: cannot read tokens.json: tokens[0]: its scopes are not a list of globs; leave them out for every repository\n',
    });
  });
});

test('the table has a line a token, and tells those that have expired', () => {
  const tokens = [
    { name: 'ci', scopes: null, expiresAt: null, lastUsedAt: '2026-01-05T10:11:12.345Z' },
    { name: 'deploy', scopes: ['a/*', 'b/**'], expiresAt: '2026-02-01T00:00:00+01:00', lastUsedAt: null },
  ];
  expect(tokenLines(tokens, Date.parse('2026-01-31T23:00:00Z') - 1)).toEqual([
    'NAME    SCOPES    EXPIRES            LAST USED',
    'ci      all       never              2026-01-05 10:11Z',
    'deploy  a/* b/**  2026-01-31 23:00Z  never',
  ]);
  expect(tokenLines(tokens, Date.parse('2026-01-31T23:00:00Z'))[2]).toContain('expired 2026-01-31 23:00Z');
});

describe('wrong usage', () => {
  const scope = (glob: string, rest: string): [string[], string] => [
    ['create', 'x', '--scope', glob],
    `--scope: found "${glob}", ${rest}`,
  ];
  test.each<[string[], string]>([
    [[], 'a subcommand is missing: token create, token rm or token ls'],
    [['create'], "missing required argument 'name'"],
    [['create', 'anonymous'], '"anonymous" means somebody else in access.rules; choose another name'],
    [['create', 'x', '--expires', 'soon'], '--expires: found "soon", allowed is a time such as "12h" or "30d"'],
    [['create', 'x', '--expires', '0s'], '--expires: found "0s", allowed is a time such as "12h" or "30d"'],
    [['create', 'x', '--expires', '40000d'], '--expires: that is more than 100 years; leave it out'],
    scope('acme/**', 'which begins with no registry; write "docker.io/acme/**"'),
    scope('', 'allowed is a glob such as "docker.io/acme/**"'),
    scope('a.b/c d', 'allowed is a glob such as "docker.io/acme/**"'),
  ])('%j is told in one line and exits with 2', (argv, fault) => {
    const { token, path } = start(configured);
    expect(token(...argv)).toEqual({ status: 2, stdout: '', stderr: `stillwater: ${fault}; see stillwater --help\n` });
    expect(existsSync(path('tokens.json'))).toBe(false);
  });

  test('without a file is told in one line and exits with 2', () => {
    expect(start({}).token('ls')).toEqual({
      status: 2,
      stdout: '',
      stderr: 'stillwater: access.tokensFile is not set: no file to work on; set it, or name a file with --file\n',
    });
  });
});
