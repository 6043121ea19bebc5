// The tables of the embedded index, how an older index comes to them, and when a file is not ours to open.
import type { DatabaseSync } from 'node:sqlite';
import { prepareStatements } from './index-statements.ts';
import { usesPerPage } from './usage.ts';

export const schemaVersion = 4;

/** `Stil` in the header of the file, since version 2. */
const applicationId = 0x5374696c;

/** SQLITE_ERROR: a statement does not fit the tables. */
const sqlError = 1;

/** Links and tags know digests that may not rest here; `usage` holds the last uses of blobs, by id, a page a row. */
const schema = `
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
`;

const schemaOfVersion1 = `
CREATE TABLE repositories (id INTEGER PRIMARY KEY, registry TEXT NOT NULL, path TEXT NOT NULL, UNIQUE (registry, path));
CREATE TABLE links (
  repository INTEGER NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL, media_type TEXT NOT NULL,
  PRIMARY KEY (repository, digest)
) WITHOUT ROWID;
CREATE TABLE tags (
  repository INTEGER NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, checked_at INTEGER NOT NULL,
  PRIMARY KEY (repository, tag)
) WITHOUT ROWID;
`;

/** Which manifests name which as their subject; what a tag meant before, if all of that was here. */
const addedByVersion3 = `
ALTER TABLE tags ADD COLUMN earlier TEXT;
CREATE TABLE subjects (
  repository INTEGER NOT NULL, subject TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (repository, subject, digest)
) WITHOUT ROWID;
CREATE INDEX subjects_of_digest ON subjects (digest);
`;

/**
 * A repository is two rows: what everybody may see of it, and what only some may. From which registries the bytes of what
 * rests here came. Whether a repository was found public. Which links its registry proved: all that older versions made
 * count as that, and whoever makes one says it.
 */
const addedByVersion4 = `
ALTER TABLE links ADD COLUMN proven INTEGER NOT NULL DEFAULT 1;
ALTER TABLE repositories RENAME TO repositories_3;
CREATE TABLE repositories (
  id INTEGER PRIMARY KEY, registry TEXT NOT NULL, path TEXT NOT NULL, private INTEGER NOT NULL,
  UNIQUE (registry, path, private)
);
INSERT INTO repositories (id, registry, path, private) SELECT id, registry, path, 0 FROM repositories_3;
DROP TABLE repositories_3;
CREATE INDEX repositories_by_name ON repositories (registry || '/' || path);
CREATE TABLE origins (
  digest TEXT NOT NULL, registry TEXT NOT NULL, private INTEGER NOT NULL, PRIMARY KEY (digest, registry)
) WITHOUT ROWID;
INSERT OR IGNORE INTO origins (digest, registry, private)
  SELECT digest, registry, 0 FROM blobs CROSS JOIN links USING (digest) CROSS JOIN repositories AS r ON r.id = repository
  ORDER BY digest;
CREATE TABLE verdicts (
  id INTEGER PRIMARY KEY, registry TEXT NOT NULL, path TEXT NOT NULL, public INTEGER NOT NULL,
  checked_at INTEGER NOT NULL, UNIQUE (registry, path)
);
ALTER TABLE totals ADD COLUMN verdicts INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER verdicts_added AFTER INSERT ON verdicts BEGIN UPDATE totals SET verdicts = verdicts + 1; END;
CREATE TRIGGER verdicts_gone AFTER DELETE ON verdicts BEGIN UPDATE totals SET verdicts = verdicts - 1; END;
`;

const indexesOnDigests = `
CREATE INDEX links_of_digest ON links (digest);
CREATE INDEX tags_of_digest ON tags (digest);
`;

const allOfVersion2 = `
SELECT blobs.id, blobs.media_type, blobs.proven, totals.bytes, usage.times, pins.reference, meta.value, links.size,
  tags.checked_at, repositories.path
FROM blobs, totals, usage, pins, meta, links, tags, repositories
`;

const allOfVersion3 = `
SELECT blobs.id, blobs.media_type, blobs.proven, totals.bytes, usage.times, pins.reference, meta.value, links.size,
  tags.checked_at, tags.earlier, subjects.subject, repositories.path
FROM blobs, totals, usage, pins, meta, links, tags, subjects, repositories
`;

export function versionOf(database: DatabaseSync): number {
  return (database.prepare('PRAGMA user_version').get() as { user_version: number }).user_version;
}

/** For a file whose tables are not what they should be: ours are damaged, others' are left alone. */
export function isMarkedOurs(database: DatabaseSync): boolean {
  const { application_id: id } = database.prepare('PRAGMA application_id').get() as { application_id: number };
  return id === applicationId;
}

/** Whether the tables are those of this version; of version 0 there are none yet. */
export function hasOurTables(database: DatabaseSync, version: number): boolean {
  try {
    if (version === 1) database.prepare('SELECT digest, size, media_type, stored_at FROM blobs');
    if (version === 2) database.prepare(allOfVersion2);
    if (version === 3) database.prepare(allOfVersion3);
    if (version === schemaVersion) prepareStatements(database);
  } catch (error) {
    if ((error as { errcode?: number }).errcode === sqlError) return false;
    throw error;
  }
  const { tables } = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number };
  return version > 0 || tables === 0;
}

/** Makes the tables, or brings them to this version. `hasOurTables` must have said so: it changes the file. */
export function prepareSchema(database: DatabaseSync, version: number): void {
  // Checkpoints are made elsewhere; these many pages would be too many.
  database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
    PRAGMA wal_autocheckpoint = 16384; PRAGMA journal_size_limit = 8388608;`);
  if (version === schemaVersion) return;
  database.exec('BEGIN IMMEDIATE');
  if (version === 0) database.exec(schemaOfVersion1 + indexesOnDigests + schema);
  if (version === 1) carryOver(database);
  if (version < 3) database.exec(addedByVersion3);
  database.exec(addedByVersion4);
  database.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}; COMMIT`);
}

/** To version 2. Version 1 knew when a blob was stored, not when it was used. */
function carryOver(database: DatabaseSync): void {
  database.exec(`ALTER TABLE blobs RENAME TO blobs_1; ${indexesOnDigests} ${schema}
    INSERT INTO blobs (id, digest, size, media_type, proven)
      SELECT row_number() OVER (ORDER BY stored_at, digest), digest, size, media_type, 1 FROM blobs_1;`);
  const save = database.prepare('INSERT INTO usage (page, times) VALUES (?, ?)');
  let times = new Float64Array(usesPerPage);
  let id = 0;
  const storedAt = database.prepare('SELECT stored_at AS at FROM blobs_1 ORDER BY stored_at, digest');
  for (const { at } of storedAt.iterate() as Iterable<{ at: number }>) {
    times[++id % usesPerPage] = at;
    if ((id + 1) % usesPerPage !== 0) continue;
    save.run(Math.floor(id / usesPerPage), new Uint8Array(times.buffer));
    times = new Float64Array(usesPerPage);
  }
  save.run(Math.floor((id + 1) / usesPerPage), new Uint8Array(times.buffer));
  database.exec('DROP TABLE blobs_1');
}
