// The other blobs of an image whose manifest was just served: whoever asks for the first will want them all.
import { LRUCache } from 'lru-cache';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Manifest, manifestChildren } from '../oci/manifest.ts';
import { isForeignType } from '../oci/media-types.ts';
import type { Repository } from '../oci/repository.ts';
import { repositoryKey } from './repository-key.ts';

/** A pull asks for its blobs within seconds of its manifest; some wait for a slow disk. */
const rememberedMs = 10 * 60_000;
const rememberedManifests = 2000;
const rememberedBlobs = 20_000;

export class Siblings {
  /** By repository and manifest, so that a manifest served a thousand times is read once. */
  readonly #seen = new LRUCache<string, true>({ max: rememberedManifests, ttl: rememberedMs });
  /** By repository and blob. */
  readonly #families = new LRUCache<string, readonly Descriptor[]>({ max: rememberedBlobs, ttl: rememberedMs });

  remember(repository: Repository, { descriptor, bytes }: Manifest): void {
    const key = keyOf(repository, descriptor.digest);
    if (this.#seen.has(key)) return;
    this.#seen.set(key, true);
    const { config, blobs } = manifestChildren(bytes, descriptor.mediaType);
    const family = blobs.filter(({ mediaType }) => !isForeignType(mediaType));
    // Who wants the config alone, to look at an image, does not want its layers.
    for (const blob of family) if (blob !== config) this.#families.set(keyOf(repository, blob.digest), family);
  }

  /** The blobs that come with this layer, once a serving of their manifest. */
  take(repository: Repository, digest: Digest): readonly Descriptor[] {
    const family = this.#families.get(keyOf(repository, digest)) ?? [];
    for (const blob of family) this.#families.delete(keyOf(repository, blob.digest));
    return family.filter((blob) => blob.digest !== digest);
  }
}

function keyOf(repository: Repository, digest: Digest): string {
  return `${repositoryKey(repository)}@${digest}`;
}
