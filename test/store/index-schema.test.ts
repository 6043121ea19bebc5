// An index of an older program: carried over whole, or left as it was.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { Records } from '../../src/store/records.ts';
import { tempDir } from '../support/temp-dir.ts';

const redis = { registry: 'docker.io', path: 'library/redis' };
const digests = Array.from({ length: 1300 }, (_, number) => digestOf(Buffer.from(`${number}`)));
const [first, second] = digests as [Digest, Digest];

/** As version 0.1.0 made it. */
const version1 = `
CREATE TABLE blobs (
  digest TEXT PRIMARY KEY, size INTEGER NOT NULL, media_type TEXT, stored_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE repositories (id INTEGER PRIMARY KEY, registry TEXT NOT NULL, path TEXT NOT NULL, UNIQUE (registry, path));
CREATE TABLE links (
  repository INTEGER NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL,
  PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE TABLE tags (
  repository INTEGER NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, checked_at INTEGER NOT NULL,
  PRIMARY KEY (repository, tag)
) WITHOUT ROWID;
PRAGMA user_version = 1;
`;

const storedAt = (number: number) => 1_700_000_000_000 + ((number * 7919) % 1301);

function writeVersion1(path: string, count: number): void {
  using database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = WAL; ${version1} BEGIN;`);
  const insert = database.prepare('INSERT INTO blobs VALUES (?, ?, ?, ?)');
  for (const [number, digest] of digests.slice(0, count).entries())
    insert.run(digest, number, number % 100 === 0 ? `type ${number}` : null, storedAt(number));
  database.exec(`
    INSERT INTO repositories VALUES (7, 'docker.io', 'library/redis');
    INSERT INTO links VALUES (7, '${first}', 0, 'type 0');
    INSERT INTO tags VALUES (7, 'latest', '${first}', 42);
    COMMIT;`);
}

describe('an index of version 1', () => {
  test('keeps its blobs, links and tags, over another start too', async () => {
    await using dir = await tempDir('schema');
    const path = join(dir.path, 'index.db');
    writeVersion1(path, digests.length);
    for (const isSecondStart of [false, true]) {
      const records = new Records(path);
      expect(records.isFresh).toBe(false);
      expect(records.totals).toEqual({ bytes: (1300 * 1299) / 2, blobs: 1300 });
      expect(records.blob(first)).toMatchObject({ size: 0, mediaType: 'type 0', proven: true });
      expect(records.blob(second)).toMatchObject({ size: 1, mediaType: undefined, proven: true });
      expect(records.link(redis, first)).toEqual({ digest: first, size: 0, mediaType: 'type 0', proven: true });
      expect(records.tag(redis, 'latest')).toEqual({ digest: first, checkedAt: 42 });
      if (isSecondStart) records.deleteBlob(first);
      records.close();
    }
    const records = new Records(path);
    expect(records.tag(redis, 'latest')).toBeUndefined();
    expect(records.totals.blobs).toBe(1299);
    records.close();
  });

  test.each([0, 1, 498, 499, 500, 501, 999, 1000, 1300])(
    'of %i blobs counts the moment they were stored as their last use',
    async (count) => {
      await using dir = await tempDir('schema');
      const path = join(dir.path, 'index.db');
      writeVersion1(path, count);
      const records = new Records(path);
      const expected = digests
        .slice(0, count)
        .map((digest, number) => ({ digest, usedAt: storedAt(number) }))
        .sort((one, other) => one.usedAt - other.usedAt);
      const found = records.oldest(2000).map(({ digest, usedAt }) => ({ digest, usedAt }));
      expect(found).toEqual(expected);
      records.putBlob(digestOf(Buffer.from('new')), 1);
      records.close();
      const again = new Records(path);
      expect(again.oldest(2000)).toHaveLength(count + 1);
      again.close();
    },
  );

  test('that cannot be carried over is left as it was', async () => {
    await using dir = await tempDir('schema');
    const path = join(dir.path, 'index.db');
    writeVersion1(path, 3);
    const obstacle = new DatabaseSync(path);
    obstacle.exec('CREATE TABLE pins (something TEXT)');
    obstacle.close();
    const before = await readFile(path);
    expect(() => new Records(path)).toThrow(/^the index cannot be read: .*pins already exists/);
    expect(await readFile(path)).toEqual(before);
  });
});

/** As version 0.2.0 made it, with its triggers. */
const version2 = `
CREATE TABLE repositories (id INTEGER PRIMARY KEY, registry TEXT NOT NULL, path TEXT NOT NULL, UNIQUE (registry, path));
CREATE TABLE links (
  repository INTEGER NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL,
  PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE TABLE tags (
  repository INTEGER NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, checked_at INTEGER NOT NULL,
  PRIMARY KEY (repository, tag)
) WITHOUT ROWID;
CREATE INDEX links_of_digest ON links (digest);
CREATE INDEX tags_of_digest ON tags (digest);
CREATE TABLE blobs (
  id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, media_type TEXT, proven INTEGER NOT NULL
);
CREATE INDEX blobs_unproven ON blobs (digest) WHERE proven = 0;
CREATE TABLE totals (blobs INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0);
CREATE TRIGGER blobs_added AFTER INSERT ON blobs
  BEGIN UPDATE totals SET blobs = blobs + 1, bytes = bytes + new.size; END;
CREATE TRIGGER blobs_resized AFTER UPDATE OF size ON blobs
  BEGIN UPDATE totals SET bytes = bytes - old.size + new.size; END;
CREATE TRIGGER blobs_gone AFTER DELETE ON blobs
  BEGIN UPDATE totals SET blobs = blobs - 1, bytes = bytes - old.size; END;
CREATE TABLE usage (page INTEGER PRIMARY KEY, times BLOB NOT NULL);
CREATE TABLE pins (
  repository INTEGER NOT NULL, reference TEXT NOT NULL, PRIMARY KEY (repository, reference)
) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
PRAGMA application_id = 0x5374696c;
PRAGMA user_version = 2;
`;

function writeVersion2(path: string): void {
  using database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = WAL; BEGIN; ${version2}
    INSERT INTO repositories VALUES (7, 'docker.io', 'library/redis');
    INSERT INTO blobs VALUES (3, '${first}', 5, 'type 0', 1), (4, '${second}', 6, NULL, 0);
    INSERT INTO links VALUES (7, '${first}', 5, 'type 0');
    INSERT INTO tags VALUES (7, 'latest', '${first}', 42);
    INSERT INTO pins VALUES (7, 'latest');
    INSERT INTO meta VALUES ('scrub', 'here');
    COMMIT;`);
}

