// Whether repositories were found to be public, and when, as the index remembers it over a restart.
import { formatRepository, type Repository } from '../oci/repository.ts';
import { OriginRecords } from './origin-records.ts';

export interface Verdict {
  readonly isPublic: boolean;
  /** In milliseconds of the epoch. */
  readonly checkedAt: number;
}

/** Unlisted registries have as many names as anybody makes up. */
const mostVerdicts = 100_000;

export class VerdictRecords extends OriginRecords {
  readonly #verdicts = this.memory<Verdict | undefined>(4096);

  verdict({ registry, path }: Pick<Repository, 'registry' | 'path'>): Verdict | undefined {
    return this.#verdicts.recall(formatRepository({ registry, path }), '', () => {
      const found = this.index.act(() => this.sql.verdict.get(registry, path));
      const row = found as { isPublic: number; checkedAt: number } | undefined;
      return row && { isPublic: row.isPublic === 1, checkedAt: row.checkedAt };
    });
  }

  /** In place of an earlier one. Those that were put longest ago go when there are too many. */
  putVerdict({ registry, path }: Pick<Repository, 'registry' | 'path'>, isPublic: boolean, checkedAt: number): void {
    this.index.batch(() => {
      this.sql.deleteVerdict.run(registry, path);
      this.sql.addVerdict.run(registry, path, isPublic ? 1 : 0, checkedAt);
      const trimmed = this.sql.trimVerdicts.all(mostVerdicts) as unknown as Repository[];
      for (const repository of [{ registry, path }, ...trimmed]) this.#verdicts.forget(formatRepository(repository));
    });
  }
}
