// What repositories hold, page by page, as whoever lists or clears out the cache goes through it.
import type { Digest } from '../oci/digest.ts';
import type { Repository } from '../oci/repository.ts';
import { keyOf } from './pin-records.ts';
import { type Link, RepositoryRecords, type TagRecord } from './repository-records.ts';

export interface ListedTag extends TagRecord {
  readonly tag: string;
}

/** Of a repository it is what was written under its name and class alone: the other one is listed by itself. */
export class ListedRecords extends RepositoryRecords {
  /** Names that hold anything, in lexical order, the first of them `from` or behind it. */
  repositoriesFrom(from: string, limit: number): Repository[] {
    const rows = this.index.act(() => this.sql.repositoriesFrom.all(from, limit) as { name: string }[]);
    return rows.map(({ name }) => repositoryOf(name));
  }

  /** In lexical order, the first of them `from` or behind it. */
  tagsFrom(repository: Repository, from: string, limit: number): ListedTag[] {
    const rows = this.index.act(() => this.sql.tagsFrom.all(...keyOf(repository), from, limit));
    return (rows as unknown as (ListedTag & { earlier: Digest | null })[]).map(
      ({ tag, digest, checkedAt, earlier }) => ({
        ...{ tag, digest, checkedAt },
        earlier: earlier ?? undefined,
      }),
    );
  }

  /** In lexical order, after `last`. */
  tagsMeaning(
    repository: Repository,
    digest: Digest,
    { limit, last = '' }: { limit: number; last?: string },
  ): string[] {
    const rows = this.index.act(() => this.sql.tagsMeaning.all(...keyOf(repository), digest, last, limit));
    return (rows as { tag: string }[]).map(({ tag }) => tag);
  }

  /** In digest order, after `last`. */
  linksAfter(repository: Repository, last: string, limit: number): Link[] {
    const rows = this.index.act(() => this.sql.linksAfter.all(...keyOf(repository), last, limit));
    return (rows as unknown as (Omit<Link, 'proven'> & { proven: 0 | 1 })[]).map(
      ({ digest, size, mediaType, proven }) => ({
        ...{ digest, size, mediaType },
        proven: proven === 1,
      }),
    );
  }

  /** What the repository's manifest refers to. */
  subject(repository: Repository, digest: Digest): Digest | undefined {
    return (this.index.act(() => this.sql.subject.get(...keyOf(repository), digest)) as { subject: Digest } | undefined)
      ?.subject;
  }

  /** Each with what is only seen by some as one of its own. After the one of that id. */
  holders(digest: Digest, limit: number, after = -1): { readonly id: number; readonly repository: Repository }[] {
    const rows = this.index.act(() => this.sql.holders.all(digest, after, limit));
    return (rows as unknown as (Repository & { id: number; private: 0 | 1 })[]).map(
      ({ id, registry, path, private: isPrivate }) => ({
        id,
        repository: { registry, path, isPrivate: isPrivate === 1 },
      }),
    );
  }

  /** Under another name, whoever sees it. */
  isHeldElsewhere({ registry, path }: Repository, digest: Digest): boolean {
    return this.index.act(() => this.sql.otherHolder.get(registry, path, digest)) !== undefined;
  }
}

function repositoryOf(name: string): Repository {
  const slash = name.indexOf('/');
  return { registry: name.slice(0, slash), path: name.slice(slash + 1) };
}
