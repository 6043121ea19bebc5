// What upstreams have proven not to exist, by repository, for a short while: who asks again and again costs them nothing.
import { LRUCache } from 'lru-cache';
import type { Digest } from '../oci/digest.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { Repository } from '../oci/repository.ts';
import type { Records } from '../store/records.ts';
import { repositoryKey } from './repository-key.ts';
import type { TagPolicy } from './tag-policy.ts';

/** `tags`: the repository itself, as far as a list of its tags tells. */
export type Absent = Reference | { readonly blob: Digest } | 'tags';

/** Bounds what a client that tries names at random can make us remember. */
const mostRemembered = 10_000;

/** Never of what the repository has a link to: a 404 that comes late must not hide what a manifest has named meanwhile. */
export class Absences {
  readonly #policy: TagPolicy;
  readonly #records: Pick<Records, 'link'>;
  readonly #until = new LRUCache<string, number>({ max: mostRemembered });

  constructor(policy: TagPolicy, records: Pick<Records, 'link'>) {
    this.#policy = policy;
    this.#records = records;
  }

  /** Whoever is asked now may know of more. */
  clear(): void {
    this.#until.clear();
  }

  has(repository: Repository, absent: Absent): boolean {
    if (this.#until.size === 0) return false;
    const isAbsent = (this.#until.get(keyOf(repository, absent)) ?? 0) > performance.now();
    return isAbsent && !this.#isLinked(repository, absent);
  }

  /** For proven absence only: a 401, a limit or a failure says nothing. */
  add(repository: Repository, absent: Absent): void {
    const tag = absent !== 'tags' && 'tag' in absent ? absent.tag : undefined;
    const { negativeTtlMs } = this.#policy.times(repository, tag);
    if (negativeTtlMs > 0 && !this.#isLinked(repository, absent))
      this.#until.set(keyOf(repository, absent), performance.now() + negativeTtlMs);
  }

  /** It is there after all, and so even once its link is evicted. */
  delete(repository: Repository, absent: Absent): void {
    if (this.#until.size > 0) this.#until.delete(keyOf(repository, absent));
  }

  #isLinked(repository: Repository, absent: Absent): boolean {
    if (absent === 'tags' || 'tag' in absent) return false;
    const digest = 'blob' in absent ? absent.blob : absent.digest;
    return this.#records.link(repository, digest) !== undefined;
  }
}

function keyOf(repository: Repository, absent: Absent): string {
  return `${repositoryKey(repository)}/${pathOf(absent)}`;
}

function pathOf(absent: Absent): string {
  if (absent === 'tags') return 'tags';
  return 'blob' in absent ? `blobs/${absent.blob}` : `manifests/${formatReference(absent)}`;
}
