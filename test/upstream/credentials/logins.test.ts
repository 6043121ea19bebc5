// Logins of every kind that can be configured, from real files and real commands.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pino from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CredentialsSetting } from '../../../src/upstream/credentials/credentials.ts';
import { openLogins } from '../../../src/upstream/credentials/logins.ts';
import { type FakeCommands, fakeCommands, printing } from '../../support/fake-command.ts';
import { laterClock } from '../../support/later-clock.ts';
import { upstreamError } from '../upstream-scene.ts';

const robot = { username: 'robot', password: 'correct horse' };
const printed = JSON.stringify({ ServerURL: 'ghcr.io', Username: robot.username, Secret: robot.password });

let commands: FakeCommands;
let lines: string[];
beforeEach(async () => {
  commands = await fakeCommands();
  lines = [];
});
afterEach(() => commands[Symbol.asyncDispose]());

function open(setting: CredentialsSetting | undefined, name = 'ghcr.io') {
  const log = pino({ level: 'trace', base: null }, { write: (line: string) => lines.push(line) });
  const logins = openLogins(setting, { name, log });
  const [first] = logins;
  if (!first) throw new Error('there is no login');
  return { logins, first };
}

async function problem(setting: CredentialsSetting): Promise<string> {
  const error = await upstreamError(open(setting).first.credentials());
  expect(error.failure).toBe('login');
  expect(error.cause).toBeUndefined();
  return error.message;
}

describe('of the configuration itself', () => {
  test('nothing is one anonymous login', async () => {
    const { logins, first } = open(undefined);
    expect(logins.map(({ id }) => id)).toEqual(['anonymous']);
    expect(await first.credentials()).toBeUndefined();
  });

  test('one user is one login, the same object each time, and nothing else comes after a refusal', async () => {
    const { first } = open(robot);
    expect(first.id).toBe('1');
    expect(await first.credentials()).toEqual(robot);
    expect(await first.credentials()).toBe(await first.credentials());
    expect(first.refused(robot)).toBe(false);
  });

  test('a list is as many logins, known by their places', async () => {
    const second = { username: 'second', password: 'battery staple' };
    const { logins } = open([robot, second]);
    expect(logins.map(({ id }) => id)).toEqual(['1', '2']);
    expect(await Promise.all(logins.map((login) => login.credentials()))).toEqual([robot, second]);
  });
});

describe('of a credential helper', () => {
  test.each([
    ['ghcr.io', 'get <ghcr.io>'],
    ['registry.corp.example:5000', 'get <registry.corp.example:5000>'],
    ['docker.io', 'get <https://index.docker.io/v1/>'],
  ])('credentials are asked for as docker asks, for %s', async (name, run) => {
    await commands.write('docker-credential-gh', printing(printed));
    const { first } = open({ helper: 'gh' }, name);
    expect(await commands.runs()).toEqual([]);
    expect([await first.credentials(), await first.credentials()]).toEqual([robot, robot]);
    expect(await commands.runs()).toEqual([run]);
  });

  test('an identity token is known as one', async () => {
    await commands.write('docker-credential-acr', printing('{"Username":"<token>","Secret":"refresh"}'));
    expect(await open({ helper: 'acr' }).first.credentials()).toEqual({ identityToken: 'refresh' });
  });

  test('"not found" means anonymous, with a word in the log', async () => {
    await commands.write('docker-credential-gh', 'echo "credentials not found in native keychain"; exit 1');
    expect(await open({ helper: 'gh' }).first.credentials()).toBeUndefined();
    expect(lines.join()).toContain('it is asked anonymously');
  });

  test.each([
    ['that fails', 'echo "secret"; echo "secret" >&2; exit 2', 'docker-credential-gh ended with exit code 2'],
    ['that prints no JSON', 'echo "secret"', 'docker-credential-gh printed no JSON object'],
    [
      'that prints no password',
      `echo '{"Username":"secret"}'`,
      'docker-credential-gh printed no username and password',
    ],
  ])('one %s is quoted nowhere', async (_, script, complaint) => {
    await commands.write('docker-credential-gh', script);
    const message = await problem({ helper: 'gh' });
    expect(message).toBe(`upstream ghcr.io: its credentials could not be had: ${complaint}`);
    expect(lines.join()).not.toContain('secret');
  });

  test('that is not installed is named', async () => {
    expect(await problem({ helper: 'gh' })).toContain(
      'docker-credential-gh could not be started: there is no such command',
    );
  });

  test.each(['', '../evil', 'a/b', 'gh;id', 'gh id', '$(id)', 'a\nb'])(
    'with a name that is none is never started: %j',
    async (helper) => expect(await problem({ helper })).toContain('a credential helper has an impossible name'),
  );

  test('others are asked for after a refusal', async () => {
    using clock = laterClock();
    await commands.write('docker-credential-gh', printing(printed));
    const { first } = open({ helper: 'gh' });
    const known = await first.credentials();
    await commands.write('docker-credential-gh', printing('{"Username":"robot","Secret":"rotated"}'));
    clock.pass(60);
    expect(known && first.refused(known)).toBe(true);
    expect(await first.credentials()).toEqual({ ...robot, password: 'rotated' });
  });
});

