// The cache as its doors see it: pulls for repositories, answered from the store, a running fill, or the upstream.
import type { Log } from '../observe/log.ts';
import { type WantedRange, wantedRange } from '../oci/byte-range.ts';
import type { Digest } from '../oci/digest.ts';
import type { Reference } from '../oci/reference.ts';
import type { Repository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Content } from '../store/content.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import type { Spool } from '../store/spool.ts';
import { abandonable } from '../upstream/abandonable.ts';
import { isUpstreamFault, type TagPage, type TagQuery } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Absences } from './absences.ts';
import type { Completeness } from './completeness.ts';
import type { Fill } from './fill.ts';
import { isForTheDisk } from './fill-failure.ts';
import type { Fills } from './fills.ts';
import { isManifestHere, linkBlob, tryToRemember } from './links.ts';
import type { ManifestAnswer, Manifests } from './manifests.ts';
import type { Outcome } from './outcome.ts';
import { openPastDisk, SpooledContent } from './past-disk.ts';
import type { Referrers } from './referrers.ts';
import type { Siblings } from './siblings.ts';
import type { Tags } from './tags.ts';

export interface BlobAnswer {
  /** The caller closes it. */
  readonly content: Content;
  readonly outcome: Outcome;
}

export interface BlobStat {
  readonly size: number;
  readonly outcome: Outcome;
}

