// The embedded index: which blobs rest here, which repository holds which digest, and what each tag meant last.
import { DatabaseSync } from 'node:sqlite';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Repository } from '../oci/repository.ts';

export interface BlobRecord {
  readonly size: number;
  /** Set on manifests only. */
  readonly mediaType: string | undefined;
}

export interface TagRecord {
  readonly digest: Digest;
  /** When an upstream last said so, in milliseconds of the epoch. */
  readonly checkedAt: number;
}

const schemaVersion = 1;

const schema = `
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
`;

/** Every call is one bounded, synchronous statement, so that a check and the act on it can share one turn. */
export class Records {
  readonly #database: DatabaseSync;
  readonly #statements: ReturnType<typeof prepare>;
  #bytes: number;
  #blobs: number;

  constructor(path: string) {
    this.#database = openDatabase(path);
    this.#statements = usable(path, () => prepare(this.#database));
    const totals = usable(path, () => this.#statements.totals.get()) as { bytes: number; blobs: number };
    this.#bytes = totals.bytes;
    this.#blobs = totals.blobs;
  }

  get totals(): { bytes: number; blobs: number } {
    return { bytes: this.#bytes, blobs: this.#blobs };
  }

  blob(digest: Digest): BlobRecord | undefined {
    const row = this.#statements.blob.get(digest) as { size: number; media_type: string | null } | undefined;
    return row && { size: row.size, mediaType: row.media_type ?? undefined };
  }

  putBlob(digest: Digest, size: number, mediaType?: string): void {
    this.deleteBlob(digest);
    this.#statements.putBlob.run(digest, size, mediaType ?? null, Date.now());
    this.#bytes += size;
    this.#blobs++;
  }

  deleteBlob(digest: Digest): void {
    const gone = this.#statements.deleteBlob.get(digest) as { size: number } | undefined;
    if (!gone) return;
    this.#bytes -= gone.size;
    this.#blobs--;
  }

  /** What this repository's manifests, or its upstream, said of the digest; `undefined` when neither named it. */
  link(repository: Repository, digest: Digest): Descriptor | undefined {
    const id = this.#find(repository);
    if (id === undefined) return undefined;
    const row = this.#statements.link.get(id, digest) as { size: number; media_type: string } | undefined;
    return row && { digest, size: row.size, mediaType: row.media_type };
  }

  addLinks(repository: Repository, descriptors: readonly Descriptor[]): void {
    this.#transaction(() => {
      const id = this.#findOrAdd(repository);
      for (const { digest, size, mediaType } of descriptors) this.#statements.putLink.run(id, digest, size, mediaType);
    });
  }

  tag(repository: Repository, tag: string): TagRecord | undefined {
    const id = this.#find(repository);
    if (id === undefined) return undefined;
    const row = this.#statements.tag.get(id, tag) as { digest: Digest; checked_at: number } | undefined;
    return row && { digest: row.digest, checkedAt: row.checked_at };
  }

  putTag(repository: Repository, tag: string, record: TagRecord): void {
    this.#statements.putTag.run(this.#findOrAdd(repository), tag, record.digest, record.checkedAt);
  }

  deleteTag(repository: Repository, tag: string): void {
    const id = this.#find(repository);
    if (id !== undefined) this.#statements.deleteTag.run(id, tag);
  }

  /** In lexical order, after `last`, at most `limit`. */
  tags(repository: Repository, limit: number, last = ''): string[] {
    const id = this.#find(repository);
    if (id === undefined) return [];
    return (this.#statements.tags.all(id, last, limit) as { tag: string }[]).map((row) => row.tag);
  }

  /** Repositories that hold anything, as `registry/path`, in lexical order, after `last`. */
  repositories(limit: number, last = ''): string[] {
    return (this.#statements.repositories.all(last, limit) as { name: string }[]).map((row) => row.name);
  }

  close(): void {
    this.#database.close();
  }

  #find({ registry, path }: Repository): number | undefined {
    return (this.#statements.repository.get(registry, path) as { id: number } | undefined)?.id;
  }

  #findOrAdd(repository: Repository): number {
    const id = this.#find(repository);
    if (id !== undefined) return id;
    return Number(this.#statements.addRepository.run(repository.registry, repository.path).lastInsertRowid);
  }

  #transaction(work: () => void): void {
    this.#database.exec('BEGIN');
    try {
      work();
      this.#database.exec('COMMIT');
    } catch (error) {
      // A full disk has made SQLite roll back by itself.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }
}

function usable<T>(path: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    throw new Error(
      `the index cannot be read: ${path}: ${(cause as Error).message}; move it away together with the blobs folder beside it: everything is fetched again`,
      { cause },
    );
  }
}

function openDatabase(path: string): DatabaseSync {
  const database = usable(path, () => new DatabaseSync(path));
  const version = usable(path, () => {
    const { user_version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
    const { tables } = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get() as { tables: number };
    if (user_version === 0 && tables > 0) throw new Error('it is a database of another program');
    // Only now: it changes the file, and a refused one stays as it was.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    return user_version;
  });
  if (version > schemaVersion) {
    database.close();
    throw new Error(
      `the index was written by a newer Stillwater: ${path}: schema ${version}, this program knows ${schemaVersion}; use the newer program`,
    );
  }
  if (version === 0) database.exec(`BEGIN; ${schema} PRAGMA user_version = ${schemaVersion}; COMMIT;`);
  return database;
}

function prepare(database: DatabaseSync) {
  return {
    totals: database.prepare('SELECT count(*) AS blobs, coalesce(sum(size), 0) AS bytes FROM blobs'),
    blob: database.prepare('SELECT size, media_type FROM blobs WHERE digest = ?'),
    putBlob: database.prepare('INSERT INTO blobs (digest, size, media_type, stored_at) VALUES (?, ?, ?, ?)'),
    deleteBlob: database.prepare('DELETE FROM blobs WHERE digest = ? RETURNING size'),
    repository: database.prepare('SELECT id FROM repositories WHERE registry = ? AND path = ?'),
    addRepository: database.prepare('INSERT INTO repositories (registry, path) VALUES (?, ?)'),
    link: database.prepare('SELECT size, media_type FROM links WHERE repository = ? AND digest = ?'),
    putLink: database.prepare(
      'INSERT OR REPLACE INTO links (repository, digest, size, media_type) VALUES (?, ?, ?, ?)',
    ),
    tag: database.prepare('SELECT digest, checked_at FROM tags WHERE repository = ? AND tag = ?'),
    putTag: database.prepare('INSERT OR REPLACE INTO tags (repository, tag, digest, checked_at) VALUES (?, ?, ?, ?)'),
    deleteTag: database.prepare('DELETE FROM tags WHERE repository = ? AND tag = ?'),
    tags: database.prepare('SELECT tag FROM tags WHERE repository = ? AND tag > ? ORDER BY tag LIMIT ?'),
    repositories: database.prepare(
      `SELECT registry || '/' || path AS name FROM repositories WHERE name > ? ORDER BY name LIMIT ?`,
    ),
  };
}
