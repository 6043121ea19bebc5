// An index of version 3 and older ones: what they knew was known to everybody, and is carried over as that.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { Records } from '../../src/store/records.ts';
import { tempDir } from '../support/temp-dir.ts';

const redis = { registry: 'docker.io', path: 'library/redis' };
const hidden = { ...redis, isPrivate: true };
const elsewhere = { registry: 'ghcr.io', path: 'other' };
const digests = ['1', '2', '3', '4'].map((text) => digestOf(Buffer.from(text)));
const [first, second, loose, absent] = digests as [Digest, Digest, Digest, Digest];

/** As the program of version 3 made it. */
const version3 = `
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
ALTER TABLE tags ADD COLUMN earlier TEXT;
CREATE TABLE subjects (
  repository INTEGER NOT NULL, subject TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, subject, digest)
) WITHOUT ROWID;
CREATE INDEX subjects_of_digest ON subjects (digest);
PRAGMA application_id = 0x5374696c;
PRAGMA user_version = 3;
`;

function write(path: string, sql: string): void {
  using database = new DatabaseSync(path);
  database.exec(`PRAGMA journal_mode = WAL; BEGIN; ${sql} COMMIT;`);
}

function writeVersion3(path: string, harm = ''): void {
  const times = new Float64Array(500);
  times.set([0, 0, 0, 3000, 2000, 1000]);
  write(
    path,
    `${version3}
    INSERT INTO repositories VALUES (7, 'docker.io', 'library/redis'), (9, 'ghcr.io', 'other'), (12, 'docker.io', 'b');
    INSERT INTO blobs VALUES (3, '${first}', 5, 'type 0', 1), (4, '${second}', 6, NULL, 0), (5, '${loose}', 7, NULL, 1);
    INSERT INTO usage VALUES (0, x'${Buffer.from(times.buffer).toString('hex')}');
    INSERT INTO links VALUES (7, '${first}', 5, 'type 0'), (9, '${first}', 5, 'type 0'), (12, '${first}', 5, 'm'),
      (7, '${second}', 6, 'm'), (9, '${absent}', 8, 'm');
    INSERT INTO tags VALUES (7, 'latest', '${first}', 42, '${second}');
    INSERT INTO subjects VALUES (9, '${first}', '${second}');
    INSERT INTO pins VALUES (7, 'latest'), (9, '${absent}');
    INSERT INTO meta VALUES ('scrub', 'here');
    ${harm}`,
  );
}

/** Everything that is made, as it is written down in the file. */
function tablesOf(path: string): unknown[] {
  using database = new DatabaseSync(path, { readOnly: true });
  return database.prepare('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name').all();
}

const versions: readonly (readonly [number, (path: string) => void])[] = [
  [3, writeVersion3],
  [
    2,
    (path) =>
      write(
        path,
        `${version3.slice(0, version3.indexOf('ALTER TABLE'))}
        INSERT INTO repositories VALUES (7, 'docker.io', 'library/redis');
        INSERT INTO blobs VALUES (3, '${first}', 5, NULL, 1);
        INSERT INTO links VALUES (7, '${first}', 5, 'm');
        PRAGMA application_id = 0x5374696c; PRAGMA user_version = 2;`,
      ),
  ],
  [
    1,
    (path) =>
      write(
        path,
        `${version3.slice(0, version3.indexOf('CREATE INDEX'))}
        CREATE TABLE blobs (
          digest TEXT PRIMARY KEY, size INTEGER NOT NULL, media_type TEXT, stored_at INTEGER NOT NULL
        ) WITHOUT ROWID;
        INSERT INTO repositories VALUES (7, 'docker.io', 'library/redis');
        INSERT INTO blobs VALUES ('${first}', 5, NULL, 1);
        INSERT INTO links VALUES (7, '${first}', 5, 'm');
        PRAGMA user_version = 1;`,
      ),
  ],
];

describe.each(versions)('an index of version %i', (_version, writeOld) => {
  test('has the tables of a new one then', async () => {
    await using dir = await tempDir('schema');
    const [path, fresh] = [join(dir.path, 'index.db'), join(dir.path, 'fresh.db')];
    writeOld(path);
    for (const each of [path, fresh]) new Records(each).close();
    expect(tablesOf(path)).toEqual(tablesOf(fresh));
  });

  test('knows where what rests here came from', async () => {
    await using dir = await tempDir('schema');
    const path = join(dir.path, 'index.db');
    writeOld(path);
    const records = new Records(path);
    expect([records.isFrom(redis, first), records.isFrom(hidden, first), records.isPublic(first)]).toEqual([
      true,
      true,
      true,
    ]);
    records.putVerdict(redis, true, 1);
    expect(records.verdict(redis)).toEqual({ isPublic: true, checkedAt: 1 });
    records.close();
  });
});