describe('an index of version 2', () => {
  test('keeps all it knew and learns who refers to whom, over another start too', async () => {
    await using dir = await tempDir('schema');
    const path = join(dir.path, 'index.db');
    writeVersion2(path);
    for (const isSecondStart of [false, true]) {
      const records = new Records(path);
      expect(records.isFresh).toBe(false);
      expect(records.totals).toEqual({ bytes: 11, blobs: 2 });
      expect(records.blob(first)).toEqual({ id: 3, size: 5, mediaType: 'type 0', proven: true });
      expect(records.blob(second)).toEqual({ id: 4, size: 6, mediaType: undefined, proven: false });
      expect(records.link(redis, first)).toEqual({ digest: first, size: 5, mediaType: 'type 0', proven: true });
      expect(records.tag(redis, 'latest')).toEqual({ digest: first, checkedAt: 42 });
      expect(records.pins()).toEqual([{ repository: redis, reference: { tag: 'latest' } }]);
      expect(records.meta('scrub')).toBe('here');
      expect(records.referrers(redis, first, 9)).toEqual(isSecondStart ? [second] : []);
      records.addReferrer(redis, first, second);
      records.close();
    }
  });

  test.each([
    ['lacks a table', 'DROP TABLE blobs'],
    ['lacks another table', 'DROP TABLE usage'],
    ['lacks a column', 'ALTER TABLE blobs DROP COLUMN media_type'],
  ])('that %s is damaged, and not carried over', async (_how, harm) => {
    await using dir = await tempDir('schema');
    const path = join(dir.path, 'index.db');
    writeVersion2(path);
    const harmed = new DatabaseSync(path);
    harmed.exec(harm);
    harmed.close();
    expect(() => new Records(path)).toThrow(/^the index cannot be read/);
    const moved: string[] = [];
    const records = new Records(path, { onDamaged: (_why, movedTo) => moved.push(movedTo) });
    expect([records.isFresh, moved]).toEqual([true, [expect.any(String)]]);
    expect(records.pins()).toEqual([{ repository: redis, reference: { tag: 'latest' } }]);
    records.close();
  });
});
