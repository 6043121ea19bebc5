// The command line from outside: what goes to which stream, and the exit code.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references in a configuration look like this
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { directoryWith } from '../config/config-files.ts';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

interface Surroundings {
  readonly files?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

function stillwater(argv: readonly string[], { files = {}, env = {} }: Surroundings = {}) {
  const options = { cwd: directoryWith(files), env: { PATH: process.env.PATH, ...env }, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...argv], options);
  return { status, stdout, stderr };
}

describe('help and version', () => {
  test.each([
    [['--help'], 'Usage: stillwater [options] [command]'],
    [['serve', '--help'], '--cache-max-size <size>'],
    [['config', '--help'], 'check [options]'],
    [['config', 'check', '--help'], '--config <file>'],
    [['help', 'serve'], '--log-level <level>'],
  ])('%j prints help', (argv, part) => {
    expect(stillwater(argv)).toMatchObject({ status: 0, stdout: expect.stringContaining(part), stderr: '' });
  });

  test('--version prints the version of the package', () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(stillwater(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });
});

describe('wrong usage', () => {
  test.each([
    [['foo'], /^unknown command 'foo': the commands are serve, [a-z, -]+, token, completion; see stillwater --help$/],
    [['confg', 'check'], "unknown command 'confg'; did you mean config?; see stillwater --help"],
    [['help', 'foo'], /^unknown command 'foo': the commands are serve, .*; see stillwater --help$/],
    [['--prt', '5'], "unknown option '--prt' (Did you mean --port?); see stillwater --help"],
    [['--port'], "option '--port <number>' argument missing; see stillwater --help"],
    [['serve', 'foo'], "too many arguments for 'serve'. Expected 0 arguments but got 1: foo; see stillwater --help"],
    [['config'], 'a subcommand is missing: config check, config print or config schema; see stillwater --help'],
    [['config', 'chek'], "unknown command 'chek' (Did you mean check?); see stillwater --help"],
    [['--port', 'abc'], '--port: listen.port: found "abc", allowed is a whole number from 0 to 65535'],
    [['serve', '--log-level', 'loud'], /^--log-level: log\.level: found "loud", allowed is "trace" or/],
    [['--cache-max-size', '50G'], /^--cache-max-size: cache\.maxSize: found "50G", allowed is a share of the disk/],
    [['--cache-dir', ''], '--cache-dir: cache.dir: found "", allowed is a text that is not empty'],
    [['--host', ''], '--host: listen.host: found "", allowed is a text that is not empty'],
    [['--config', 'gone.json'], 'cannot read the configuration file: gone.json: there is no such file'],
  ])('%j is told in one line and exits with 2', (argv, message) => {
    const { status, stdout, stderr } = stillwater(argv);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^stillwater: [^\n]+\n$/);
    const said = stderr.slice('stillwater: '.length, -1);
    expect(said).toEqual(typeof message === 'string' ? message : expect.stringMatching(message));
  });

  test('an unknown variable is told in one line and exits with 2', () => {
    expect(stillwater(['config', 'check'], { env: { STILLWATER_LISTEN__PROT: '1' } })).toEqual({
      status: 2,
      stdout: '',
      stderr: 'stillwater: STILLWATER_LISTEN__PROT is not a known variable; did you mean STILLWATER_LISTEN__PORT?\n',
    });
  });
});

describe('config check', () => {
  test('names the file that is fine', () => {
    const stdout = 'config.json: fine\n';
    expect(stillwater(['config', 'check'], { files: { 'config.json': {} } })).toEqual({
      status: 0,
      stdout,
      stderr: '',
    });
  });

  test('says so when there is no file', () => {
    expect(stillwater(['config', 'check']).stdout).toBe('no configuration file, so the defaults: fine\n');
  });

  test('tells every problem in one line', () => {
    const files = { 'config.json': { listen: { port: 'x' }, cache: { maxsize: 1 } } };
    expect(stillwater(['config', 'check'], { files })).toEqual({
      status: 2,
      stdout: '',
      stderr:
        'stillwater: config.json: listen.port: found "x", allowed is a whole number from 0 to 65535; ' +
        'config.json: cache.maxsize is not a known key; did you mean cache.maxSize?\n',
    });
  });
});

test('config print shows what is in effect, without secrets', () => {
  const login = { username: 'me', password: '${env:HUB_PASSWORD}' };
  const files = { 'config.json': { upstreams: { 'docker.io': { credentials: login, visibility: 'public' } } } };
  const env = { HUB_PASSWORD: 'hunter2', STILLWATER_TAGS__TTL: '60000' };
  const { status, stdout, stderr } = stillwater(['config', 'print'], { files, env });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout).not.toContain('hunter2');
  const credentials = { username: 'me', password: '(hidden)' };
  expect(JSON.parse(stdout)).toMatchObject({ tags: { ttl: '1m' }, upstreams: { 'docker.io': { credentials } } });
});

test('config schema prints what config.schema.json holds', () => {
  const published = readFileSync(new URL('../../config.schema.json', import.meta.url), 'utf8');
  expect(stillwater(['config', 'schema'])).toEqual({ status: 0, stdout: published, stderr: '' });
});

test('a reader that goes away early is no failure', async () => {
  const child = spawn(process.execPath, [main, 'config', 'schema'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  const stderr: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  expect(await once(child, 'close')).toEqual([0, null]);
  expect(Buffer.concat(stderr).toString()).toBe('');
});
