// Blobs for repositories: from the store, from a running fill, from a new one, or past the disk.
import type { Log } from '../observe/log.ts';
import type { WantedRange } from '../oci/byte-range.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Repository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Content } from '../store/content.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import type { Spool } from '../store/spool.ts';
import { abandonable } from '../upstream/abandonable.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Absences } from './absences.ts';
import { type BringOptions, type Brought, bringBlob } from './bring-blob.ts';
import type { Fill } from './fill.ts';
import { goesOnPastDisk } from './fill-failure.ts';
import type { Fills } from './fills.ts';
import { isOfRegistry, lookUp } from './here.ts';
import type { Lasting } from './lasting.ts';
import { addOrigin, linkBlob, type MayUse, tryToRemember } from './links.ts';
import type { Outcome } from './outcome.ts';
import { openPastDisk, SpooledContent } from './past-disk.ts';
import { proveBlob } from './prove-blob.ts';
import { repositoryKey } from './repository-key.ts';
import type { Siblings } from './siblings.ts';

export interface BlobAnswer {
  /** The caller closes it. */
  readonly content: Content;
  readonly outcome: Outcome;
  /** Of a hit. */
  readonly lasting?: Lasting;
}

export interface BlobStat {
  readonly size: number;
  readonly outcome: Outcome;
  /** Of a hit; to tell its size is no use of it. */
  readonly lasting?: Lasting;
}

export interface BlobsOptions {
  readonly store: BlobStore;
  readonly records: Records;
  readonly mayUse: MayUse;
  readonly fills: Fills;
  readonly absences: Absences;
  readonly disk: Pick<Disk, 'problem' | 'report'>;
  /** `undefined`: blobs are fetched as they are asked for. */
  readonly siblings: Siblings | undefined;
  readonly log: Log;
}

interface BlobWish {
  readonly source: Source;
  readonly digest: Digest;
  /** What the caller will read of it, so that this part can come first. */
  readonly wanted: WantedRange;
}

/** Every call: `undefined` when it is proven not to exist, an error when nobody could tell. */
export class Blobs {
  readonly #options: BlobsOptions;

  constructor(options: BlobsOptions) {
    this.#options = options;
  }

