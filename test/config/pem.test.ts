// PEM files that cannot be used: one line at the start, with the key of the configuration and the file.
import { execFileSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/config/config-error.ts';
import { readAuthorities, readKeyPair } from '../../src/config/pem.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';

let dir: TempDir;
const file = (name: string) => join(dir.path, name);

function makePair(name: string, protection: readonly string[]): void {
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-days', '2', '-subj', `/CN=${name}`];
  const files = ['-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)];
  execFileSync('openssl', ['req', '-x509', ...kind, ...protection, ...files], { stdio: 'ignore' });
}

beforeAll(async () => {
  dir = await tempDir('pem');
  makePair('ours', ['-nodes']);
  makePair('other', ['-nodes']);
  makePair('locked', ['-passout', 'pass:hunter2']);
  await writeFile(file('junk'), 'this is no PEM file\nat all\n');
  await writeFile(file('torn.crt'), (await readFile(file('ours.crt'), 'utf8')).slice(0, 200));
  await writeFile(file('bytes'), Buffer.from([0x30, 0x82, 0x00, 0xff, 0xfe]));
  await writeFile(file('empty'), '');
  const [ours, other] = await Promise.all([readFile(file('ours.crt'), 'utf8'), readFile(file('other.crt'), 'utf8')]);
  await writeFile(file('bundle.crt'), `# two authorities\n${ours}# and the other\n${other}`);
  await writeFile(file('half.crt'), `${ours}-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n`);
});
afterAll(() => dir.remove());

async function configError(attempt: Promise<unknown>): Promise<ConfigError> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

function expectOneLine({ message }: ConfigError, ...named: readonly string[]): void {
  expect(message).not.toMatch(/[\r\n]/);
  for (const part of named) expect(message).toContain(part);
  expect(message).not.toMatch(/hunter2|BEGIN|undefined/);
}

describe('a key pair', () => {
  const read = (certFile: string, keyFile: string) => readKeyPair({ certFile: file(certFile), keyFile: file(keyFile) });

  test('that belongs together is given as it is in its files', async () => {
    expect(await read('ours.crt', 'ours.key')).toEqual({
      cert: await readFile(file('ours.crt'), 'utf8'),
      key: await readFile(file('ours.key'), 'utf8'),
    });
  });

  test('that nobody asked for is none', async () => {
    expect(await readKeyPair(undefined)).toBeUndefined();
  });

  test.each([
    ['a key of another certificate', 'ours.crt', 'other.key'],
    ['a key with a password', 'locked.crt', 'locked.key'],
    ['its files the wrong way round', 'ours.key', 'ours.crt'],
    ['junk for a certificate', 'junk', 'ours.key'],
    ['a certificate that was torn', 'torn.crt', 'ours.key'],
    ['junk for a key', 'ours.crt', 'junk'],
    ['bytes that are no text', 'ours.crt', 'bytes'],
  ])('with %s is refused on one line that names both files and what to do', async (_what, cert, key) => {
    const error = await configError(read(cert, key));
    expectOneLine(error, 'listen.tls cannot be used', file(cert), file(key), 'name PEM files that belong together');
    expect(error.cause).toBeInstanceOf(Error);
  });

  test.each([
    ['certificate', 'empty', 'ours.key'],
    ['key', 'ours.crt', 'empty'],
  ])('with an empty %s is refused', async (_what, cert, key) => {
    expectOneLine(await configError(read(cert, key)), 'listen.tls', file('empty'));
  });

  test.each([
    ['certFile', 'nowhere.crt', 'ours.key', 'nowhere.crt'],
    ['keyFile', 'ours.crt', 'nowhere.key', 'nowhere.key'],
  ])(
    'whose %s is missing is refused by that key, with the file and the reason',
    async (key, cert, keyFile, missing) => {
      const error = await configError(read(cert, keyFile));
      expectOneLine(error, `listen.tls.${key} cannot be read: ${file(missing)}: ENOENT`, 'name a PEM file');
    },
  );

  const readWith = (clientCaFile: string | undefined) =>
    readKeyPair({ certFile: file('ours.crt'), keyFile: file('ours.key'), clientCaFile });

  test('comes with the authorities of its clients', async () => {
    expect(await readWith(file('bundle.crt'))).toEqual({
      ...(await read('ours.crt', 'ours.key')),
      clientCa: await readFile(file('bundle.crt'), 'utf8'),
    });
    expect(await readWith(undefined)).not.toHaveProperty('clientCa');
  });

  test.each(['junk', 'torn.crt', 'half.crt', 'ours.key', 'empty'])(
    'with %s for the authorities of its clients is refused by that key',
    async (name) => {
      expectOneLine(await configError(readWith(file(name))), `listen.tls.clientCaFile cannot be used: ${file(name)}: `);
    },
  );

  test('whose authorities of clients are missing is refused with the reason', async () => {
    const error = await configError(readWith(file('nowhere.crt')));
    expectOneLine(error, `listen.tls.clientCaFile cannot be read: ${file('nowhere.crt')}: ENOENT`);
  });

  test('whose file is a directory is refused with the reason', async () => {
    const error = await configError(readKeyPair({ certFile: dir.path, keyFile: file('ours.key') }));
    expectOneLine(error, `listen.tls.certFile cannot be read: ${dir.path}: EISDIR`);
  });
});

describe('authorities', () => {
  const key = 'upstreams.registry.test.caFile';

  test('are given as they are in their file, and none without one', async () => {
    expect(await readAuthorities(key, file('ours.crt'))).toBe(await readFile(file('ours.crt'), 'utf8'));
    expect(await readAuthorities(key, undefined)).toBeUndefined();
  });

  test('may be several in one file, with words between them', async () => {
    expect(await readAuthorities(key, file('bundle.crt'))).toContain('# and the other');
  });

  test.each(['junk', 'torn.crt', 'half.crt', 'ours.key', 'bytes', 'empty'])(
    'in %s are refused by their key',
    async (name) => {
      expectOneLine(await configError(readAuthorities(key, file(name))), `${key} cannot be used: ${file(name)}: `);
    },
  );

  test('in a missing file are refused with the reason', async () => {
    const error = await configError(readAuthorities(key, file('nowhere.crt')));
    expectOneLine(error, `${key} cannot be read: ${file('nowhere.crt')}: ENOENT`);
  });
});
