// Which errors mean that the index is damaged, and where a damaged one goes.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isDamage, moveAside } from '../../src/store/index-file.ts';
import { tempDir } from '../support/temp-dir.ts';

const sqliteError = (errcode: number) => Object.assign(new Error('from SQLite'), { code: 'ERR_SQLITE_ERROR', errcode });

test.each<[string, unknown, boolean]>([
  ['SQLITE_CORRUPT', sqliteError(11), true],
  ['SQLITE_CORRUPT_INDEX', sqliteError(11 | (3 << 8)), true],
  ['SQLITE_NOTADB', sqliteError(26), true],
  ['one that another error tells of', new Error('cannot be read', { cause: sqliteError(11) }), true],
  ['SQLITE_FULL', sqliteError(13), false],
  ['SQLITE_READONLY', sqliteError(8), false],
  ['SQLITE_IOERR_READ', sqliteError(10 | (1 << 8)), false],
  ['SQLITE_CANTOPEN', sqliteError(14), false],
  ['SQLITE_BUSY', sqliteError(5), false],
  ['an error of the SQL', sqliteError(1), false],
  ['any other error', new Error('something'), false],
  ['nothing', undefined, false],
])('%s', (_what, error, expected) => {
  expect(isDamage(error)).toBe(expected);
});

test('a damaged index is moved with what belongs to it, over one that was moved before', async () => {
  await using dir = await tempDir('index');
  const path = join(dir.path, 'index.db');
  for (const name of ['index.db', 'index.db-wal', 'index.db.damaged', 'index.db.damaged-shm'])
    await writeFile(join(dir.path, name), name);
  expect(moveAside(path)).toBe(`${path}.damaged`);
  expect((await readdir(dir.path)).sort()).toEqual(['index.db.damaged', 'index.db.damaged-wal']);
  expect(await readFile(`${path}.damaged`, 'utf8')).toBe('index.db');
  expect(await readFile(`${path}.damaged-wal`, 'utf8')).toBe('index.db-wal');
});
