// What is asked of the index, in SQL.
import type { DatabaseSync } from 'node:sqlite';

export type Statements = ReturnType<typeof prepareStatements>;

export function prepareStatements(database: DatabaseSync) {
  // Of a name and a class, ?1 to ?3: what everybody sees and, where only some may see it, what only they do.
  const seen = 'registry = ?1 AND path = ?2 AND private <= ?3';
  const seenByAll = '(SELECT id FROM repositories WHERE registry = ?1 AND path = ?2 AND private = 0)';
  const own = '(SELECT id FROM repositories WHERE registry = ?1 AND path = ?2 AND private = ?3)';
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
      `DELETE FROM tags WHERE digest = ? AND NOT EXISTS (
         SELECT 1 FROM repositories AS r CROSS JOIN repositories AS named CROSS JOIN pins
         WHERE r.id = tags.repository AND named.registry = r.registry AND named.path = r.path
           AND pins.repository = named.id AND reference = tag)
       RETURNING tag, (SELECT registry FROM repositories WHERE id = repository) AS registry,
         (SELECT path FROM repositories WHERE id = repository) AS path`,
    ),
    deleteOrigins: database.prepare('DELETE FROM origins WHERE digest = ?'),

    uses: database.prepare('SELECT page, times FROM usage'),
    putUses: database.prepare('INSERT OR REPLACE INTO usage (page, times) VALUES (?, ?)'),

    repository: database.prepare('SELECT id FROM repositories WHERE registry = ? AND path = ? AND private = ?'),
    addRepository: database.prepare('INSERT INTO repositories (registry, path, private) VALUES (?, ?, ?)'),
    repositories: database.prepare(
      `SELECT DISTINCT registry || '/' || path AS name FROM repositories AS r
       WHERE registry || '/' || path > ? AND (EXISTS (SELECT 1 FROM tags WHERE repository = r.id)
         OR EXISTS (SELECT 1 FROM links WHERE repository = r.id))
       ORDER BY name LIMIT ?`,
    ),
    repositoriesFrom: database.prepare(
      `SELECT DISTINCT registry || '/' || path AS name FROM repositories AS r
       WHERE registry || '/' || path >= ? AND (EXISTS (SELECT 1 FROM tags WHERE repository = r.id)
         OR EXISTS (SELECT 1 FROM links WHERE repository = r.id))
       ORDER BY name LIMIT ?`,
    ),
    link: database.prepare(
      `SELECT size, media_type AS mediaType, proven FROM repositories AS r CROSS JOIN links ON repository = r.id
       WHERE ${seen} AND digest = ?4 ORDER BY private DESC`,
    ),
    linksAfter: database.prepare(
      `SELECT digest, size, media_type AS mediaType, proven FROM links
       WHERE repository = ${own} AND digest > ?4 ORDER BY digest LIMIT ?5`,
    ),
    holders: database.prepare(
      `SELECT id, registry, path, private FROM links CROSS JOIN repositories AS r ON r.id = repository
       WHERE digest = ? AND repository > ? ORDER BY repository LIMIT ?`,
    ),
    otherHolder: database.prepare(
      `SELECT 1 FROM links CROSS JOIN repositories AS r ON r.id = repository
       WHERE digest = ?3 AND NOT (registry = ?1 AND path = ?2) LIMIT 1`,
    ),
    deleteLink: database.prepare('DELETE FROM links WHERE repository = ? AND digest = ?'),
    // What was proven is no less so, nor anything else, for a manifest that names it.
    putLink: database.prepare(
      `INSERT INTO links (repository, digest, size, media_type, proven) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT (repository, digest) DO UPDATE
       SET size = excluded.size, media_type = excluded.media_type, proven = excluded.proven
       WHERE excluded.proven >= proven`,
    ),
    tag: database.prepare(
      `SELECT digest, checked_at AS checkedAt, earlier FROM repositories AS r CROSS JOIN tags ON repository = r.id
       WHERE ${seen} AND tag = ?4 ORDER BY private DESC LIMIT 1`,
    ),
    tagsFrom: database.prepare(
      `SELECT tag, digest, checked_at AS checkedAt, earlier FROM tags
       WHERE repository = ${own} AND tag >= ?4 ORDER BY tag LIMIT ?5`,
    ),
    tagsMeaning: database.prepare(
      `SELECT tag FROM tags WHERE digest = ?4 AND repository = ${own} AND tag > ?5 ORDER BY tag LIMIT ?6`,
    ),
    putTag: database.prepare(
      'INSERT OR REPLACE INTO tags (repository, tag, digest, checked_at, earlier) VALUES (?, ?, ?, ?, ?)',
    ),
    deleteTag: database.prepare(
      `DELETE FROM tags WHERE tag = ?4 AND repository IN (SELECT id FROM repositories WHERE ${seen})`,
    ),
    deleteOwnTag: database.prepare('DELETE FROM tags WHERE repository = ? AND tag = ?'),
    tags: database.prepare(
      `SELECT tag FROM tags WHERE repository = ${seenByAll} AND tag > ?4
       UNION SELECT tag FROM tags WHERE repository = ${own} AND tag > ?4 ORDER BY tag LIMIT ?5`,
    ),

    putSubject: database.prepare('INSERT OR IGNORE INTO subjects (repository, subject, digest) VALUES (?, ?, ?)'),
    referrers: database.prepare(
      `SELECT digest FROM subjects WHERE repository = ${seenByAll} AND subject = ?4
       UNION SELECT digest FROM subjects WHERE repository = ${own} AND subject = ?4 ORDER BY digest LIMIT ?5`,
    ),
    subject: database.prepare(`SELECT subject FROM subjects WHERE digest = ?4 AND repository = ${own} LIMIT 1`),
    deleteSubject: database.prepare('DELETE FROM subjects WHERE repository = ? AND digest = ?'),
    deleteSubjects: database.prepare('DELETE FROM subjects WHERE digest = ?'),

    pin: database.prepare('INSERT OR IGNORE INTO pins (repository, reference) VALUES (?, ?)'),
    unpin: database.prepare('DELETE FROM pins WHERE repository = ? AND reference = ?'),
    pins: database.prepare(
      `SELECT registry, path, reference FROM pins CROSS JOIN repositories AS r ON r.id = repository
       ORDER BY registry, path, reference`,
    ),

    addOrigin: database.prepare(
      `INSERT INTO origins (digest, registry, private) SELECT digest, ?2, ?3 FROM blobs WHERE digest = ?1
       ON CONFLICT (digest, registry) DO UPDATE SET private = min(private, excluded.private)`,
    ),
    origin: database.prepare('SELECT 1 FROM origins WHERE digest = ? AND registry = ? AND private <= ?'),
    anyOrigin: database.prepare('SELECT 1 FROM origins WHERE digest = ? LIMIT 1'),
    publicOrigin: database.prepare('SELECT 1 FROM origins WHERE digest = ? AND private = 0 LIMIT 1'),

    verdict: database.prepare(
      'SELECT public AS isPublic, checked_at AS checkedAt FROM verdicts WHERE registry = ? AND path = ?',
    ),
    deleteVerdict: database.prepare('DELETE FROM verdicts WHERE registry = ? AND path = ?'),
    addVerdict: database.prepare('INSERT INTO verdicts (registry, path, public, checked_at) VALUES (?, ?, ?, ?)'),
    trimVerdicts: database.prepare(
      `DELETE FROM verdicts WHERE id IN
       (SELECT id FROM verdicts ORDER BY id LIMIT max(0, (SELECT verdicts FROM totals) - ?))`,
    ),

    meta: database.prepare('SELECT value FROM meta WHERE key = ?'),
    putMeta: database.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)'),
  };
}