export interface MirrorOptions {
  readonly store: BlobStore;
  readonly records: Records;
  readonly manifests: Manifests;
  readonly tags: Tags;
  readonly fills: Fills;
  readonly referrers: Referrers;
  readonly absences: Absences;
  readonly completeness: Pick<Completeness, 'holds'>;
  readonly disk: Pick<Disk, 'problem' | 'report'>;
  /** `undefined`: blobs are fetched as they are asked for. */
  readonly siblings: Siblings | undefined;
  readonly log: Log;
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
    return answer;
  }

  /** What the upstream has just given or confirmed, it has; what comes from here alone may be here in part. */
  async #usable(
    source: Source,
    reference: Reference,
    found: ManifestAnswer,
    signal: AbortSignal,
  ): Promise<ManifestAnswer | undefined> {
    const { tags, completeness } = this.#options;
    if (found.outcome !== 'hit' && found.outcome !== 'stale') return found;
    try {
      return (await completeness.holds(source, found.manifest, signal)) ? found : undefined;
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

  /**
   * Starts a fill when there is neither a stored blob nor a running fill; the content may still be arriving. `wanted` is
   * what the caller will read of it, so that this part can come first.
   */
  async openBlob(
    source: Source,
    digest: Digest,
    signal: AbortSignal,
    wanted: WantedRange = wantedRange(undefined),
  ): Promise<BlobAnswer | undefined> {
    const { records, store, fills, disk, absences } = this.#options;
    const { repository } = source;
    if (isManifestHere(records, repository, digest)) return undefined;
    // The upstream's word counts even where it cannot be written down.
    let isProven = false;
    // Each round decides on what is true in one turn; whatever it waits for may change that, so it looks again.
    for (;;) {
      const record = records.blob(digest);
      const stored = record?.proven ? record : undefined;
      const running = fills.find(digest);
      if (!stored && !running) {
        if (absences.has(repository, { blob: digest })) return undefined;
        if (disk.problem !== undefined) return this.#pass(source, digest, wanted, signal);
        const size = records.link(repository, digest)?.size;
        const fill = fills.start(source, digest, { size, from: wanted.start });
        this.#startSiblings(source, digest);
        const spool = await this.#opened(fill, digest, signal);
        if (spool === 'no room') return this.#pass(source, digest, wanted, signal);
        if (!spool) return undefined;
        const content = spool.read();
        if (content) return this.#spooled(content, 'miss', source, digest, wanted);
      } else if (!isProven && !this.#mayHave(source, digest, running)) {
        if ((await this.#prove(source, digest, signal)) === undefined) return undefined;
        isProven = true;
      } else if (stored) {
        const content = await store.open(digest, stored.size);
        if (content) {
          records.touch(stored.id);
          return { content, outcome: 'hit' };
        }
        this.#forget(digest);
      } else if (running) {
        fills.want(running);
        this.#startSiblings(source, digest);
        const isOurs = isSame(running.source.repository, repository);
        // What another repository's upstream says, a refusal or nothing, is no answer to this one.
        const spool = await this.#opened(running, digest, signal).catch((error: unknown) => {
          if (isOurs || signal.aborted) throw error;
          return undefined;
        });
        if (spool === 'no room') return this.#pass(source, digest, wanted, signal);
        if (!spool && isOurs) return undefined;
        const content = spool?.read();
        if (content) return this.#spooled(content, 'joined', source, digest, wanted);
      }
    }
  }

  /** Never fills: what is not here is asked for by its first byte. */
  async statBlob(source: Source, digest: Digest, signal: AbortSignal): Promise<BlobStat | undefined> {
    const { records, store, fills } = this.#options;
    if (isManifestHere(records, source.repository, digest)) return undefined;
    const running = fills.find(digest);
    const record = records.blob(digest);
    const stored = record?.proven ? record : undefined;
    if (this.#mayHave(source, digest, running)) {
      if (stored && (await store.has(digest, stored.size))) return { size: stored.size, outcome: 'hit' };
      // What another repository's upstream refuses is no answer here, nor is a fill that nobody waits for, which may be
      // long in coming: the proof below asks this one's.
      const spool = running?.isWanted ? await abandonable(openedOrNot(running), signal) : undefined;
      if (spool) return { size: spool.size, outcome: 'joined' };
    }
    const size = await this.#prove(source, digest, signal);
    return size === undefined ? undefined : { size, outcome: 'miss' };
  }

  /** By link, or because the fill in flight is this repository's own: its upstream is giving the blob right now. */
  #mayHave({ repository }: Source, digest: Digest, running: Fill | undefined): boolean {
    if (this.#options.records.link(repository, digest)) return true;
    return running !== undefined && isSame(running.source.repository, repository);
  }

  async #prove({ upstream, repository }: Source, digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    const { absences } = this.#options;
    if (absences.has(repository, { blob: digest })) return undefined;
    const size = await upstream.proveBlob(repository.path, digest, signal);
    if (size === undefined) absences.add(repository, { blob: digest });
    else this.#link(repository, digest, size);
    return size;
  }

  async #opened(fill: Fill, digest: Digest, signal: AbortSignal): Promise<Spool | 'no room' | undefined> {
    try {
      const spool = await abandonable(fill.opened, signal);
      if (!spool) this.#options.absences.add(fill.source.repository, { blob: digest });
      return spool;
    } catch (error) {
      if (isForTheDisk(error)) return 'no room';
      throw error;
    }
  }

  #spooled(spooled: Content, outcome: Outcome, source: Source, digest: Digest, wanted: WantedRange): BlobAnswer {
    const { onResume } = this.#options.fills.reports(source, digest);
    return { content: new SpooledContent(spooled, { source, digest, wanted, onResume }), outcome };
  }

  async #pass(
    source: Source,
    digest: Digest,
    wanted: WantedRange,
    signal: AbortSignal,
  ): Promise<BlobAnswer | undefined> {
    const { onResume } = this.#options.fills.reports(source, digest);
    const content = await openPastDisk({ source, digest, wanted, onResume }, signal);
    if (content) this.#link(source.repository, digest, content.size);
    else this.#options.absences.add(source.repository, { blob: digest });
    return content && { content, outcome: 'miss' };
  }

  /** The first blob of an image that is asked for brings the others, behind everything that somebody waits for. */
  #startSiblings(source: Source, digest: Digest): void {
    const { records, fills, siblings, disk } = this.#options;
    if (disk.problem !== undefined) return;
    for (const sibling of siblings?.take(source.repository, digest) ?? [])
      if (!records.blob(sibling.digest) && !fills.find(sibling.digest))
        fills.startSibling(source, sibling.digest, sibling.size);
  }

  #link(repository: Repository, digest: Digest, size: number): void {
    const { records, disk } = this.#options;
    tryToRemember(disk, () => linkBlob(records, repository, digest, size));
  }

  #forget(digest: Digest): void {
    this.#options.log.warn({ digest }, 'the file of a stored blob is gone or cut short; it will be fetched again');
    this.#options.records.deleteBlob(digest);
  }
}

/** For who only wants to know whether there is something to read. */
function openedOrNot(fill: Fill): Promise<Spool | undefined> {
  return fill.opened.catch(() => undefined);
}

function isSame(one: Repository, other: Repository): boolean {
  return one.registry === other.registry && one.path === other.path;
}
