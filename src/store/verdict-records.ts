// Whether repositories were found to be public, and when, as the index remembers it over a restart.
import type { Repository } from '../oci/repository.ts';
import { OriginRecords } from './origin-records.ts';

export interface Verdict {
  readonly isPublic: boolean;
  /** In milliseconds of the epoch. */
  readonly checkedAt: number;
}

/** Unlisted registries have as many names as anybody makes up. */
const mostVerdicts = 100_000;

export class VerdictRecords extends OriginRecords {
  verdict({ registry, path }: Pick<Repository, 'registry' | 'path'>): Verdict | undefined {
    const row = this.index.act(() => this.sql.verdict.get(registry, path)) as
      | { isPublic: number; checkedAt: number }
      | undefined;
    return row && { isPublic: row.isPublic === 1, checkedAt: row.checkedAt };
  }

  /** In place of an earlier one. Those that were put longest ago go when there are too many. */
  putVerdict({ registry, path }: Pick<Repository, 'registry' | 'path'>, isPublic: boolean, checkedAt: number): void {
    this.index.batch(() => {
      this.sql.deleteVerdict.run(registry, path);
      this.sql.addVerdict.run(registry, path, isPublic ? 1 : 0, checkedAt);
      this.sql.trimVerdicts.run(mostVerdicts);
    });
  }
}
