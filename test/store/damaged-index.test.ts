// An index that cannot be used: moved aside and begun anew if it is damaged, refused as it is if it is not ours.
import { copyFile, open, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { Records, type RecordsOptions } from '../../src/store/records.ts';
import { tempDir } from '../support/temp-dir.ts';

type Damage = (path: string) => Promise<void> | void;

const pageSize = 4096;
const redis = { registry: 'docker.io', path: 'library/redis' };
const digestNumber = (number: number) => digestOf(Buffer.from(String(number)));
const one = digestNumber(1);

/** An index of some pages, closed in order. */
function writeIndex(path: string, count = 500): void {
  const records = new Records(path);
  records.batch(() => {
    for (let number = 0; number < count; number++) records.putBlob(digestNumber(number), number);
  });
  records.pin(redis, 'latest');
  records.close();
}

function writeForeign(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

async function overwrite(path: string, position: number, length: number, value = 0xa5): Promise<void> {
  await using file = await open(path, 'r+');
  await file.write(Buffer.alloc(length, value), 0, length, position);
}

/** The page of the file where a table or an index begins. */
function rootPage(path: string, name: string): number {
  using database = new DatabaseSync(path, { readOnly: true });
  const row = database.prepare('SELECT rootpage AS page FROM sqlite_schema WHERE name = ?').get(name);
  return (row as { page: number }).page;
}

function healing(path: string, onDamaged: RecordsOptions['onDamaged']) {
  const records = new Records(path, { onDamaged });
  return { records, isFresh: records.isFresh };
}

function failureOf(path: string, openIt: (path: string) => unknown = (at) => new Records(at).close()): Error {
  try {
    openIt(path);
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error('it was opened');
}

const damages: readonly (readonly [string, Damage])[] = [
  ['a file of junk', (path) => writeFile(path, 'this is no database\n'.repeat(500))],
  ['a short file of junk', (path) => writeFile(path, 'junk')],
  ['an index whose end is missing', (path) => truncate(path, 3 * pageSize)],
  ['an index of its first hundred bytes', (path) => truncate(path, 100)],
  ['an index with its head overwritten', (path) => overwrite(path, 0, 100)],
  [
    'an index whose tables have other columns',
    async (path) => writeFile(path, (await readFile(path, 'latin1')).replaceAll('proven', 'broken'), 'latin1'),
  ],
  ['an index with its head zeroed', (path) => overwrite(path, 0, 64, 0)],
  [
    'an index with everything but its head overwritten',
    async (path) => {
      await overwrite(path, 100, (await readFile(path)).length - 100);
    },
  ],
  [
    'an index with a page of blobs overwritten',
    (path) => overwrite(path, (rootPage(path, 'blobs') - 1) * pageSize, pageSize),
  ],
  [
    'an index with a page of blobs zeroed',
    (path) => overwrite(path, (rootPage(path, 'blobs') - 1) * pageSize, pageSize, 0),
  ],
  [
    'an index with half a page of digests overwritten',
    (path) => overwrite(path, (rootPage(path, 'sqlite_autoindex_blobs_1') - 1) * pageSize, pageSize / 2),
  ],
  ['an index with its last uses overwritten', (path) => overwrite(path, (rootPage(path, 'usage') - 1) * pageSize, 100)],
];

describe.each(damages)('%s', (_what, damage) => {
  test('is moved aside, and another one begun', async () => {
    await using dir = await tempDir('index');
    const path = join(dir.path, 'index.db');
    writeIndex(path);
    await damage(path);
    const told: string[][] = [];
    const { records, isFresh } = healing(path, (...words) => told.push(words));
    expect(told).toEqual([[expect.stringMatching(/^the index cannot be read: [^\n]+$/), `${path}.damaged`]]);
    expect(isFresh).toBe(true);
    expect(records.totals).toEqual({ bytes: 0, blobs: 0 });
    expect(records.oldest(9)).toEqual([]);
    records.putBlob(one, 7);
    records.close();
    expect(await readdir(dir.path)).toEqual(expect.arrayContaining(['index.db', 'index.db.damaged']));

    const again = healing(path, expect.fail);
    expect(again.isFresh).toBe(false);
    expect(again.records.blob(one)?.size).toBe(7);
    again.records.close();
  });

  test('is refused, on one line that names it, by who does not know how to begin another', async () => {
    await using dir = await tempDir('index');
    const path = join(dir.path, 'index.db');
    writeIndex(path);
    await damage(path);
    const { message, cause } = failureOf(path);
    expect(message).not.toMatch(/[\r\n]/);
    expect(message).toMatch(/^the index cannot be read: .*; move it away: it is made anew from the blobs folder/);
    expect(message).toContain(path);
    expect(cause).toBeInstanceOf(Error);
  });
});

test.each<[string, Damage]>([
  [
    'the database of another program',
    (path) => writeForeign(path, 'CREATE TABLE letters (body TEXT); PRAGMA user_version = 1;'),
  ],
  [
    'the database of another program with a table of our name',
    (path) => writeForeign(path, 'CREATE TABLE blobs (oid INTEGER PRIMARY KEY, data BLOB); PRAGMA user_version = 1;'),
  ],
  [
    'the database of another program, of our version,',
    (path) => writeForeign(path, 'CREATE TABLE blobs (oid INTEGER PRIMARY KEY, data BLOB); PRAGMA user_version = 2;'),
  ],
  [
    'the unversioned database of another program with a table of our name',
    (path) => writeForeign(path, 'CREATE TABLE blobs (oid INTEGER PRIMARY KEY, data BLOB);'),
  ],
  ['the unversioned database of another program', (path) => writeForeign(path, 'CREATE TABLE letters (body TEXT);')],
])('%s is refused and left as it was', async (_what, write) => {
  await using dir = await tempDir('index');
  const path = join(dir.path, 'index.db');
  await write(path);
  const before = await readFile(path);
  const { message } = failureOf(path, (at) => healing(at, expect.fail));
  expect(message).toContain(path);
  expect(message).not.toMatch(/[\r\n]/);
  expect(await readFile(path)).toEqual(before);
  expect(await readdir(dir.path)).toEqual(['index.db']);
});

test('a directory in its place is refused, not moved', async () => {
  await using dir = await tempDir('index');
  expect(failureOf(dir.path, (path) => healing(path, expect.fail)).message).toMatch(
    /^the index cannot be read: .*; move it away/,
  );
});

describe('no damage is', () => {
  test.each<[string, Damage]>([
    ['a file that is missing', () => {}],
    ['a file of no bytes', (path) => writeFile(path, '')],
  ])('%s: the index is new', async (_what, prepare) => {
    await using dir = await tempDir('index');
    const path = join(dir.path, 'index.db');
    await prepare(path);
    const { records, isFresh } = healing(path, expect.fail);
    expect(isFresh).toBe(true);
    expect(records.totals.blobs).toBe(0);
    records.close();
  });

  test.each<[string, (from: string, to: string) => Promise<void>]>([
    ['missing', async () => {}],
    ['empty', (_from, to) => writeFile(to, '')],
    ['junk', (_from, to) => writeFile(to, 'junk'.repeat(5000))],
    ['cut short', async (from, to) => writeFile(to, (await readFile(from)).subarray(0, 9000))],
    ['overwritten in its middle', async (from, to) => writeFile(to, (await readFile(from)).fill(0xa5, 20_000, 40_000))],
  ])('a write-ahead log that is %s: what was checkpointed is there', async (_what, leave) => {
    await using dir = await tempDir('index');
    const [path, killed] = [join(dir.path, 'index.db'), join(dir.path, 'killed.db')];
    writeIndex(path, 10);
    const running = new Records(path);
    for (let number = 10; number < 60; number++) running.putBlob(digestNumber(number), number);
    await copyFile(path, killed);
    await leave(`${path}-wal`, `${killed}-wal`);
    running.close();
    const { records, isFresh } = healing(killed, expect.fail);
    expect(isFresh).toBe(false);
    expect(records.blob(digestNumber(9))?.size).toBe(9);
    expect(records.oldest(100)).toHaveLength(records.totals.blobs);
    expect(records.pins()).toHaveLength(1);
    records.putBlob(digestNumber(60), 60);
    records.close();
  });
});

test('pins outlive the damage if they can still be read', async () => {
  await using dir = await tempDir('index');
  const path = join(dir.path, 'index.db');
  writeIndex(path);
  await overwrite(path, (rootPage(path, 'blobs') - 1) * pageSize, pageSize);
  const { records } = healing(path, () => {});
  expect(records.pins()).toEqual([{ repository: redis, reference: { tag: 'latest' } }]);
  records.close();
});

describe('damage that shows later', () => {
  /** Larger than what SQLite keeps in memory, and damaged behind its back in every table of ours. */
  async function damagedWhileOpen(dir: string, before: (records: Records) => void = () => {}) {
    const path = join(dir, 'index.db');
    writeIndex(path, 40_000);
    const told: string[] = [];
    const { records } = healing(path, (why) => told.push(why));
    before(records);
    const { length } = await readFile(path);
    await overwrite(path, 30 * pageSize, length - 30 * pageSize);
    return { records, told };
  }

  test.each<[string, (records: Records) => void]>([
    ['a look at a blob', (records) => expect(records.blob(digestNumber(20_000))).toBeUndefined()],
    ['a blob that is stored', (records) => records.putBlob(digestNumber(50_000), 1)],
    ['a blob that is deleted', (records) => records.deleteBlob(digestNumber(20_000))],
    ['an origin that is told', (records) => records.addOrigin(digestNumber(20_000), redis)],
    ['a look at the oldest', (records) => expect(records.oldest(40_000)).toEqual([])],
    ['a walk through the blobs', (records) => expect(records.blobsAfter('', 40_000)).toEqual([])],
  ])('at %s begins another index at once', async (_what, use) => {
    await using dir = await tempDir('index');
    const { records, told } = await damagedWhileOpen(dir.path);
    const { losses } = records;
    use(records);
    expect(records.losses).toBeGreaterThan(losses);
    expect(told).toEqual([expect.stringMatching(/malformed|corrupt/)]);
    const before = records.totals.blobs;
    expect(before).toBeLessThanOrEqual(1);
    records.putBlob(one, 7);
    expect(records.blob(one)?.size).toBe(7);
    expect(records.oldest(9)).toHaveLength(before + 1);
    expect(told).toHaveLength(1);
    records.close();
    expect(new Records(join(dir.path, 'index.db')).totals.blobs).toBe(before + 1);
  });

  test('takes with it what is remembered of the index that was', async () => {
    await using dir = await tempDir('index');
    const { records, told } = await damagedWhileOpen(dir.path, (open) => expect(open.blob(one)?.size).toBe(1));
    expect(records.oldest(40_000)).toEqual([]);
    expect(told).toHaveLength(1);
    expect(records.blob(one)).toBeUndefined();
    records.close();
  });

  test('inside a batch runs the whole batch again', async () => {
    await using dir = await tempDir('index');
    const { records, told } = await damagedWhileOpen(dir.path);
    let runs = 0;
    const { renewed } = records;
    records.batch(() => {
      runs++;
      records.putMeta('key', 'value');
      records.putUnproven(one, 7, 1000);
      records.deleteBlob(digestNumber(20_000));
    });
    expect([runs, told.length]).toEqual([2, 1]);
    await renewed;
    expect(records.meta('key')).toBe('value');
    expect(records.oldest(9)).toMatchObject([{ digest: one, usedAt: 1000 }]);
    records.close();
  });
});

test('whatever bytes are overwritten, the index opens and works', async () => {
  await using dir = await tempDir('index');
  const [whole, path] = [join(dir.path, 'whole.db'), join(dir.path, 'index.db')];
  writeIndex(whole, 300);
  const bytes = await readFile(whole);
  const versionEnd = 64; // A file that says it is a newer program's is refused.
  const patch = fc.record({
    at: fc.nat({ max: bytes.length - 1 }).filter((at) => at > versionEnd),
    with: fc.uint8Array({ minLength: 1, maxLength: 600 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(patch, { minLength: 1, maxLength: 4 }), async (patches) => {
      const damaged = Buffer.from(bytes);
      for (const { at, with: some } of patches) damaged.set(some.subarray(0, damaged.length - at), at);
      await writeFile(path, damaged);
      const { records } = healing(path, () => {});
      for (let number = 0; number < 310; number += 7) {
        const digest = digestNumber(number);
        records.touch(records.blob(digest)?.id ?? 0);
        if (number % 2) records.deleteBlob(digest);
        records.putBlob(digest, number);
        records.addLinks(redis, [{ digest, size: number, mediaType: 'm' }]);
        records.putTag(redis, 'latest', { digest, checkedAt: 1 });
        records.putTag({ ...redis, isPrivate: true }, 'latest', { digest, checkedAt: 1 });
        records.addOrigin(digest, redis);
        records.putVerdict(redis, true, number);
        expect([records.isFrom(redis, digest), records.verdict(redis)?.checkedAt]).toEqual([true, number]);
      }
      expect(records.blob(digestNumber(7))?.size).toBe(7);
      records.oldest(1000);
      records.close();
    }),
    { numRuns: 100 },
  );
});
