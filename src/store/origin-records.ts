// From which registries the bytes came that rest here, as the index knows it, and whether everybody could see them there.
import type { Digest } from '../oci/digest.ts';
import type { Repository } from '../oci/repository.ts';
import { ListedRecords } from './listed-records.ts';
import { classOf } from './pin-records.ts';

export class OriginRecords extends ListedRecords {
  readonly #origins = this.memory<boolean>(16_384);

  /**
   * The repository's registry gave, or proved to have, what rests here: nothing is remembered of anything else, so the
   * blob is put first. Public once, public for as long as it rests here.
   */
  addOrigin(digest: Digest, repository: Repository): void {
    if (this.isFrom(repository, digest)) return;
    this.gained();
    this.index.batch(() => {
      this.sql.addOrigin.run(digest, repository.registry, classOf(repository));
      this.#origins.forget(digest);
    });
  }

  /** Whether the bytes came from the repository's registry, where everybody could see them unless it is private. */
  isFrom(repository: Repository, digest: Digest): boolean {
    const { registry } = repository;
    const views = classOf(repository);
    return this.#origins.recall(
      digest,
      `${registry} ${views}`,
      () => this.index.act(() => this.sql.origin.get(digest, registry, views)) !== undefined,
    );
  }

  /** Whether anybody is known to have given the bytes: not of a file that was found on the disk, though it be proven. */
  hasOrigin(digest: Digest): boolean {
    return this.#origins.recall(
      digest,
      'any',
      () => this.index.act(() => this.sql.anyOrigin.get(digest)) !== undefined,
    );
  }

  /** Whether everybody could see the bytes at any registry. */
  isPublic(digest: Digest): boolean {
    return this.#origins.recall(
      digest,
      'public',
      () => this.index.act(() => this.sql.publicOrigin.get(digest)) !== undefined,
    );
  }

  protected override deleteDigest(digest: Digest): void {
    super.deleteDigest(digest);
    this.sql.deleteOrigins.run(digest);
    this.#origins.forget(digest);
  }
}
