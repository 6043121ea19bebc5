// What repositories hold, as the index knows it: which digests, and what each tag meant last.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isManifestType } from '../oci/media-types.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import type { IndexConnection } from './index-connection.ts';
import { classOf, keyOf, type Pin, PinRecords } from './pin-records.ts';
import type { RowMemory } from './row-memory.ts';

/** `proven`: by the repository's registry, under this name. Else a manifest named it, which anybody may write. */
export interface Link extends Descriptor {
  readonly proven: boolean;
}

interface LinkRow {
  readonly size: number;
  readonly mediaType: string;
  readonly proven: 0 | 1;
}

export interface TagRecord {
  readonly digest: Digest;
  /** When an upstream last said so, in milliseconds of the epoch. */
  readonly checkedAt: number;
  /** The last that it meant before and that was here whole; it may be gone since. */
  readonly earlier?: Digest | undefined;
}

/** What a repository was given since somebody began to look. */
export interface Watch extends Disposable {
  readonly repository: Repository;
  /** Digests that were linked to it or that a tag of it was said to mean. */
  readonly added: Set<Digest>;
}

export interface LetGo {
  readonly tags: readonly string[];
  readonly digests: readonly Digest[];
}

/**
 * What is written of a repository that only some may see is read by no other; they read what everybody may see too, after
 * their own.
 */
export class RepositoryRecords extends PinRecords {
  readonly #links: RowMemory<Link | undefined>;
  readonly #tags: RowMemory<TagRecord | undefined>;
  readonly #watches = new Set<Watch>();

  constructor(index: IndexConnection) {
    super(index);
    this.#links = this.memory();
    this.#tags = this.memory(4096);
  }