  /** Starts a fill when there is neither a stored blob nor a running fill; the content may still be arriving. */
  async open(wish: BlobWish, signal: AbortSignal): Promise<BlobAnswer | undefined> {
    const { records, store, fills, disk, absences } = this.#options;
    const { source, digest } = wish;
    // The upstream's word counts even where it cannot be written down.
    let isProven = false;
    // Each round decides on what is true in one turn; whatever it waits for may change that, so it looks again.
    for (;;) {
      const { stored, running, size, isManifest, isToProve } = lookUp(this.#options, source, digest);
      if (isManifest) return undefined;
      // What another registry is sending is neither as fast as this one's nor proven yet.
      const isForeign = running !== undefined && !isOfRegistry(running, source);
      if (!stored && !running) {
        if (absences.has(source.repository, { blob: digest })) return undefined;
        if (disk.problem !== undefined) return this.#pass(wish, signal);
        const fill = fills.start(source, digest, { size, from: wish.wanted.start });
        const answer = await this.#read(fill, wish, 'miss', signal);
        if (answer !== 'ended') return answer;
      } else if (isForeign && !fills.givesWay(running, source)) {
        return this.#pass(wish, signal);
      } else if (!isProven && isToProve) {
        if ((await proveBlob(this.#options, source, { digest, signal })) === undefined) return undefined;
        isProven = true;
      } else if (stored) {
        // Before anything is open that a fault would leave open.
        records.touch(stored.id);
        const content = await store.open(digest, stored.size);
        if (content) return { content, outcome: 'hit', lasting: this.#lasting(source, digest, stored.size) };
        this.#forget(digest);
      } else if (isForeign) {
        // The next round begins this registry's own in the same turn.
        running.yield();
      } else if (running) {
        const answer = await this.#read(running, wish, 'joined', signal);
        if (answer !== 'ended') return answer;
      }
    }
  }

  /** Never fills: what is not here is asked for by its first byte. */
  async stat(source: Source, digest: Digest, signal: AbortSignal): Promise<BlobStat | undefined> {
    const { store } = this.#options;
    const { stored, running, isManifest, isToProve } = lookUp(this.#options, source, digest);
    if (isManifest) return undefined;
    if (!isToProve) {
      // Whoever comes next, for its size or its bytes, finds it open.
      const content = stored && (await store.open(digest, stored.size));
      if (content) {
        await content.close();
        return { size: content.size, outcome: 'hit', lasting: this.#lasting(source, digest, content.size) };
      }
      // What another repository's upstream refuses is no answer here, nor is a fill that nobody waits for, which may be
      // long in coming: the proof below asks this one's.
      const isOwn = running?.isWanted && isOfRegistry(running, source);
      const spool = isOwn ? await abandonable(openedOrNot(running), signal) : undefined;
      if (spool) return { size: spool.size, outcome: 'joined' };
    }
    const size = await proveBlob(this.#options, source, { digest, signal });
    return size === undefined ? undefined : { size, outcome: 'miss' };
  }

  /** Until it is stored, for who wants it here and reads nothing of it; `Brought` says how it came. */
  bring(source: Source, blob: Omit<Descriptor, 'mediaType'>, options: BringOptions): Promise<Brought | undefined> {
    return bringBlob(this.#options, { source, ...blob }, options);
  }

  /** What `open` goes by, looked at again. */
  #lasting(source: Source, digest: Digest, size: number): Lasting {
    const { records, store } = this.#options;
    return {
      holds: () => {
        const { stored, isManifest, isToProve } = lookUp(this.#options, source, digest);
        return stored?.size === size && !isManifest && !isToProve;
      },
      used: () => records.touchBlob(digest),
      body: () => store.remembered(digest) ?? store.openNow(digest, size),
    };
  }

  /** `ended`: it came to its end before there was anything to read; what is true now has to be looked at. */
  async #read(
    fill: Fill,
    wish: BlobWish,
    outcome: Outcome,
    signal: AbortSignal,
  ): Promise<BlobAnswer | undefined | 'ended'> {
    const { fills, absences } = this.#options;
    const { source, digest } = wish;
    // What another repository's upstream says, a refusal or nothing, is no answer to this one.
    const isOwn = isOfRepository(fill, source.repository);
    using reading = new DisposableStack();
    reading.defer(fill.enter());
    this.#startSiblings(source, digest);
    try {
      const spool = await abandonable(fill.opened, signal);
      if (!spool) absences.add(fill.source.repository, { blob: digest });
      if (!spool && isOwn) return undefined;
      const spooled = spool?.read();
      if (!spooled) return 'ended';
      const { onResume } = fills.reports(source, digest);
      const kept = reading.move();
      const content = new SpooledContent(spooled, { ...wish, onResume, onClosed: () => kept.dispose() });
      return { content, outcome };
    } catch (error) {
      if (goesOnPastDisk(error)) return this.#pass(wish, signal);
      if (isOwn || signal.aborted) throw error;
      return 'ended';
    }
  }

  async #pass(wish: BlobWish, signal: AbortSignal): Promise<BlobAnswer | undefined> {
    const { fills, absences, records, disk } = this.#options;
    const { repository } = wish.source;
    const { digest } = wish;
    if (absences.has(repository, { blob: digest })) return undefined;
    const { onResume } = fills.reports(wish.source, digest);
    const link = ({ size }: Content) => linkBlob(records, repository, { digest, size });
    const onProven = () =>
      tryToRemember(disk, () => {
        if (content) link(content);
        addOrigin(records, repository, digest);
      });
    const content = await openPastDisk({ ...wish, onResume, onProven }, signal);
    if (!content) absences.add(repository, { blob: digest });
    // What rests here from elsewhere is this repository's only once it has come from here too, to the last byte.
    else if (!records.blob(digest)) tryToRemember(disk, () => link(content));
    return content && { content, outcome: 'miss' };
  }

  /** The first blob of an image that is asked for brings the others, behind everything that somebody waits for. */
  #startSiblings(source: Source, digest: Digest): void {
    const { fills, siblings, disk } = this.#options;
    if (disk.problem !== undefined) return;
    for (const sibling of siblings?.take(source.repository, digest) ?? [])
      if (!this.#isSpared(source, sibling.digest)) fills.startSibling(source, sibling.digest, sibling.size);
  }

  /** What is here, or arriving, or lies here to be believed when somebody asks for it. */
  #isSpared(source: Source, digest: Digest): boolean {
    const { records, fills } = this.#options;
    if (fills.find(digest) || records.blob(digest)?.proven === false) return true;
    return lookUp(this.#options, source, digest).stored !== undefined;
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

function isOfRepository(fill: Fill, repository: Repository): boolean {
  return repositoryKey(fill.source.repository) === repositoryKey(repository);
}
