// What refers to a digest: as the upstream lists it or, while it cannot be asked, as far as it is known here.
import { LRUCache } from 'lru-cache';
import type { Digest } from '../oci/digest.ts';
import { maxManifestBytes } from '../oci/manifest.ts';
import { mediaTypes } from '../oci/media-types.ts';
import { describeReferrer, type Referrer, referrersIndex, referrersTag, withArtifactType } from '../oci/referrers.ts';
import type { Records } from '../store/records.ts';
import { isUpstreamFault } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { MayUse } from './links.ts';
import type { Manifests } from './manifests.ts';
import { repositoryKey } from './repository-key.ts';
import { SingleFlight } from './single-flight.ts';
import type { TagPolicy } from './tag-policy.ts';
import type { Tags } from './tags.ts';

export interface ReferrersOptions {
  readonly records: Records;
  readonly mayUse: MayUse;
  readonly manifests: Pick<Manifests, 'stored'>;
  readonly tags: Pick<Tags, 'get' | 'last'>;
  readonly policy: TagPolicy;
  readonly stopping: AbortSignal;
}

interface Known {
  readonly index: Uint8Array;
  readonly at: number;
}

const rememberedBytes = 32 * 1024 * 1024;
/** Of what is made here from manifests: more is no list that anybody reads. */
const mostListed = 500;

export class Referrers {
  readonly #options: ReferrersOptions;
  readonly #known = new LRUCache<string, Known>({
    maxSize: rememberedBytes,
    sizeCalculation: ({ index }, key) => index.length + key.length,
  });
  readonly #asking = new SingleFlight<Uint8Array>();
  readonly #looking = new SingleFlight<Uint8Array | undefined>();

  constructor(options: ReferrersOptions) {
    this.#options = options;
  }

  /** An image index, of that type only if one is given. Throws when nobody can be asked and nothing is known here. */
  async list(
    source: Source,
    digest: Digest,
    artifactType: string | undefined,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const index = await this.#list(source, digest, signal);
    return artifactType === undefined ? index : withArtifactType(index, artifactType);
  }

  async #list(source: Source, digest: Digest, signal: AbortSignal): Promise<Uint8Array> {
    const { policy, records, mayUse } = this.#options;
    const { upstream, repository } = source;
    const key = `${repositoryKey(repository)}@${digest}`;
    const known = this.#known.get(key);
    // A tag that never moves may be signed tomorrow: rules for tags do not count.
    const { ttlMs, staleIfErrorMs, revalidateTimeoutMs } = policy.usual;
    const overdueMs = known && performance.now() - known.at - ttlMs * upstream.thrift;
    if (known && overdueMs !== undefined && overdueMs < 0) return known.index;

    const isCached = known || (records.link(repository, digest) && mayUse(repository, digest));
    const patience = isCached ? AbortSignal.any([signal, AbortSignal.timeout(revalidateTimeoutMs)]) : signal;
    try {
      const { value } = await this.#asking.do(key, patience, async (bound) => {
        const index = await this.#ask(source, digest, AbortSignal.any([this.#options.stopping, bound]));
        this.#known.set(key, { index, at: performance.now() });
        return index;
      });
      return value;
    } catch (error) {
      if (!isUpstreamFault(error)) throw error;
      if (known && overdueMs !== undefined && overdueMs < staleIfErrorMs) return known.index;
      const { value } = await this.#looking.do(key, signal, () => this.#here(source, digest));
      if (!value) throw error;
      return value;
    }
  }

  /**
   * Of every type: a client may make up as many as it likes. The spec has an empty index where nothing refers to the
   * digest, whatever way there was to find out.
   */
  async #ask({ upstream, repository }: Source, digest: Digest, signal: AbortSignal): Promise<Uint8Array> {
    const told = await upstream.fetchReferrers(repository.path, digest, signal);
    if (told) return told;
    // No API: then clients push the list under a tag.
    const answer = await this.#options.tags.get({ upstream, repository }, referrersTag(digest), signal);
    const isIndex = answer?.manifest.descriptor.mediaType === mediaTypes.ociIndex;
    return isIndex ? answer.manifest.bytes : referrersIndex([]);
  }

  /** Those whose manifests rest here, and those that the list under the tag names; `undefined` when there are none. */
  async #here(source: Source, digest: Digest): Promise<Uint8Array | undefined> {
    const { records, manifests, tags } = this.#options;
    const found = new Map<string, Referrer>();
    // An index as long as all of them together would be no manifest any more.
    let left = maxManifestBytes;
    for (const referrer of records.referrers(source.repository, digest, mostListed)) {
      const { size = 0 } = records.blob(referrer) ?? {};
      if (size > left) continue;
      left -= size;
      const manifest = await manifests.stored(source.repository, referrer);
      const described = manifest && describeReferrer(manifest);
      if (described) found.set(described.digest, described);
    }
    const listed = await tags.last(source, referrersTag(digest));
    for (const referrer of listed?.descriptor.mediaType === mediaTypes.ociIndex ? listedIn(listed.bytes) : [])
      found.set(referrer.digest, referrer);
    return found.size > 0 ? referrersIndex([...found.values()]) : undefined;
  }
}

function listedIn(index: Uint8Array): readonly Referrer[] {
  return (JSON.parse(Buffer.from(index).toString()) as { manifests?: readonly Referrer[] }).manifests ?? [];
}
