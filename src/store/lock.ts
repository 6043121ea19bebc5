// One process a cache directory: a lock that the operating system drops when its holder dies.
import { DatabaseSync } from 'node:sqlite';

export interface DirectoryLock {
  release(): void;
}

/**
 * SQLite's exclusive lock is a POSIX record lock, the only kind Node can reach without an addon; kill -9 frees it.
 * Throws when another process holds it.
 */
export function lockDirectory(lockFile: string, cacheDir: string): DirectoryLock {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(lockFile);
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;');
  } catch (cause) {
    database?.close();
    if (/locked/.test((cause as Error).message))
      throw new Error(
        `cache.dir is in use: ${cacheDir}: another Stillwater runs on it; stop that one or choose another folder`,
      );
    throw new Error(`cache.dir cannot be locked: ${lockFile}: ${(cause as Error).message}`, { cause });
  }
  return { release: () => database.close() };
}
