// The cache as its doors see it: pulls for repositories, answered from the store, a running fill, or the upstream.
import { type WantedRange, wantedRange } from '../oci/byte-range.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Reference } from '../oci/reference.ts';
import type { Records } from '../store/records.ts';
import { isUpstreamFault, type TagPage, type TagQuery } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { BlobAnswer, BlobStat, Blobs } from './blobs.ts';
import type { BringOptions, Brought } from './bring-blob.ts';
import type { Completeness } from './completeness.ts';
import type { Lasting } from './lasting.ts';
import type { ManifestAnswer, Manifests } from './manifests.ts';
import type { Referrers } from './referrers.ts';
import type { Siblings } from './siblings.ts';
import type { Tags } from './tags.ts';

export interface MirrorOptions {
  readonly records: Records;
  readonly manifests: Manifests;
  readonly tags: Tags;
  readonly blobs: Blobs;
  readonly referrers: Referrers;
  readonly completeness: Pick<Completeness, 'holds' | 'isKnownWhole'>;
  /** `undefined`: blobs are fetched as they are asked for. */
  readonly siblings: Siblings | undefined;
}

/** Every call: `undefined` when it is proven not to exist, an error when nobody could tell. */
export class Mirror {
  readonly #options: MirrorOptions;

  constructor(options: MirrorOptions) {
    this.#options = options;
  }

  async getManifest(source: Source, reference: Reference, signal: AbortSignal): Promise<ManifestAnswer | undefined> {
    const { tags, manifests, siblings } = this.#options;
    const found =
      'tag' in reference
        ? await tags.get(source, reference.tag, signal)
        : await manifests.get(source, reference.digest, signal);
    const answer = found && (await this.#usable(source, reference, found, signal));
    if (answer) siblings?.remember(source.repository, answer.manifest);
    return answer?.outcome === 'hit'
      ? { ...answer, lasting: this.#lasting(source, reference, answer.manifest.descriptor) }
      : answer;
  }

  /** What `getManifest` goes by where it asks nobody, looked at again: nothing of it is trusted to have stayed. */
  #lasting(source: Source, reference: Reference, descriptor: Descriptor): Lasting {
    const { records, tags, manifests, siblings, completeness } = this.#options;
    const { repository } = source;
    const { digest } = descriptor;
    const isGiven =
      'tag' in reference
        ? () => tags.isBelieved(source, reference.tag, digest) && manifests.isStored(repository, descriptor)
        : () => manifests.isGiven(repository, descriptor);
    return {
      holds: () => isGiven() && completeness.isKnownWhole(repository, digest),
      body: () => manifests.remembered(digest),
      used: () => {
        records.touchBlob(digest);
        const bytes = siblings && manifests.remembered(digest);
        if (bytes) siblings.remember(repository, { descriptor, bytes });
      },
    };
  }

  /** What the upstream has just given, it has; what comes from here may be here in part. */
  async #usable(
    source: Source,
    reference: Reference,
    found: ManifestAnswer,
    signal: AbortSignal,
  ): Promise<ManifestAnswer | undefined> {
    const { tags, completeness } = this.#options;
    if (found.outcome === 'miss' || found.outcome === 'joined') return found;
    try {
      const isConfirmed = found.outcome === 'revalidated';
      return (await completeness.holds(source, { ...found, isConfirmed }, signal)) ? found : undefined;
    } catch (error) {
      const isAway = 'tag' in reference && isUpstreamFault(error);
      const earlier = isAway ? await tags.earlier(source, reference.tag, error) : undefined;
      if (!earlier) throw error;
      return earlier;
    }
  }

  listTags(source: Source, page: TagQuery, signal: AbortSignal): Promise<TagPage | undefined> {
    return this.#options.tags.list(source, page, signal);
  }

  /** An image index; of that type only, if one is given. */
  listReferrers(
    source: Source,
    digest: Digest,
    artifactType: string | undefined,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    return this.#options.referrers.list(source, digest, artifactType, signal);
  }

  /** What is cached, as `registry/path`, in lexical order. */
  listRepositories(limit: number, last: string | undefined): string[] {
    return this.#options.records.repositories(limit, last);
  }

  /** The content may still be arriving. `wanted` is what the caller will read of it, so that this part can come first. */
  openBlob(
    source: Source,
    digest: Digest,
    signal: AbortSignal,
    wanted: WantedRange = wantedRange(undefined),
  ): Promise<BlobAnswer | undefined> {
    return this.#options.blobs.open({ source, digest, wanted }, signal);
  }

  /** Waits until it is stored, behind everything that clients wait for, without reading a byte of it. */
  bringBlob(source: Source, blob: Omit<Descriptor, 'mediaType'>, options: BringOptions): Promise<Brought | undefined> {
    return this.#options.blobs.bring(source, blob, options);
  }

  /** Fetches nothing. */
  statBlob(source: Source, digest: Digest, signal: AbortSignal): Promise<BlobStat | undefined> {
    return this.#options.blobs.stat(source, digest, signal);
  }
}
