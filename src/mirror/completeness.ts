// Complete or not at all: a stored manifest goes out when all that it names is here, or can still be fetched.
import { LRUCache } from 'lru-cache';
import type { Digest } from '../oci/digest.ts';
import { type Manifest, type ManifestChildren, manifestChildren } from '../oci/manifest.ts';
import { isForeignType } from '../oci/media-types.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import { isUpstreamFault, UpstreamError } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { tryToRemember } from './links.ts';
import type { Manifests } from './manifests.ts';
import { SingleFlight } from './single-flight.ts';
import type { TagPolicy } from './tag-policy.ts';

export interface CompletenessOptions {
  readonly records: Records;
  readonly disk: Pick<Disk, 'report'>;
  readonly manifests: Pick<Manifests, 'stored'>;
  readonly policy: TagPolicy;
  readonly stopping: AbortSignal;
}

/** An upstream that answered anything this short a while ago is taken to be there. */
const believedMs = 10_000;
const rememberedImages = 10_000;
/** An index in an index is rare; one that never ends would be an attack. */
const deepest = 4;

export class Completeness {
  readonly #options: CompletenessOptions;
  /** By repository and manifest: how much had been lost when all of it was here. */
  readonly #whole = new LRUCache<string, number>({ max: rememberedImages });
  readonly #asking = new SingleFlight<boolean>();

  constructor(options: CompletenessOptions) {
    this.#options = options;
  }

  /**
   * For a manifest that was not just fetched. `false` when the upstream proved that it has it no longer. Throws
   * `UpstreamError` when something is missing and cannot be fetched: podman and skopeo have no way back once they have
   * the manifest.
   */
  async holds(source: Source, manifest: Manifest, signal: AbortSignal): Promise<boolean> {
    const missing = await this.#missingNow(source.repository, manifest);
    if (missing === undefined) return true;
    const { upstream } = source;
    if (performance.now() - upstream.lastAnswerAt < believedMs && upstream.mayAsk('blob')) return true;
    return this.#ask(source, manifest.descriptor.digest, { missing, signal });
  }

  /** Whether all that it names rests here; asks nobody. */
  async isWhole(repository: Repository, manifest: Manifest): Promise<boolean> {
    return (await this.#missingNow(repository, manifest)) === undefined;
  }

  async #missingNow(repository: Repository, manifest: Manifest): Promise<Digest | undefined> {
    const key = keyOf(repository, manifest.descriptor.digest);
    const { losses } = this.#options.records;
    if (this.#whole.get(key) === losses) return undefined;
    const missing = await this.#missing(repository, manifest, deepest);
    if (missing === undefined) this.#whole.set(key, losses);
    return missing;
  }

  /** One HEAD tells whether the upstream is there; while it cannot be asked it says so without a request. */
  async #ask(
    source: Source,
    digest: Digest,
    { missing, signal }: { missing: Digest; signal: AbortSignal },
  ): Promise<boolean> {
    const { policy, stopping } = this.#options;
    const { upstream, repository } = source;
    const { revalidateTimeoutMs } = policy.times(repository);
    const patience = AbortSignal.any([signal, AbortSignal.timeout(revalidateTimeoutMs)]);
    try {
      const { value } = await this.#asking.do(keyOf(repository, digest), patience, async (bound) => {
        const found = await upstream.resolve(repository.path, { digest }, AbortSignal.any([stopping, bound]));
        return found !== undefined;
      });
      if (!value || upstream.mayAsk('blob')) return value;
    } catch (cause) {
      if (!isUpstreamFault(cause)) throw cause;
      throw incomplete(source, digest, missing, cause);
    }
    throw incomplete(source, digest, missing);
  }

  /** The first digest of an image that is not here; of an index, when none of its images is here and whole. */
  async #missing(repository: Repository, manifest: Manifest, depth: number): Promise<Digest | undefined> {
    const { records } = this.#options;
    const children = manifestChildren(manifest.bytes, manifest.descriptor.mediaType);
    if (children.manifests.length > 0) return this.#missingOfIndex(repository, children, depth);
    const blobs = children.blobs.filter(({ mediaType }) => !isForeignType(mediaType));
    const missing = blobs.find(({ digest }) => !records.blob(digest)?.proven);
    if (!missing) this.#link(repository, children);
    return missing?.digest;
  }

  async #missingOfIndex(
    repository: Repository,
    { manifests }: ManifestChildren,
    depth: number,
  ): Promise<Digest | undefined> {
    const { records, manifests: here } = this.#options;
    let first: Digest | undefined;
    for (const { digest } of depth > 0 ? manifests : []) {
      const child = records.blob(digest)?.mediaType === undefined ? undefined : await here.stored(digest);
      const missing = child ? await this.#missing(repository, child, depth - 1) : digest;
      if (missing === undefined) {
        this.#link(repository, { manifests: manifests.filter((other) => other.digest === digest) });
        return undefined;
      }
      first ??= missing;
    }
    return first ?? manifests[0]?.digest;
  }

  /** A blob that was evicted lost its links; back by way of another repository it is still this manifest's. */
  #link(repository: Repository, { blobs = [], manifests = [] }: Partial<ManifestChildren>): void {
    const { records, disk } = this.#options;
    const unlinked = [...blobs, ...manifests].filter(({ digest }) => !records.link(repository, digest));
    if (unlinked.length > 0) tryToRemember(disk, () => records.addLinks(repository, unlinked));
  }
}

function incomplete({ upstream, repository }: Source, digest: Digest, missing: Digest, cause?: unknown): UpstreamError {
  const why = cause instanceof Error ? cause.message : `upstream ${upstream.name} cannot be asked now`;
  const told = cause instanceof UpstreamError ? cause : undefined;
  // Whatever kept the answer away, a client is told 503: another endpoint may have all of it.
  const failure = told?.failure === 'limited' || told?.failure === 'offline' ? told.failure : 'away';
  return new UpstreamError(
    failure,
    `${formatRepository(repository)}@${digest} is here in part only: ${missing} is missing and cannot be fetched: ${why}`,
    { cause, ...(told?.retryAfterMs !== undefined && { retryAfterMs: told.retryAfterMs }) },
  );
}

function keyOf(repository: Repository, digest: Digest): string {
  return `${formatRepository(repository)}@${digest}`;
}
