// What a tag means: remembered for a while, confirmed by HEAD after that, and believed longer while nobody can be asked.
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Disk } from '../store/disk.ts';
import type { Records, TagRecord } from '../store/records.ts';
import { abandonable } from '../upstream/abandonable.ts';
import { isUpstreamFault, type Resolution, type TagPage, type TagQuery, UpstreamError } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Absences } from './absences.ts';
import type { Completeness } from './completeness.ts';
import { tryToRemember } from './links.ts';
import type { ManifestAnswer, Manifests } from './manifests.ts';
import { repositoryKey } from './repository-key.ts';
import { Setbacks } from './setbacks.ts';
import { SingleFlight } from './single-flight.ts';
import type { TagPolicy } from './tag-policy.ts';

export interface TagsOptions {
  readonly records: Records;
  readonly disk: Pick<Disk, 'report'>;
  readonly manifests: Manifests;
  readonly completeness: Pick<Completeness, 'isWhole'>;
  readonly absences: Absences;
  readonly policy: TagPolicy;
  readonly stopping: AbortSignal;
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
  readonly #setbacks = new Setbacks();

  constructor(options: TagsOptions) {
    this.#options = options;
  }

  /** `undefined` when the upstream proved that there is no such tag. */
  async get(source: Source, tag: string, signal: AbortSignal): Promise<ManifestAnswer | undefined> {
    const { records, policy, absences } = this.#options;
    const { repository } = source;
    const cached = await this.#cached(source, tag);
    if (!cached && absences.has(repository, { tag })) return undefined;
    if (!cached) return this.#ask(source, tag, undefined, signal);

    const overdueMs = this.#overdueMs(source, tag, cached.record);
    if (overdueMs < 0) return cached.answer;
    const times = policy.times(repository, tag);
    // Somebody else's question may have been answered while the manifest was read here.
    const now = records.tag(repository, tag);
    if (now && now.checkedAt > cached.record.checkedAt && ageOf(now) >= 0) return this.get(source, tag, signal);
    if (overdueMs < times.staleWhileRevalidateMs) {
      // Who pulls next hears of it, should it fail for longer.
      if (!this.#setbacks.reason(keyOf(source, tag))) void this.#ask(source, tag, cached, signal).catch(() => {});
      return cached.answer;
    }
    if (overdueMs >= times.staleIfErrorMs) return this.#ask(source, tag, cached, signal);
    return this.#confirmed(source, tag, cached, signal);
  }

  /** Whether the tag means this digest and is believed without a question. One from the future has to be dated anew. */
  isBelieved(source: Source, tag: string, digest: Digest): boolean {
    const record = this.#options.records.tag(source.repository, tag);
    return record?.digest === digest && ageOf(record) >= 0 && this.#overdueMs(source, tag, record) < 0;
  }

  /** What the tag meant last, however old, if its manifest is still here. Asks nobody. */
  async last(source: Source, tag: string): Promise<Manifest | undefined> {
    return (await this.#cached(source, tag))?.answer.manifest;
  }

  /**
   * What the tag meant before it moved, if all of that is here: for when what it means now is not, and `reason` keeps it
   * from being fetched. `undefined` also past the time that an old answer may be used.
   */
  async earlier(source: Source, tag: string, reason: unknown): Promise<ManifestAnswer | undefined> {
    const { records, manifests, completeness, policy, onStale } = this.#options;
    const { repository } = source;
    const record = records.tag(repository, tag);
    const { staleIfErrorMs } = policy.times(repository, tag);
    if (!record?.earlier || this.#overdueMs(source, tag, record) >= staleIfErrorMs) return undefined;
    const manifest = await manifests.stored(repository, record.earlier);
    if (!manifest || !(await completeness.isWhole(repository, manifest))) return undefined;
    onStale(source, tag, reason);
    return { manifest, outcome: 'stale' };
  }

  /** From the upstream; from the cache, which may know fewer, when the upstream cannot be asked, or not in time. */
  async list({ upstream, repository }: Source, page: TagQuery, signal: AbortSignal): Promise<TagPage | undefined> {
    const { records, absences, policy } = this.#options;
    const tags = records.tags(repository, page.n + 1, page.last);
    // What begins behind the last of them is the end of the list.
    const isCached = tags.length > 0 || records.tags(repository, 1).length > 0;
    if (!isCached && absences.has(repository, 'tags')) return undefined;
    const patience = isCached ? within(policy.usual.revalidateTimeoutMs, signal) : signal;
    try {
      const listed = await abandonable(upstream.listTags(repository.path, page, signal), patience);
      if (!listed) absences.add(repository, 'tags');
      return listed;
    } catch (error) {
      if (!isUpstreamFault(error) || !isCached) throw error;
      const shown = tags.slice(0, page.n);
      return { tags: shown, last: tags.length > page.n ? shown.at(-1) : undefined };
    }
  }

  /** Nobody waits longer than `revalidateTimeout` for a revalidation, nor for one that somebody else has waited for. */
  async #confirmed(
    source: Source,
    tag: string,
    cached: Cached,
    signal: AbortSignal,
  ): Promise<ManifestAnswer | undefined> {
    const { policy, onStale } = this.#options;
    const key = keyOf(source, tag);
    const { revalidateTimeoutMs } = policy.times(source.repository, tag);
    const leftMs = Math.max(0, Math.ceil(revalidateTimeoutMs - this.#asking.ageMs(key)));
    let reason = this.#setbacks.reason(key);
    try {
      if (!reason) return await this.#ask(source, tag, cached, within(leftMs, signal));
    } catch (error) {
      if (!isUpstreamFault(error)) throw error;
      reason = error;
    }
    onStale(source, tag, reason);
    return { ...cached.answer, outcome: 'stale' };
  }

  /** Past its ttl by so much; below 0 while it is believed. */
  #overdueMs({ repository, upstream }: Source, tag: string, record: TagRecord): number {
    return ageOf(record) - this.#options.policy.times(repository, tag).ttlMs * upstream.thrift;
  }

  /** The tag with its manifest, both still here. The record alone is worth nothing to a client. */
  async #cached(source: Source, tag: string): Promise<Cached | undefined> {
    const { records, manifests } = this.#options;
    const record = this.#believable(source, tag, records.tag(source.repository, tag));
    const manifest = record && (await manifests.stored(source.repository, record.digest));
    return manifest && { record, answer: { manifest, outcome: 'hit' } };
  }

  /**
   * A record from the future: the clock jumped back. It is not believed, so that a jump makes no tag eternal, and begins
   * to be stale now, so that it can stand in for an upstream as long as any other.
   */
  #believable({ repository, upstream }: Source, tag: string, record: TagRecord | undefined): TagRecord | undefined {
    const { records, disk, policy } = this.#options;
    if (!record || ageOf(record) >= 0) return record;
    const ttlMs = policy.times(repository, tag).ttlMs * upstream.thrift;
    if (ttlMs === Number.POSITIVE_INFINITY) return record;
    const dated = { ...record, checkedAt: Date.now() - Math.ceil(ttlMs) };
    tryToRemember(disk, () => records.putTag(repository, tag, dated));
    return dated;
  }

  async #ask(
    source: Source,
    tag: string,
    cached: Cached | undefined,
    signal: AbortSignal,
  ): Promise<ManifestAnswer | undefined> {
    const key = keyOf(source, tag);
    const { value, joined } = await this.#asking.do(key, signal, async (bound) => {
      try {
        const answer = await this.#revalidate(source, tag, { cached, bound });
        this.#setbacks.delete(key);
        return answer;
      } catch (error) {
        const { ttlMs } = this.#options.policy.times(source.repository, tag);
        if (cached && isUpstreamFault(error)) this.#setbacks.add(key, error, ttlMs);
        throw error;
      }
    });
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
    const { records, disk, absences, stopping } = this.#options;
    const { upstream, repository } = source;
    const resolution = await upstream.resolve(repository.path, { tag }, AbortSignal.any([stopping, bound]));
    const answer = resolution && (await this.#bring(source, resolution, { cached, bound }));
    if (!answer) absences.add(repository, { tag });
    const digest = answer?.manifest.descriptor.digest;
    const earlier = digest && cached && (await this.#earlier(source, digest, cached));
    tryToRemember(disk, () => {
      if (digest) records.putTag(repository, tag, { digest, checkedAt: Date.now(), earlier });
      else records.deleteTag(repository, tag);
    });
    return answer;
  }

  /** Whoever only looked at what a tag means now must not cost others the image that they have. */
  async #earlier({ repository }: Source, digest: Digest, { record, answer }: Cached): Promise<Digest | undefined> {
    if (record.digest === digest) return record.earlier;
    const isWhole = await this.#options.completeness.isWhole(repository, answer.manifest);
    return isWhole ? record.digest : record.earlier;
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
    const stored = await manifests.stored(source.repository, digest);
    if (stored) {
      const manifest = manifests.link(source.repository, stored, resolution.descriptor);
      return { manifest, outcome: 'revalidated' };
    }
    const answer = await manifests.ask(source, digest, undefined, bound);
    if (answer) return answer;
    // That the tag is gone is proven by its own 404 alone.
    const { name } = source.upstream;
    throw new UpstreamError('protocol', `upstream ${name} says that a tag means ${digest}, and has no such manifest`);
  }
}

function keyOf({ repository }: Source, tag: string): string {
  return `${repositoryKey(repository)}:${tag}`;
}

function ageOf({ checkedAt }: TagRecord): number {
  return Date.now() - checkedAt;
}

function within(ms: number, signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}
