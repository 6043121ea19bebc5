// Makes what a mirror believes about repositories older than it is: the only clock there that lasts for an hour.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Returns how many verdicts there were. */
export function ageVerdicts(cacheDir: string, byMs: number): number {
  const database = new DatabaseSync(join(cacheDir, 'v1', 'index.db'));
  try {
    database.exec('PRAGMA busy_timeout = 5000');
    return Number(database.prepare('UPDATE verdicts SET checked_at = checked_at - ?').run(byMs).changes);
  } finally {
    database.close();
  }
}