describe('an index of version 3', () => {
  test('keeps all it knew, over another start too', async () => {
    await using dir = await tempDir('schema');
    const path = join(dir.path, 'index.db');
    writeVersion3(path);
    for (const _start of [1, 2]) {
      const records = new Records(path, { onDamaged: expect.fail });
      expect(records.isFresh).toBe(false);
      expect(records.totals).toEqual({ bytes: 18, blobs: 3 });
      expect(records.oldest(9).map(({ digest }) => digest)).toEqual([loose, second, first]);
      expect(records.blob(second)).toEqual({ id: 4, size: 6, mediaType: undefined, proven: false });
      expect(records.repositories(9)).toEqual(['docker.io/b', 'docker.io/library/redis', 'ghcr.io/other']);
      for (const repository of [redis, hidden]) {
        expect(records.link(repository, first)).toEqual({ digest: first, size: 5, mediaType: 'type 0', proven: true });
        expect(records.tag(repository, 'latest')).toEqual({ digest: first, checkedAt: 42, earlier: second });
      }
      expect(records.referrers(elsewhere, first, 9)).toEqual([second]);
      expect(records.pins()).toEqual([
        { repository: redis, reference: { tag: 'latest' } },
        { repository: elsewhere, reference: { digest: absent } },
      ]);
      expect(records.meta('scrub')).toBe('here');
      records.close();
    }
  });

  test('is from each registry that named what rests here, and what nobody named from none', async () => {
    await using dir = await tempDir('schema');
    const path = join(dir.path, 'index.db');
    writeVersion3(path);
    const records = new Records(path);
    const from = (repository: typeof redis) => digests.map((digest) => records.isFrom(repository, digest));
    expect(from(redis)).toEqual([true, true, false, false]);
    expect(from(elsewhere)).toEqual([true, false, false, false]);
    expect(digests.map((digest) => records.isPublic(digest))).toEqual([true, true, false, false]);
    records.putBlob(absent, 8);
    expect(records.isPublic(absent)).toBe(false);
    records.close();
  });

  test('tells from then on who sees what', async () => {
    await using dir = await tempDir('schema');
    const path = join(dir.path, 'index.db');
    writeVersion3(path);
    const records = new Records(path);
    records.putTag(hidden, 'latest', { digest: second, checkedAt: 43 });
    records.addLinks(hidden, [{ digest: loose, size: 7, mediaType: 'm' }]);
    expect([records.tag(redis, 'latest')?.digest, records.tag(hidden, 'latest')?.digest]).toEqual([first, second]);
    expect([records.link(redis, loose), records.link(hidden, loose)?.proven]).toEqual([undefined, false]);
    records.unpin(redis, 'latest');
    expect(records.pins()).toEqual([{ repository: elsewhere, reference: { digest: absent } }]);
    records.close();
  });

  test.each([
    ['lacks a table', 'DROP TABLE subjects;'],
    ['lacks another table', 'DROP TABLE usage;'],
    ['lacks a column', 'ALTER TABLE tags DROP COLUMN earlier;'],
  ])('that %s is damaged: another is begun, with its pins', async (_how, harm) => {
    await using dir = await tempDir('schema');
    const path = join(dir.path, 'index.db');
    writeVersion3(path, harm);
    const before = await readFile(path);
    expect(() => new Records(path)).toThrow(/^the index cannot be read/);
    expect(await readFile(path)).toEqual(before);
    const moved: string[] = [];
    const records = new Records(path, { onDamaged: (_why, movedTo) => moved.push(movedTo) });
    expect([records.isFresh, moved]).toEqual([true, [`${path}.damaged`]]);
    expect(records.pins().map(({ repository }) => repository)).toEqual([redis, elsewhere]);
    records.close();
  });

  test('that cannot be carried over is left as it was', async () => {
    await using dir = await tempDir('schema');
    const path = join(dir.path, 'index.db');
    writeVersion3(path, 'CREATE TABLE verdicts (something TEXT);');
    const before = await readFile(path);
    expect(() => new Records(path, { onDamaged: expect.fail })).toThrow(
      /^the index cannot be read: .*verdicts already/,
    );
    expect(await readFile(path)).toEqual(before);
  });
});
