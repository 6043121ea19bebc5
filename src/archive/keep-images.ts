// Images that are proven: from where they arrived into the store and the index, all of them or none.
import { open } from 'node:fs/promises';
import type { Absences } from '../mirror/absences.ts';
import { addOrigin } from '../mirror/links.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Manifest, manifestChildren } from '../oci/manifest.ts';
import { isManifestType } from '../oci/media-types.ts';
import type { Repository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Records } from '../store/records.ts';
import type { Arrived } from './arrivals.ts';
import type { NamedFind } from './name-images.ts';

export interface KeepImagesOptions {
  readonly store: Pick<BlobStore, 'commit' | 'put' | 'remove'>;
  readonly records: Records;
  readonly absences: Pick<Absences, 'delete'>;
  readonly signal: AbortSignal;
}

/** A blob or a manifest, and everybody who is to have it. */
interface Piece {
  readonly descriptor: Descriptor;
  readonly from: Arrived | Manifest;
  readonly repositories: Repository[];
}

/** Some ten statements each: a turn of this many holds nobody up. */
const turnSize = 32;

/** Rejects with nothing of it kept but what rested here before. */
export async function keepImages(images: readonly NamedFind[], options: KeepImagesOptions): Promise<void> {
  await new Keeping(options).run(images);
}

class Keeping {
  readonly #options: KeepImagesOptions;
  /** That did not rest here before, or was not proven. */
  readonly #brought = new Set<Digest>();

  constructor(options: KeepImagesOptions) {
    this.#options = options;
  }

  /**
   * What nobody asks for yet goes first, in turns. What rests here already may be evicted meanwhile, so it is looked at
   * again in the last turn, in which the repositories get it and the tags are set: whoever reads them finds all of it.
   */
  async run(images: readonly NamedFind[]): Promise<void> {
    const { records, signal } = this.#options;
    const pieces = [...piecesOf(images).values()];
    try {
      for (let at = 0; at < pieces.length; at += turnSize) await this.#bring(pieces.slice(at, at + turnSize));
      for (let lost = this.#lost(pieces); lost.length > 0; lost = this.#lost(pieces)) await this.#bring(lost);
      signal.throwIfAborted();
      const known = pieces.filter(({ descriptor }) => !this.#brought.has(descriptor.digest));
      records.batch(() => {
        for (const piece of known) this.#record(piece);
        for (const image of images) this.#name(image);
      });
      this.#appear(images);
    } catch (error) {
      await this.#undo();
      throw error;
    }
  }

  #lost(pieces: readonly Piece[]): Piece[] {
    return pieces.filter(({ descriptor }) => !this.#rests(descriptor.digest));
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
      if (this.#brought.has(piece.descriptor.digest))
        throw new Error(
          `${piece.descriptor.digest} had to make room for others while it was taken in; give the cache more room`,
        );
      this.#brought.add(piece.descriptor.digest);
      await this.#store(piece);
    }
    records.batch(() => {
      for (const piece of coming) this.#record(piece);
    });
    for (const { from } of coming) if ('path' in from) from.reservation.release();
    await new Promise((resolve) => setImmediate(resolve));
  }

  async #store({ descriptor, from }: Piece): Promise<void> {
    const { store } = this.#options;
    if (!('path' in from)) return store.put(descriptor.digest, from.bytes);
    const file = await open(from.path);
    try {
      await store.commit(descriptor.digest, file, from.path);
    } finally {
      await file.close();
    }
  }

  #record({ descriptor, repositories }: Piece): void {
    const { records } = this.#options;
    const { digest, size, mediaType } = descriptor;
    const known = records.blob(digest);
    const type = isManifestType(mediaType) ? (known?.mediaType ?? mediaType) : known?.mediaType;
    if (!known?.proven || known.mediaType !== type) records.putBlob(digest, size, type);
    for (const repository of repositories) {
      if (!records.link(repository, digest)?.proven) records.proveLink(repository, descriptor);
      addOrigin(records, repository, digest);
    }
  }

  #name({ found, repository, reference }: NamedFind): void {
    const { records } = this.#options;
    records.addLinks(
      repository,
      found.named.filter(({ digest }) => !records.link(repository, digest)),
    );
    for (const { bytes, descriptor } of found.manifests) {
      const { subject } = manifestChildren(bytes, descriptor.mediaType);
      if (subject) records.addReferrer(repository, subject, descriptor.digest);
    }
    if ('tag' in reference) records.putTag(repository, reference.tag, { digest: found.digest, checkedAt: Date.now() });
  }

  /** Its registry may have said that it has none of it. */
  #appear(images: readonly NamedFind[]): void {
    const { absences } = this.#options;
    for (const { found, repository, reference } of images) {
      absences.delete(repository, reference);
      absences.delete(repository, 'tags');
      for (const { descriptor } of found.manifests) absences.delete(repository, { digest: descriptor.digest });
    }
  }

  async #undo(): Promise<void> {
    const { records, store } = this.#options;
    for (const digest of this.#brought) {
      try {
        records.deleteBlob(digest);
        await store.remove(digest);
      } catch {
        // The disk or the index refuses, which is why we are here: what stays can be evicted, and no tag means it.
      }
    }
  }
}

/** Blobs first: what is somebody's blob may be a manifest as well, and is one then. */
function piecesOf(images: readonly NamedFind[]): ReadonlyMap<Digest, Piece> {
  const pieces = new Map<Digest, Piece>();
  const add = (repository: Repository, descriptor: Descriptor, from: Piece['from']) => {
    const known = pieces.get(descriptor.digest);
    const isBetter = !known || isManifestType(descriptor.mediaType);
    const repositories = known?.repositories ?? [];
    if (!repositories.includes(repository)) repositories.push(repository);
    pieces.set(descriptor.digest, isBetter ? { descriptor, from, repositories } : known);
  };
  for (const { found, repository } of images)
    for (const { descriptor, file } of found.blobs) add(repository, descriptor, file);
  for (const { found, repository } of images)
    for (const manifest of found.manifests) add(repository, manifest.descriptor, manifest);
  return pieces;
}
