// What repositories hold, as the index knows it: which digests, what each tag meant last, and what is pinned.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isManifestType } from '../oci/media-types.ts';
import { parseReference, type Reference } from '../oci/reference.ts';
import type { Repository } from '../oci/repository.ts';
import type { IndexConnection } from './index-connection.ts';
import type { Statements } from './index-statements.ts';

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

/** The half of `Records` that is about repositories. */
export class RepositoryRecords {
  readonly #index: IndexConnection;
  #pinned = new Set<number>();
  #pinsVersion = 0;

  constructor(index: IndexConnection) {
    this.#index = index;
  }

  /** What this repository's manifests, or its upstream, said of the digest; `undefined` when neither named it. */
  link(repository: Repository, digest: Digest): Descriptor | undefined {
    return this.#index.act(() => {
      const id = this.#find(repository);
      if (id === undefined) return undefined;
      const row = this.sql.link.get(id, digest) as { size: number; mediaType: string } | undefined;
      return row && { digest, ...row };
    });
  }

  addLinks(repository: Repository, descriptors: readonly Descriptor[]): void {
    this.#index.batch(() => {
      const id = this.#findOrAdd(repository);
      for (const { digest, size, mediaType } of descriptors) this.sql.putLink.run(id, digest, size, mediaType);
      if (this.#pinned.has(id) && descriptors.some(({ mediaType }) => isManifestType(mediaType))) this.#pinsVersion++;
    });
  }

  tag(repository: Repository, tag: string): TagRecord | undefined {
    return this.#index.act(() => {
      const id = this.#find(repository);
      if (id === undefined) return undefined;
      const row = this.sql.tag.get(id, tag) as (TagRecord & { earlier: Digest | null }) | undefined;
      return row && { ...row, earlier: row.earlier ?? undefined };
    });
  }

  putTag(repository: Repository, tag: string, { digest, checkedAt, earlier }: TagRecord): void {
    this.#index.batch(() => {
      const id = this.#findOrAdd(repository);
      if (this.#pinned.has(id) && this.tag(repository, tag)?.digest !== digest) this.#pinsVersion++;
      this.sql.putTag.run(id, tag, digest, checkedAt, earlier ?? null);
    });
  }

  deleteTag(repository: Repository, tag: string): void {
    this.#index.batch(() => {
      const id = this.#find(repository);
      if (id === undefined) return;
      this.sql.deleteTag.run(id, tag);
      if (this.#pinned.has(id)) this.#pinsVersion++;
    });
  }

  /** In lexical order, after `last`, at most `limit`. */
  tags(repository: Repository, limit: number, last = ''): string[] {
    return this.#index.act(() => {
      const id = this.#find(repository);
      if (id === undefined) return [];
      return (this.sql.tags.all(id, last, limit) as { tag: string }[]).map((row) => row.tag);
    });
  }

  /** Repositories that hold anything, as `registry/path`, in lexical order, after `last`. */
  repositories(limit: number, last = ''): string[] {
    return this.#index.act(() => this.sql.repositories.all(last, limit) as { name: string }[]).map(({ name }) => name);
  }

  /** The repository has a manifest that refers to `subject`. */
  addReferrer(repository: Repository, subject: Digest, digest: Digest): void {
    this.#index.batch(() => this.sql.putSubject.run(this.#findOrAdd(repository), subject, digest));
  }

  /** Of the manifests that rest here, at most `limit`. */
  referrers(repository: Repository, subject: Digest, limit: number): Digest[] {
    return this.#index.act(() => {
      const id = this.#find(repository);
      if (id === undefined) return [];
      return (this.sql.referrers.all(id, subject, limit) as { digest: Digest }[]).map(({ digest }) => digest);
    });
  }

  /** `reference` is a tag or a digest; whether anything of it is here does not matter. */
  pin(repository: Repository, reference: string): void {
    this.#index.batch(() => {
      const id = this.#findOrAdd(repository);
      this.sql.pin.run(id, reference);
    });
    this.loadPins();
  }

  unpin(repository: Repository, reference: string): void {
    this.#index.batch(() => {
      const id = this.#find(repository);
      if (id !== undefined) this.sql.unpin.run(id, reference);
    });
    this.loadPins();
  }

  pins(): Pin[] {
    const rows = this.#index.act(() => this.sql.pins.all() as { registry: string; path: string; reference: string }[]);
    return rows.flatMap(({ registry, path, reference: text }) => {
      const reference = parseReference(text);
      return reference ? [{ repository: { registry, path }, reference }] : [];
    });
  }

  /** Grows whenever what the pins mean may have grown: a pin, a tag of its repository, a manifest that came for it. */
  get pinsVersion(): number {
    return this.#pinsVersion;
  }

  protected get sql(): Statements {
    return this.#index.statements;
  }

  /** Whenever the pins may be others. */
  protected loadPins(): void {
    this.#pinned = new Set((this.sql.pins.all() as { id: number }[]).map(({ id }) => id));
    this.#pinsVersion++;
  }

  #find({ registry, path }: Repository): number | undefined {
    return (this.sql.repository.get(registry, path) as { id: number } | undefined)?.id;
  }

  #findOrAdd(repository: Repository): number {
    const id = this.#find(repository);
    if (id !== undefined) return id;
    return Number(this.sql.addRepository.run(repository.registry, repository.path).lastInsertRowid);
  }
}
