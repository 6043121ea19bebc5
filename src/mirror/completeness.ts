// Complete or not at all: a stored manifest goes out when all that it names is here, or can still be fetched.
import { LRUCache } from 'lru-cache';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import { isUpstreamFault, UpstreamError } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { ImageWalk, type ImageWalkOptions, type Missing } from './image-walk.ts';
import { repositoryKey } from './repository-key.ts';
import { SingleFlight } from './single-flight.ts';
import type { TagPolicy } from './tag-policy.ts';

export interface CompletenessOptions extends ImageWalkOptions {
  readonly policy: TagPolicy;
}

/** What was missing, if anything, when so much had been lost and stored. */
interface Known {
  readonly missing: Missing | undefined;
  readonly losses: number;
  readonly gains: number;
}

/** An upstream that answered anything this short a while ago is taken to be there. */
const believedMs = 10_000;
const rememberedImages = 10_000;
/** What the upstream proved to have no longer, and is here in part: it is gone for this long, at least. */
const goneMs = 30_000;
const rememberedGone = 1000;

export class Completeness {
  readonly #options: CompletenessOptions;
  /** By repository and manifest. */
  readonly #known = new LRUCache<string, Known>({ max: rememberedImages });
  readonly #walks = new SingleFlight<Missing | undefined>();
  readonly #gone = new LRUCache<string, true>({ max: rememberedGone, ttl: goneMs });
  readonly #asking = new SingleFlight<boolean>();

  constructor(options: CompletenessOptions) {
    this.#options = options;
  }

  /**
   * For a manifest that was not just fetched. `false` when the upstream proved that it has it no longer. Throws
   * `UpstreamError` when something is missing and cannot be fetched: podman and skopeo have no way back once they have
   * the manifest. `isConfirmed`: the upstream has just said that it has the manifest.
   */
  async holds(
    source: Source,
    { manifest, isConfirmed }: { manifest: Manifest; isConfirmed: boolean },
    signal: AbortSignal,
  ): Promise<boolean> {
    const missing = await this.#missing(source.repository, manifest, signal);
    if (missing === undefined) return true;
    const { upstream, repository } = source;
    const { digest } = manifest.descriptor;
    if (!isConfirmed && this.#gone.has(keyOf(repository, digest))) return false;
    const isThere = isConfirmed || performance.now() - upstream.lastAnswerAt < believedMs;
    if (isThere && upstream.mayAsk(missing.kind)) return true;
    return this.#ask(source, digest, { missing, signal });
  }

  /** Whether it was found whole, and nothing was lost since; walks nothing. */
  isKnownWhole(repository: Repository, digest: Digest): boolean {
    const known = this.#known.get(keyOf(repository, digest));
    return known?.missing === undefined && known?.losses === this.#options.records.losses;
  }

  /** Whether all that it names rests here; asks nobody. */
  async isWhole(repository: Repository, manifest: Manifest): Promise<boolean> {
    return (await this.#missing(repository, manifest)) === undefined;
  }

  async #missing(
    repository: Repository,
    manifest: Manifest,
    signal: AbortSignal = this.#options.stopping,
  ): Promise<Missing | undefined> {
    const key = keyOf(repository, manifest.descriptor.digest);
    const { losses, gains } = this.#options.records;
    const known = this.#known.get(key);
    // What is whole stays so until something is lost, and what is not, also until something comes.
    if (known?.losses === losses && (known.missing === undefined || known.gains === gains)) return known.missing;
    const now = `${key} ${losses} ${gains}`;
    return (await this.#walks.do(now, signal, () => this.#walk(repository, manifest))).value;
  }

  async #walk(repository: Repository, manifest: Manifest): Promise<Missing | undefined> {
    const { losses, gains } = this.#options.records;
    const { missing, isLasting } = await new ImageWalk(this.#options, repository).run(manifest);
    if (isLasting) this.#known.set(keyOf(repository, manifest.descriptor.digest), { missing, losses, gains });
    return missing;
  }

  /** One HEAD tells whether the upstream is there; while it cannot be asked it says so without a request. */
  async #ask(
    source: Source,
    digest: Digest,
    { missing, signal }: { missing: Missing; signal: AbortSignal },
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
      // Its own HEAD would else be the answer that lets it out the next time.
      if (!value) this.#gone.set(keyOf(repository, digest), true);
      if (!value || upstream.mayAsk(missing.kind)) return value;
    } catch (cause) {
      if (!isUpstreamFault(cause)) throw cause;
      throw incomplete(source, digest, missing, cause);
    }
    throw incomplete(source, digest, missing);
  }
}

function incomplete(
  { upstream, repository }: Source,
  digest: Digest,
  missing: Missing,
  cause?: unknown,
): UpstreamError {
  const why = cause instanceof Error ? cause.message : `upstream ${upstream.name} cannot be asked now`;
  const told = cause instanceof UpstreamError ? cause : undefined;
  // Whatever kept the answer away, a client is told 503: another endpoint may have all of it.
  const failure = told?.failure === 'limited' || told?.failure === 'offline' ? told.failure : 'away';
  return new UpstreamError(
    failure,
    `${formatRepository(repository)}@${digest} is here in part only: ${missing.digest} is missing and cannot be fetched: ${why}`,
    { cause, ...(told?.retryAfterMs !== undefined && { retryAfterMs: told.retryAfterMs }) },
  );
}

function keyOf(repository: Repository, digest: Digest): string {
  return `${repositoryKey(repository)}@${digest}`;
}
