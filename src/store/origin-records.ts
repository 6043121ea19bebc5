// From which registries the bytes came that rest here, as the index knows it, and whether everybody could see them there.
import type { Digest } from '../oci/digest.ts';
import type { Repository } from '../oci/repository.ts';
import { classOf, RepositoryRecords } from './repository-records.ts';

export class OriginRecords extends RepositoryRecords {
  /**
   * The repository's registry gave, or proved to have, what rests here: nothing is remembered of anything else, so the
   * blob is put first. Public once, public for as long as it rests here.
   */
  addOrigin(digest: Digest, repository: Repository): void {
    if (this.isFrom(repository, digest)) return;
    this.gained();
    this.index.batch(() => this.sql.addOrigin.run(digest, repository.registry, classOf(repository)));
  }

  /** Whether the bytes came from the repository's registry, where everybody could see them unless it is private. */
  isFrom(repository: Repository, digest: Digest): boolean {
    return this.index.act(() => this.sql.origin.get(digest, repository.registry, classOf(repository))) !== undefined;
  }

  /** Whether anybody is known to have given the bytes: not of a file that was found on the disk, though it be proven. */
  hasOrigin(digest: Digest): boolean {
    return this.index.act(() => this.sql.anyOrigin.get(digest)) !== undefined;
  }

  /** Whether everybody could see the bytes at any registry. */
  isPublic(digest: Digest): boolean {
    return this.index.act(() => this.sql.publicOrigin.get(digest)) !== undefined;
  }
}
