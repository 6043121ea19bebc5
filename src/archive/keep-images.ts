// Images that are proven: from where they arrived into the store and the index, all of them or none.
import { open } from 'node:fs/promises';
import { setImmediate as othersTurn } from 'node:timers/promises';
import type { Absences } from '../mirror/absences.ts';
import type { Evictor } from '../mirror/evictor.ts';
import type { Fills } from '../mirror/fills.ts';
import { addOrigin } from '../mirror/links.ts';
import type { Pins } from '../mirror/pins.ts';
import type { Digest } from '../oci/digest.ts';
import { isManifestType } from '../oci/media-types.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Records } from '../store/records.ts';
import { abandonable } from '../upstream/abandonable.ts';
import type { ImagesPlan, Piece, PlannedLink } from './plan-images.ts';

export interface KeepImagesOptions {
  readonly store: Pick<BlobStore, 'commit' | 'put'>;
  readonly records: Records;
  readonly evictor: Pick<Evictor, 'remove'>;
  readonly pins: Pick<Pins, 'isCurrent' | 'refresh' | 'isPinned'>;
  readonly fills: Pick<Fills, 'find'>;
  readonly absences: Pick<Absences, 'delete'>;
  readonly signal: AbortSignal;
}

/** Some ten statements each: a turn of this many holds nobody up. */
const turnSize = 32;
/** How often what was lost meanwhile is brought again. */
const mostRounds = 5;

const ends = new WeakMap<Records, Promise<unknown>>();

/** Rejects with nothing of it kept but what rested here before, and what somebody else has come to hold meanwhile. */
export async function keepImages(plan: ImagesPlan, options: KeepImagesOptions): Promise<void> {
  const { records, signal } = options;
  // One after the other: what one takes back must not be what another counts on.
  const before = ends.get(records) ?? Promise.resolve();
  const { promise: end, resolve: ended } = Promise.withResolvers<void>();
  ends.set(
    records,
    before.then(() => end),
  );
  try {
    await abandonable(before, signal);
    await new Keeping(options).run(plan);
  } finally {
    ended();
  }
}

class Keeping {
  readonly #options: KeepImagesOptions;
  /** That did not rest here before, or was not proven. */
  readonly #brought = new Set<Digest>();

  constructor(options: KeepImagesOptions) {
    this.#options = options;
  }

  /**
   * The bytes go first, in turns, and are nobody's yet. Whatever rests here may leave meanwhile, so all of it is looked at
   * again in the last turn, in which the repositories get it and the tags are set: whoever reads them finds all of it.
   */
  async run(plan: ImagesPlan): Promise<void> {
    const { signal } = this.#options;
    try {
      let coming = plan.pieces;
      for (let round = 0; coming.length > 0; round++) {
        if (round > mostRounds) throw leftError(coming[0]);
        for (let at = 0; at < coming.length; at += turnSize) await this.#bring(coming.slice(at, at + turnSize));
        signal.throwIfAborted();
        coming = this.#settle(plan);
      }
    } catch (error) {
      await this.#undo();
      throw error;
    }
    this.#appear(plan);
  }

  /** Either nothing was missing and all of it is in the index, or it tells what is to be brought again. */
  #settle({ pieces, links, referrers, images }: ImagesPlan): readonly Piece[] {
    const { records } = this.#options;
    return records.batch(() => {
      const lost = pieces.filter(({ descriptor }) => !this.#rests(descriptor.digest));
      if (lost.length > 0) return lost;
      for (const { descriptor } of pieces) this.#tellType(descriptor);
      for (const link of links) this.#link(link);
      for (const { repository, subject, digest } of referrers) records.addReferrer(repository, subject, digest);
      const checkedAt = Date.now();
      for (const { found, repository, reference } of images)
        if ('tag' in reference) records.putTag(repository, reference.tag, { digest: found.digest, checkedAt });
      return [];
    });
  }

  #rests(digest: Digest): boolean {
    return this.#options.records.blob(digest)?.proven === true;
  }

  async #bring(pieces: readonly Piece[]): Promise<void> {
    const { records, signal } = this.#options;
    const coming: Piece[] = [];
    for (const piece of pieces) {
      signal.throwIfAborted();
      if (this.#rests(piece.descriptor.digest)) records.touchBlob(piece.descriptor.digest);
      else coming.push(piece);
    }
    for (const piece of coming) {
      signal.throwIfAborted();
      await this.#store(piece);
    }
    records.batch(() => {
      for (const { descriptor } of coming) this.#put(descriptor);
    });
    for (const { from } of coming) if ('path' in from) from.reservation.release();
    await othersTurn();
  }

  async #store(piece: Piece): Promise<void> {
    const { store } = this.#options;
    const { descriptor, from } = piece;
    const isAgain = this.#brought.has(descriptor.digest);
    this.#brought.add(descriptor.digest);
    if (!('path' in from)) return store.put(descriptor.digest, from.bytes);
    // Its file went into the store, and with it.
    if (isAgain) throw leftError(piece);
    const file = await open(from.path);
    try {
      await store.commit(descriptor.digest, file, from.path);
    } finally {
      await file.close();
    }
  }

  #put({ digest, size, mediaType }: Piece['descriptor']): void {
    const { records } = this.#options;
    const known = records.blob(digest)?.mediaType;
    records.putBlob(digest, size, isManifestType(mediaType) ? (known ?? mediaType) : known);
  }

  /** What rested here as a blob may be a manifest as well. */
  #tellType(descriptor: Piece['descriptor']): void {
    const isUntold = this.#options.records.blob(descriptor.digest)?.mediaType === undefined;
    if (isUntold && isManifestType(descriptor.mediaType)) this.#put(descriptor);
  }

  #link({ repository, descriptor, isHere }: PlannedLink): void {
    const { records } = this.#options;
    const known = records.link(repository, descriptor.digest);
    if (isHere && !known?.proven) records.proveLink(repository, descriptor);
    else if (!known) records.addLinks(repository, [descriptor]);
    if (isHere) addOrigin(records, repository, descriptor.digest);
  }

  /** Its registry may have said that it has none of it. */
  #appear({ images, links }: ImagesPlan): void {
    const { absences } = this.#options;
    for (const { repository, reference } of images) {
      absences.delete(repository, reference);
      absences.delete(repository, 'tags');
    }
    for (const { repository, descriptor, isHere } of links)
      if (isHere) absences.delete(repository, { digest: descriptor.digest });
  }

  async #undo(): Promise<void> {
    const brought = [...this.#brought];
    for (let at = 0; at < brought.length; at += turnSize)
      await this.#takeBack(brought.slice(at, at + turnSize)).catch(() => {
        // The disk or the index refuses, which is why we are here: what stays can be evicted, and nobody has it.
      });
  }

  async #takeBack(digests: readonly Digest[]): Promise<void> {
    const { records, evictor, pins, fills } = this.#options;
    while (!pins.isCurrent) await pins.refresh();
    // From here to the removal it is one turn: nobody can come to hold what is about to go.
    const gone = digests.filter(
      (digest) => !pins.isPinned(digest) && !fills.find(digest) && records.holders(digest, 1).length === 0,
    );
    await evictor.remove(gone.map((digest) => ({ digest, size: records.blob(digest)?.size ?? 0 })));
  }
}

function leftError(piece: Piece | undefined): Error {
  return new Error(
    `${piece?.descriptor.digest} left the cache meanwhile: it was purged, or had to make room for others; import it again`,
  );
}
