// What upstreams have proven not to exist, by repository, for a short while: who asks again and again costs them nothing.
import { LRUCache } from 'lru-cache';
import type { Digest } from '../oci/digest.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import type { TagPolicy } from './tag-policy.ts';

export type Absent = Reference | { readonly blob: Digest };

/** Bounds what a client that tries names at random can make us remember. */
const mostRemembered = 10_000;

export class Absences {
  readonly #policy: TagPolicy;
  readonly #until = new LRUCache<string, number>({ max: mostRemembered });

  constructor(policy: TagPolicy) {
    this.#policy = policy;
  }

  has(repository: Repository, absent: Absent): boolean {
    if (this.#until.size === 0) return false;
    return (this.#until.get(keyOf(repository, absent)) ?? 0) > performance.now();
  }

  /** For proven absence only: a 401, a limit or a failure says nothing. */
  add(repository: Repository, absent: Absent): void {
    const { negativeTtlMs } = this.#policy.times(repository, 'tag' in absent ? absent.tag : undefined);
    if (negativeTtlMs > 0) this.#until.set(keyOf(repository, absent), performance.now() + negativeTtlMs);
  }

  /** It is there after all. */
  delete(repository: Repository, absent: Absent): void {
    if (this.#until.size > 0) this.#until.delete(keyOf(repository, absent));
  }
}

function keyOf(repository: Repository, absent: Absent): string {
  const what = 'blob' in absent ? `blobs/${absent.blob}` : `manifests/${formatReference(absent)}`;
  return `${formatRepository(repository)}/${what}`;
}
