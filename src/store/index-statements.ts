// What is asked of the index, in SQL.
import type { DatabaseSync } from 'node:sqlite';

export type Statements = ReturnType<typeof prepareStatements>;

export function prepareStatements(database: DatabaseSync) {
  const columns = 'id, digest, size, media_type AS mediaType, proven';
  return {
    totals: database.prepare('SELECT blobs, bytes FROM totals'),
    blob: database.prepare(`SELECT ${columns} FROM blobs WHERE digest = ?`),
    blobOfId: database.prepare(`SELECT ${columns} FROM blobs WHERE id = ?`),
    blobsAfter: database.prepare(`SELECT ${columns} FROM blobs WHERE digest > ? ORDER BY digest LIMIT ?`),
    unprovenAfter: database.prepare(
      `SELECT ${columns} FROM blobs WHERE proven = 0 AND digest > ? ORDER BY digest LIMIT ?`,
    ),
    addBlob: database.prepare('INSERT INTO blobs (id, digest, size, media_type, proven) VALUES (?, ?, ?, ?, ?)'),
    replaceBlob: database.prepare('UPDATE blobs SET size = ?, media_type = ?, proven = 1 WHERE id = ?'),
    prove: database.prepare('UPDATE blobs SET proven = 1 WHERE digest = ?'),
    deleteBlob: database.prepare('DELETE FROM blobs WHERE digest = ? RETURNING id'),
    deleteLinks: database.prepare('DELETE FROM links WHERE digest = ?'),
    // A pin must know what it means even while its manifest is gone.
    deleteTags: database.prepare(
      `DELETE FROM tags WHERE digest = ?
       AND NOT EXISTS (SELECT 1 FROM pins WHERE pins.repository = tags.repository AND reference = tag)`,
    ),

    uses: database.prepare('SELECT page, times FROM usage'),
    putUses: database.prepare('INSERT OR REPLACE INTO usage (page, times) VALUES (?, ?)'),

    repository: database.prepare('SELECT id FROM repositories WHERE registry = ? AND path = ?'),
    addRepository: database.prepare('INSERT INTO repositories (registry, path) VALUES (?, ?)'),
    repositories: database.prepare(
      `SELECT registry || '/' || path AS name FROM repositories AS r
       WHERE name > ? AND (EXISTS (SELECT 1 FROM tags WHERE repository = r.id)
         OR EXISTS (SELECT 1 FROM links WHERE repository = r.id))
       ORDER BY name LIMIT ?`,
    ),
    link: database.prepare('SELECT size, media_type AS mediaType FROM links WHERE repository = ? AND digest = ?'),
    putLink: database.prepare(
      'INSERT OR REPLACE INTO links (repository, digest, size, media_type) VALUES (?, ?, ?, ?)',
    ),
    tag: database.prepare('SELECT digest, checked_at AS checkedAt, earlier FROM tags WHERE repository = ? AND tag = ?'),
    putTag: database.prepare(
      'INSERT OR REPLACE INTO tags (repository, tag, digest, checked_at, earlier) VALUES (?, ?, ?, ?, ?)',
    ),
    deleteTag: database.prepare('DELETE FROM tags WHERE repository = ? AND tag = ?'),
    tags: database.prepare('SELECT tag FROM tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?'),

    putSubject: database.prepare('INSERT OR IGNORE INTO subjects (repository, subject, digest) VALUES (?, ?, ?)'),
    referrers: database.prepare('SELECT digest FROM subjects WHERE repository = ? AND subject = ? LIMIT ?'),
    deleteSubjects: database.prepare('DELETE FROM subjects WHERE digest = ?'),

    pin: database.prepare('INSERT OR IGNORE INTO pins (repository, reference) VALUES (?, ?)'),
    unpin: database.prepare('DELETE FROM pins WHERE repository = ? AND reference = ?'),
    pins: database.prepare(
      `SELECT repository AS id, registry, path, reference FROM pins JOIN repositories AS r ON r.id = repository
       ORDER BY registry, path, reference`,
    ),
    meta: database.prepare('SELECT value FROM meta WHERE key = ?'),
    putMeta: database.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)'),
  };
}
