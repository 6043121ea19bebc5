// The file of the index: opened, told apart from damage, and moved out of the way when it is damaged.
import { renameSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { hasOurTables, isMarkedOurs, prepareSchema, schemaVersion, versionOf } from './index-schema.ts';
import { prepareStatements, type Statements } from './index-statements.ts';

export interface OpenIndex {
  readonly database: DatabaseSync;
  readonly statements: Statements;
  /** Nothing was in it: there was no file, or an empty one. */
  readonly isFresh: boolean;
}

/**
 * Throws, with everything closed, when the file is damaged (`isDamage`), not ours, of a newer program, or cannot be
 * opened or written. `load` reads what its caller keeps in memory: what it throws counts too.
 */
export function openIndex(path: string, load: (opened: OpenIndex) => void): void {
  let database: DatabaseSync | undefined;
  let version = 0;
  try {
    database = new DatabaseSync(path);
    version = versionOf(database);
    if (version <= schemaVersion) {
      checkSmall(database);
      refuseForeign(database, version);
      prepareSchema(database, version);
      load({ database, statements: prepareStatements(database), isFresh: version === 0 });
      return;
    }
  } catch (cause) {
    database?.close();
    throw new Error(
      `the index cannot be read: ${path}: ${(cause as Error).message}; move it away: it is made anew from the blobs folder beside it`,
      { cause },
    );
  }
  database.close();
  throw new Error(
    `the index was written by a newer Stillwater: ${path}: schema ${version}, this program knows ${schemaVersion}; use the newer program`,
  );
}

class DamagedIndexError extends Error {
  override name = 'DamagedIndexError';
}

/** Read whole at every start. What is larger would delay it, and shows its damage when it is used. */
const checkedPages = 4096;

function checkSmall(database: DatabaseSync): void {
  const { page_count: pages } = database.prepare('PRAGMA page_count').get() as { page_count: number };
  if (pages > checkedPages) return;
  const { integrity_check: found } = database.prepare('PRAGMA integrity_check(1)').get() as { integrity_check: string };
  if (found !== 'ok') throw new DamagedIndexError(found.replaceAll(/\s+/g, ' '));
}

function refuseForeign(database: DatabaseSync, version: number): void {
  if (hasOurTables(database, version)) return;
  if (isMarkedOurs(database)) throw new DamagedIndexError('its tables are not what they were');
  throw new Error('it is a database of another program');
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, extended codes too, and numbers that we never write: the file cannot be right. */
export function isDamage(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof DamagedIndexError) return true;
    const { errcode, code } = at as { errcode?: number; code?: string };
    if (code === 'ERR_OUT_OF_RANGE') return true;
    if (errcode !== undefined) return (errcode & 0xff) === 11 || (errcode & 0xff) === 26;
  }
  return false;
}

/** SQLITE_FULL. */
export function isFull(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === 13;
}

/** Where it went. One that was moved earlier is replaced. */
export function moveAside(path: string): string {
  const aside = `${path}.damaged`;
  for (const suffix of ['-wal', '-shm', '']) {
    rmSync(aside + suffix, { force: true });
    try {
      renameSync(path + suffix, aside + suffix);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return aside;
}

/** What only a person can tell again; whatever of it can still be read. */
export function salvagePins(path: string): { registry: string; path: string; reference: string }[] {
  try {
    using database = new DatabaseSync(path, { readOnly: true });
    const pins = database.prepare(
      'SELECT registry, path, reference FROM pins JOIN repositories ON repositories.id = repository',
    );
    return pins.all() as ReturnType<typeof salvagePins>;
  } catch {
    return [];
  }
}
