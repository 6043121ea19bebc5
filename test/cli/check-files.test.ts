// `config check` looks at the files that a configuration names.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkFiles } from '../../src/cli/check-files.ts';
import { loadConfig } from '../../src/config/load.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';

let dir: TempDir;

beforeEach(async () => {
  dir = await tempDir('check-files');
});

afterEach(() => dir[Symbol.asyncDispose]());

function check(content: object, files: Readonly<Record<string, string>> = {}): Promise<string[]> {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir.path, name), text);
  writeFileSync(join(dir.path, 'config.json'), JSON.stringify(content));
  return checkFiles(loadConfig({ cwd: dir.path, env: {} }).config);
}

const at = (name: string) => join(dir.path, name);

test('says nothing where there is nothing to look at', async () => {
  expect(await check({})).toEqual([]);
});

test('takes files that can be used', async () => {
  const files = { users: '', 'tokens.json': '{"tokens":[]}' };
  expect(await check({ access: { htpasswdFile: at('users'), tokensFile: at('tokens.json') } }, files)).toEqual([]);
});

test('warns of files that are elsewhere', async () => {
  const warnings = await check({
    access: { htpasswdFile: at('absent') },
    upstreams: { 'ghcr.io': { caFile: at('none') } },
  });
  expect(warnings).toEqual([
    expect.stringMatching(/^access\.htpasswdFile cannot be read: .*absent: ENOENT/),
    expect.stringMatching(/^upstreams\.ghcr\.io\.caFile cannot be read: .*none: ENOENT/),
  ]);
});

test.each([
  ['access.htpasswdFile', () => ({ access: { htpasswdFile: at('bad') } })],
  ['access.tokensFile', () => ({ access: { tokensFile: at('bad') } })],
  ['upstreams.ghcr.io.caFile', () => ({ upstreams: { 'ghcr.io': { caFile: at('bad') } } })],
  ['listen.tls', () => ({ listen: { tls: { certFile: at('bad'), keyFile: at('bad') } } })],
])('refuses %s whose content cannot be used', async (key, content) => {
  await expect(check(content(), { bad: 'me:$apr1$md5$hash' })).rejects.toThrow(`${key} cannot be used: `);
});
