// What repositories hold, as the index knows it: which digests, what each tag meant last, and what is pinned.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isManifestType } from '../oci/media-types.ts';
import { parseReference, type Reference } from '../oci/reference.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import type { IndexConnection } from './index-connection.ts';
import type { Statements } from './index-statements.ts';
import { RowMemory } from './row-memory.ts';

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

export interface Pin {
  readonly repository: Repository;
  readonly reference: Reference;
}

/**
 * What is written of a repository that only some may see is read by no other; they read what everybody may see too, after
 * their own.
 */
export class RepositoryRecords {
  protected readonly index: IndexConnection;
  readonly #memories: Pick<RowMemory<unknown>, 'clear'>[] = [];
  readonly #links: RowMemory<Link | undefined>;
  readonly #tags: RowMemory<TagRecord | undefined>;
  #pinned = new Set<string>();
  #pinsVersion = 0;
  #gains = 0;

  constructor(index: IndexConnection) {
    this.index = index;
    this.#links = this.memory();
    this.#tags = this.memory(4096);
  }

  /** Grows whenever something rests here, or is a repository's, that was not, or was not proven. */
  get gains(): number {
    return this.#gains;
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
      const id = this.#findOrAdd(repository);
      if (this.#isPinned(repository) && this.tag(repository, tag)?.digest !== digest) this.#pinsVersion++;
      this.sql.putTag.run(id, tag, digest, checkedAt, earlier ?? null);
      this.#tags.forget(tagOf(repository, tag));
    });
  }

  /** Nobody who reads as this repository sees the tag any more. */
  deleteTag(repository: Repository, tag: string): void {
    this.index.batch(() => {
      this.sql.deleteTag.run(...keyOf(repository), tag);
      this.#tags.forget(tagOf(repository, tag));
      if (this.#isPinned(repository)) this.#pinsVersion++;
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
    this.index.batch(() => this.sql.putSubject.run(this.#findOrAdd(repository), subject, digest));
  }

  /** Of the manifests that rest here, at most `limit`. */
  referrers(repository: Repository, subject: Digest, limit: number): Digest[] {
    const rows = this.index.act(() => this.sql.referrers.all(...keyOf(repository), subject, limit));
    return (rows as { digest: Digest }[]).map(({ digest }) => digest);
  }

  /**
   * `reference` is a tag or a digest; whether anything of it is here does not matter, nor who may see the repository: a
   * pin is of a name.
   */
  pin({ registry, path }: Repository, reference: string): void {
    this.index.batch(() => {
      const id = this.#findOrAdd({ registry, path });
      this.sql.pin.run(id, reference);
    });
    this.loadPins();
  }

  unpin({ registry, path }: Repository, reference: string): void {
    this.index.batch(() => {
      const id = this.#find({ registry, path });
      if (id !== undefined) this.sql.unpin.run(id, reference);
    });
    this.loadPins();
  }

  pins(): Pin[] {
    const rows = this.index.act(() => this.sql.pins.all() as { registry: string; path: string; reference: string }[]);
    return rows.flatMap(({ registry, path, reference: text }) => {
      const reference = parseReference(text);
      return reference ? [{ repository: { registry, path }, reference }] : [];
    });
  }

  /** What a pin means: its digest, or that of its tag to everybody and to those who may see more. */
  meanings({ repository: { registry, path }, reference }: Pin): Digest[] {
    if ('digest' in reference) return [reference.digest];
    const seen = [false, true].flatMap(
      (isPrivate) => this.tag({ registry, path, isPrivate }, reference.tag)?.digest ?? [],
    );
    return [...new Set(seen)];
  }

  /** Grows whenever what the pins mean may have grown: a pin, a tag of its repository, a manifest that came for it. */
  get pinsVersion(): number {
    return this.#pinsVersion;
  }

  protected get sql(): Statements {
    return this.index.statements;
  }

  /** Whenever the pins may be others. */
  protected loadPins(): void {
    this.#pinned = new Set((this.sql.pins.all() as unknown as Repository[]).map(formatRepository));
    this.#pinsVersion++;
  }

  /** Of rows that are asked for at every pull; all of them together take some 12 MB. */
  protected memory<T>(most = 8192): RowMemory<T> {
    const memory = new RowMemory<T>(() => this.index.isInBatch, most);
    this.#memories.push(memory);
    return memory;
  }

  /** Whenever the rows may be others, whoever wrote them. */
  protected forgetAll(): void {
    for (const memory of this.#memories) memory.clear();
  }

  /** In the batch that deletes its blob: all that repositories hold of it. */
  protected deleteDigest(digest: Digest): void {
    this.sql.deleteLinks.run(digest);
    this.#links.forget(digest);
    const tags = this.sql.deleteTags.all(digest) as unknown as (Repository & { tag: string })[];
    for (const { tag, ...repository } of tags) this.#tags.forget(tagOf(repository, tag));
    this.sql.deleteSubjects.run(digest);
  }

  protected gained(): void {
    this.#gains++;
  }

  #putLinks(repository: Repository, descriptors: readonly Descriptor[], proven: 0 | 1): void {
    this.index.batch(() => {
      const id = this.#findOrAdd(repository);
      for (const { digest, size, mediaType } of descriptors) {
        this.sql.putLink.run(id, digest, size, mediaType, proven);
        this.#links.forget(digest);
      }
      if (this.#isPinned(repository) && descriptors.some(({ mediaType }) => isManifestType(mediaType)))
        this.#pinsVersion++;
    });
  }

  #isPinned(repository: Repository): boolean {
    return this.#pinned.size > 0 && this.#pinned.has(formatRepository(repository));
  }

  #find(repository: Repository): number | undefined {
    return (this.sql.repository.get(...keyOf(repository)) as { id: number } | undefined)?.id;
  }

  #findOrAdd(repository: Repository): number {
    return this.#find(repository) ?? Number(this.sql.addRepository.run(...keyOf(repository)).lastInsertRowid);
  }
}

function keyOf(repository: Repository): [string, string, 0 | 1] {
  return [repository.registry, repository.path, classOf(repository)];
}

/** Whose view of the index it is. */
function viewOf(repository: Repository): string {
  return `${formatRepository(repository)} ${classOf(repository)}`;
}

/** In every view. */
function tagOf(repository: Repository, tag: string): string {
  return `${formatRepository(repository)}:${tag}`;
}

/** In the index: 1 where only some may see it. */
export function classOf({ isPrivate }: Repository): 0 | 1 {
  return isPrivate ? 1 : 0;
}
