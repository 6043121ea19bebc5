// What a tag means: remembered for a while, confirmed by HEAD after that, and believed longer while nobody can be asked.
import { formatRepository } from '../oci/repository.ts';
import type { Disk } from '../store/disk.ts';
import type { Records, TagRecord } from '../store/records.ts';
import { isUpstreamFault, type Resolution } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { tryToRemember } from './links.ts';
import type { ManifestAnswer, Manifests } from './manifests.ts';
import { SingleFlight } from './single-flight.ts';

export interface TagsOptions {
  readonly records: Records;
  readonly disk: Pick<Disk, 'report'>;
  readonly manifests: Manifests;
  readonly stopping: AbortSignal;
  /** How long a tag is believed without a question. */
  readonly ttlMs: number;
  /** How long after its last confirmation a tag may stand in for a failing upstream. */
  readonly staleIfErrorMs: number;
  /** How long a cached tag waits for its confirmation before the old answer goes out. */
  readonly revalidateTimeoutMs: number;
  /** Told of every stale answer. */
  readonly onStale: (source: Source, tag: string, reason: unknown) => void;
}

interface Cached {
  readonly record: TagRecord;
  readonly answer: ManifestAnswer;
}

export class Tags {
  readonly #options: TagsOptions;
  readonly #asking = new SingleFlight<ManifestAnswer | undefined>();

  constructor(options: TagsOptions) {
    this.#options = options;
  }

  /** `undefined` when the upstream proved that there is no such tag. */
  async get(source: Source, tag: string, signal: AbortSignal): Promise<ManifestAnswer | undefined> {
    const cached = await this.#cached(source, tag);
    if (cached && isWithin(cached.record, this.#options.ttlMs)) return cached.answer;
    const canStandIn = cached !== undefined && isWithin(cached.record, this.#options.staleIfErrorMs);
    if (!canStandIn) return this.#ask(source, tag, cached, signal);
    const patience = AbortSignal.any([signal, AbortSignal.timeout(this.#options.revalidateTimeoutMs)]);
    try {
      return await this.#ask(source, tag, cached, patience);
    } catch (error) {
      signal.throwIfAborted();
      if (!isUpstreamFault(error)) throw error;
      this.#options.onStale(source, tag, error);
      return { ...cached.answer, outcome: 'stale' };
    }
  }

  /** The tag with its manifest, both still here. The record alone is worth nothing to a client. */
  async #cached({ repository }: Source, tag: string): Promise<Cached | undefined> {
    const { records, manifests } = this.#options;
    const record = records.tag(repository, tag);
    const manifest = record && (await manifests.stored(record.digest));
    return manifest && { record, answer: { manifest, outcome: 'hit' } };
  }

  async #ask(
    source: Source,
    tag: string,
    cached: Cached | undefined,
    signal: AbortSignal,
  ): Promise<ManifestAnswer | undefined> {
    const key = `${formatRepository(source.repository)}:${tag}`;
    const { value, joined } = await this.#asking.do(key, signal, (bound) =>
      this.#revalidate(source, tag, { cached, bound }),
    );
    return value && joined && value.outcome === 'miss' ? { ...value, outcome: 'joined' } : value;
  }

  /**
   * HEAD first: on Docker Hub it costs nothing. The record moves only once the manifest it names is stored, so that a
   * limit or an outage between the two requests leaves the old answer whole.
   */
  async #revalidate(
    source: Source,
    tag: string,
    { cached, bound }: { cached: Cached | undefined; bound: AbortSignal },
  ): Promise<ManifestAnswer | undefined> {
    const { records, disk, stopping } = this.#options;
    const { upstream, repository } = source;
    const resolution = await upstream.resolve(repository.path, { tag }, AbortSignal.any([stopping, bound]));
    const answer = resolution && (await this.#bring(source, resolution, { cached, bound }));
    tryToRemember(disk, () => {
      if (answer) records.putTag(repository, tag, { digest: answer.manifest.descriptor.digest, checkedAt: Date.now() });
      else records.deleteTag(repository, tag);
    });
    return answer;
  }

  async #bring(
    source: Source,
    resolution: Resolution,
    { cached, bound }: { cached: Cached | undefined; bound: AbortSignal },
  ): Promise<ManifestAnswer | undefined> {
    const { manifests } = this.#options;
    const { digest } = resolution.descriptor;
    if (cached?.record.digest === digest) return { ...cached.answer, outcome: 'revalidated' };
    if (resolution.manifest) {
      await manifests.store(source.repository, resolution.manifest);
      return { manifest: resolution.manifest, outcome: 'miss' };
    }
    const stored = await manifests.stored(digest);
    if (stored) {
      await manifests.store(source.repository, stored);
      return { manifest: stored, outcome: 'revalidated' };
    }
    const manifest = await manifests.fetch(source, { digest }, bound);
    return manifest && { manifest, outcome: 'miss' };
  }
}

/** A record from the future is not believed: a clock that jumped back must not make a tag eternal. */
function isWithin({ checkedAt }: TagRecord, windowMs: number): boolean {
  const age = Date.now() - checkedAt;
  return age >= 0 && age < windowMs;
}
