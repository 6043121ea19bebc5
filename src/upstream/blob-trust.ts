// Which endpoints gave bytes of a blob, and which of them are asked for it only when nobody else is left.
import { LRUCache } from 'lru-cache';
import type { Digest } from '../oci/digest.ts';

/** A bound by size takes no room before there is something to keep, as one by number would. */
const bound = { maxSize: 10_000, sizeCalculation: () => 1 };
const doubtMs = 60_000;

export class BlobTrust<E> {
  readonly #givers = new LRUCache<Digest, Set<E>>(bound);
  readonly #doubted = new LRUCache<Digest, Set<E>>({ ...bound, ttl: doubtMs });

  gave(endpoint: E, digest: Digest): void {
    add(this.#givers, digest, endpoint);
  }

  /** Its transfer broke: for a minute others are asked first. */
  doubt(endpoint: E, digest: Digest): void {
    add(this.#doubted, digest, endpoint);
  }

  /** The bytes were not those of the digest, and any of the givers may have lied. */
  doubtGivers(digest: Digest): void {
    for (const endpoint of this.#givers.get(digest) ?? []) this.doubt(endpoint, digest);
  }

  /** In their order, the doubted ones last and backwards: where all have failed, the registry itself comes first. */
  inOrder(endpoints: readonly E[], digest: Digest): readonly E[] {
    const doubted = this.#doubted.get(digest);
    if (!doubted) return endpoints;
    return [...endpoints.filter((one) => !doubted.has(one)), ...endpoints.filter((one) => doubted.has(one)).reverse()];
  }
}

function add<E>(table: LRUCache<Digest, Set<E>>, digest: Digest, endpoint: E): void {
  table.set(digest, new Set(table.get(digest)).add(endpoint));
}