  /** What this repository's manifests, or its upstream, said of the digest; `undefined` when neither named it. */
  link(repository: Repository, digest: Digest): Link | undefined {
    return this.#links.recall(digest, viewOf(repository), () => {
      const rows = this.index.act(() => this.sql.link.all(...keyOf(repository), digest)) as unknown as LinkRow[];
      const row = rows.find(({ proven }) => proven === 1) ?? rows[0];
      return row && { digest, size: row.size, mediaType: row.mediaType, proven: row.proven === 1 };
    });
  }

  /** A manifest of the repository named them. Of what is proven already it says nothing more. */
  addLinks(repository: Repository, descriptors: readonly Descriptor[]): void {
    this.#putLinks(repository, descriptors, 0);
  }

  /** The repository's registry gave it, or proved to have it, under this name. */
  proveLink(repository: Repository, descriptor: Descriptor): void {
    if (!this.link(repository, descriptor.digest)?.proven) this.gained();
    this.#putLinks(repository, [descriptor], 1);
  }

  tag(repository: Repository, tag: string): TagRecord | undefined {
    return this.#tags.recall(tagOf(repository, tag), viewOf(repository), () => {
      const found = this.index.act(() => this.sql.tag.get(...keyOf(repository), tag));
      const row = found as (TagRecord & { earlier: Digest | null }) | undefined;
      return row && { ...row, earlier: row.earlier ?? undefined };
    });
  }

  putTag(repository: Repository, tag: string, { digest, checkedAt, earlier }: TagRecord): void {
    this.index.batch(() => {
      const id = this.findOrAdd(repository);
      if (this.hasPins(repository) && this.tag(repository, tag)?.digest !== digest) this.pinsMoved();
      if (this.#watches.size > 0) this.#tell(repository, [{ digest }]);
      this.sql.putTag.run(id, tag, digest, checkedAt, earlier ?? null);
      this.#tags.forget(tagOf(repository, tag));
    });
  }

  /** Nobody who reads as this repository sees the tag any more. */
  deleteTag(repository: Repository, tag: string): void {
    this.index.batch(() => {
      this.sql.deleteTag.run(...keyOf(repository), tag);
      this.#tags.forget(tagOf(repository, tag));
      if (this.hasPins(repository)) this.pinsMoved();
    });
  }

  /** In lexical order, after `last`, at most `limit`. */
  tags(repository: Repository, limit: number, last = ''): string[] {
    const rows = this.index.act(() => this.sql.tags.all(...keyOf(repository), last, limit) as { tag: string }[]);
    return rows.map((row) => row.tag);
  }

  /** Repositories that hold anything, as `registry/path`, in lexical order, after `last`. */
  repositories(limit: number, last = ''): string[] {
    return this.index.act(() => this.sql.repositories.all(last, limit) as { name: string }[]).map(({ name }) => name);
  }

  /** The repository has a manifest that refers to `subject`. */
  addReferrer(repository: Repository, subject: Digest, digest: Digest): void {
    this.index.batch(() => this.sql.putSubject.run(this.findOrAdd(repository), subject, digest));
  }

  /** Of the manifests that rest here, at most `limit`. */
  referrers(repository: Repository, subject: Digest, limit: number): Digest[] {
    const rows = this.index.act(() => this.sql.referrers.all(...keyOf(repository), subject, limit));
    return (rows as { digest: Digest }[]).map(({ digest }) => digest);
  }

  /** What a pin means: its digest, or that of its tag to everybody and to those who may see more. */
  meanings({ repository: { registry, path }, reference }: Pin): Digest[] {
    if ('digest' in reference) return [reference.digest];
    const seen = [false, true].flatMap(
      (isPrivate) => this.tag({ registry, path, isPrivate }, reference.tag)?.digest ?? [],
    );
    return [...new Set(seen)];
  }

  /** Until it is disposed of. What is rolled back counts too. */
  watch(repository: Repository): Watch {
    const watch: Watch = { repository, added: new Set(), [Symbol.dispose]: () => this.#watches.delete(watch) };
    this.#watches.add(watch);
    return watch;
  }

  /** Of what was written under its name and class alone. What rests here does so still. */
  letGo(repository: Repository, { tags, digests }: LetGo): void {
    const id = this.find(repository);
    if (id === undefined) return;
    this.lost();
    this.index.batch(() => {
      for (const tag of tags) {
        this.sql.deleteOwnTag.run(id, tag);
        this.#tags.forget(tagOf(repository, tag));
      }
      for (const digest of digests) {
        this.sql.deleteLink.run(id, digest);
        this.sql.deleteSubject.run(id, digest);
        this.#links.forget(digest);
      }
      if (tags.length > 0 && this.hasPins(repository)) this.pinsMoved();
    });
  }

  /** In the batch that deletes its blob: all that repositories hold of it. */
  protected deleteDigest(digest: Digest): void {
    this.sql.deleteLinks.run(digest);
    this.#links.forget(digest);
    const tags = this.sql.deleteTags.all(digest) as unknown as (Repository & { tag: string })[];
    for (const { tag, ...repository } of tags) this.#tags.forget(tagOf(repository, tag));
    this.sql.deleteSubjects.run(digest);
  }

  #putLinks(repository: Repository, descriptors: readonly Descriptor[], proven: 0 | 1): void {
    this.index.batch(() => {
      const id = this.findOrAdd(repository);
      if (this.#watches.size > 0) this.#tell(repository, descriptors);
      for (const { digest, size, mediaType } of descriptors) {
        this.sql.putLink.run(id, digest, size, mediaType, proven);
        this.#links.forget(digest);
      }
      if (this.hasPins(repository) && descriptors.some(({ mediaType }) => isManifestType(mediaType))) this.pinsMoved();
    });
  }

  #tell(repository: Repository, named: readonly Pick<Descriptor, 'digest'>[]): void {
    const name = formatRepository(repository);
    for (const watch of this.#watches)
      if (formatRepository(watch.repository) === name) for (const { digest } of named) watch.added.add(digest);
  }
}

/** Whose view of the index it is. */
function viewOf(repository: Repository): string {
  return `${formatRepository(repository)} ${classOf(repository)}`;
}

/** In every view. */
function tagOf(repository: Repository, tag: string): string {
  return `${formatRepository(repository)}:${tag}`;
}