describe('of a command', () => {
  test('credentials are what it prints, kept until shortly before they expire', async () => {
    using clock = laterClock();
    const expiresAt = new Date(Date.now() + 3600_000).toISOString();
    const path = await commands.write('vault-login', printing(JSON.stringify({ ...robot, expiresAt })));
    const { first } = open({ exec: [path, 'read', 'a b', '$(id)'] });
    expect(await first.credentials()).toEqual(robot);
    clock.pass(53 * 60);
    expect(await first.credentials()).toEqual(robot);
    expect(await commands.runs()).toEqual(['read a b $(id) <>']);
    clock.pass(7 * 60);
    await first.credentials();
    expect(await commands.runs()).toHaveLength(2);
  });

  test('that fails is named without its arguments', async () => {
    await commands.write('vault-login', 'echo secret >&2; exit 1');
    const message = await problem({ exec: ['vault-login', '-token=secret'] });
    expect(message).toBe('upstream ghcr.io: its credentials could not be had: vault-login ended with exit code 1');
  });
});

describe('of a Docker config', () => {
  let path: string;
  beforeEach(() => {
    path = join(commands.dir, 'config.json');
  });
  const write = (config: unknown) => writeFile(path, typeof config === 'string' ? config : JSON.stringify(config));
  const entry = (password: string) => ({
    auths: { 'ghcr.io': { auth: Buffer.from(`robot:${password}`).toString('base64') } },
  });

  test('credentials are read once, and again when the file changes', async () => {
    await write(entry('correct horse'));
    const { first } = open({ dockerConfig: path });
    const known = await first.credentials();
    expect(known).toEqual(robot);
    expect(await first.credentials()).toBe(known);
    await write(entry('battery staple'));
    expect(await first.credentials()).toEqual({ ...robot, password: 'battery staple' });
    await write('{}');
    expect(await first.credentials()).toBeUndefined();
  });

  test('helpers are asked, and kept like any other', async () => {
    await commands.write('docker-credential-gh', printing(printed));
    await write({ credHelpers: { 'ghcr.io': 'gh' } });
    const { first } = open({ dockerConfig: path });
    expect([await first.credentials(), await first.credentials()]).toEqual([robot, robot]);
    expect(await commands.runs()).toEqual(['get <ghcr.io>']);
  });

  test('a registry without an entry is asked anonymously, with a word in the log', async () => {
    await write(entry('correct horse'));
    expect(await open({ dockerConfig: path }, 'quay.io').first.credentials()).toBeUndefined();
    expect(lines.join()).toContain('it is asked anonymously');
  });

  test.each([
    ['is not there', undefined, 'there is no such file'],
    ['is no JSON', 'secret', 'it is not JSON'],
    ['is too large', ' '.repeat(1024 * 1024 + 1), 'it is larger than 1048576 bytes'],
    ['names an impossible helper', { credsStore: '../evil' }, 'a credential helper has an impossible name'],
  ])('that %s is told with its path, and mends itself with the file', async (_, config, complaint) => {
    if (config !== undefined) await write(config);
    const { first } = open({ dockerConfig: path });
    for (let again = 0; again < 2; again++) {
      const error = await upstreamError(first.credentials());
      expect(error.failure).toBe('login');
      expect(error.cause).toBeUndefined();
      expect(error.message).toContain(complaint);
    }
    await write(entry('correct horse'));
    expect(await first.credentials()).toEqual(robot);
    await rm(path);
    expect((await upstreamError(first.credentials())).message).toContain(`${path}: there is no such file`);
  });

  test('that is a folder is told so', async () => {
    expect(await problem({ dockerConfig: commands.dir })).toContain(`${commands.dir}: EISDIR`);
  });
});
