// The embedded index: which blobs rest here and when each was last used, which repository holds which digest, what
// each tag meant last, and what is pinned.
import type { Digest } from '../oci/digest.ts';
import { IndexConnection } from './index-connection.ts';
import { salvagePins } from './index-file.ts';
import type { Use } from './least-recent.ts';
import { UsagePages } from './usage-pages.ts';
import { VerdictRecords } from './verdict-records.ts';

export type { ListedTag } from './listed-records.ts';
export type { Pin } from './pin-records.ts';
export type { Link, TagRecord, Watch } from './repository-records.ts';
export type { Verdict } from './verdict-records.ts';

export interface BlobRecord {
  /** For `touch`. Another blob may have it once this one is deleted. */
  readonly id: number;
  readonly size: number;
  /** Set on manifests only. */
  readonly mediaType: string | undefined;
  /** False for a file that was found on the disk: it may be served once somebody has hashed it. */
  readonly proven: boolean;
}

export interface StoredBlob extends BlobRecord {
  readonly digest: Digest;
}

export interface UsedBlob extends Use {
  readonly digest: Digest;
  readonly size: number;
}

export interface RecordsOptions {
  /** Without it a damaged index throws. With it the file is moved aside and a new one begun, at run time too. */
  readonly onDamaged?: ((why: string, movedTo: string) => void) | undefined;
  /** Last uses could not be written: nothing is lost yet, it is tried again. */
  readonly onFault?: ((error: unknown) => void) | undefined;
}

/** Every call is bounded and synchronous, so that a check and the act on it can share one turn. */
export class Records extends VerdictRecords {
  readonly #usage: UsagePages;
  readonly #blobs = this.memory<BlobRecord | undefined>();
  #renewed = Promise.withResolvers<void>();

  constructor(path: string, { onDamaged, onFault }: RecordsOptions = {}) {
    const index = new IndexConnection(path);
    super(index);
    this.#usage = new UsagePages(index, onFault);
    const load = () => {
      this.forgetAll();
      this.#usage.load();
      this.loadPins();
    };
    index.open(
      load,
      onDamaged &&
        ((why, movedTo) => {
          for (const { reference, ...repository } of salvagePins(movedTo)) this.pin(repository, reference);
          this.lost();
          onDamaged(why, movedTo);
          this.#renewed.resolve();
          this.#renewed = Promise.withResolvers();
        }),
    );
  }

  /** Whether it began empty: nothing was there, or nothing that could be read. */
  get isFresh(): boolean {
    return this.index.isFresh;
  }

  /** Resolves the next time that a damaged index is replaced by a new one: nothing on the disk has a record then. */
  get renewed(): Promise<void> {
    return this.#renewed.promise;
  }

  get totals(): { bytes: number; blobs: number } {
    return this.index.act(() => ({ ...(this.sql.totals.get() as { bytes: number; blobs: number }) }));
  }

  blob(digest: Digest): BlobRecord | undefined {
    return this.#blobs.recall(digest, '', () => {
      const row = this.index.act(() => this.sql.blob.get(digest));
      if (!row) return undefined;
      const { digest: _, ...record } = storedBlob(row);
      return record;
    });
  }

  /** Proven, and used now. Replaces what was known of the digest. */
  putBlob(digest: Digest, size: number, mediaType?: string): void {
    this.gained();
    this.batch(() => {
      const row = this.sql.blob.get(digest) as { id: number } | undefined;
      if (row) this.sql.replaceBlob.run(size, mediaType ?? null, row.id);
      else this.#addBlob(digest, size, mediaType ?? null, 1);
      if (row) this.touch(row.id);
      this.#blobs.forget(digest);
    });
  }

  /** For a file that no record knew; changes nothing if one does. `usedAt` in milliseconds of the epoch. */
  putUnproven(digest: Digest, size: number, usedAt: number): void {
    this.batch(() => {
      if (!this.sql.blob.get(digest)) this.#addBlob(digest, size, null, 0, usedAt);
      this.#blobs.forget(digest);
    });
  }

  prove(digest: Digest): void {
    this.gained();
    this.batch(() => {
      this.sql.prove.run(digest);
      this.#blobs.forget(digest);
    });
  }

  /** And which repositories have it, the tags that mean it, what it refers to, and where it came from. */
  deleteBlob(digest: Digest): void {
    this.batch(() => {
      const gone = this.sql.deleteBlob.get(digest) as { id: number } | undefined;
      if (!gone) return;
      this.deleteDigest(digest);
      this.#blobs.forget(digest);
      this.lost();
      this.#usage.forget(gone.id);
    });
  }

  /** In digest order, after `last`, which need not be whole: `sha256:ab` is before all that begin with it. */
  blobsAfter(last: string, limit: number): StoredBlob[] {
    return this.index.act(() => this.sql.blobsAfter.all(last, limit)).map(storedBlob);
  }

  unprovenAfter(last: string, limit: number): StoredBlob[] {
    return this.index.act(() => this.sql.unprovenAfter.all(last, limit)).map(storedBlob);
  }

  /** Last used now. Reaches the disk within seconds. */
  touch(id: number): void {
    this.#usage.touch(id);
  }

  /** As `touch`, if it rests here. */
  touchBlob(digest: Digest): void {
    const record = this.blob(digest);
    if (record) this.touch(record.id);
  }

  /** In milliseconds of the epoch; `undefined` of what does not rest here. */
  lastUse(digest: Digest): number | undefined {
    const record = this.blob(digest);
    return record && this.#usage.usedAt(record.id);
  }

  /** Least recently used first, after `after`, at most `limit`. */
  oldest(limit: number, after?: Use): UsedBlob[] {
    return this.index.act(() => {
      const found: UsedBlob[] = [];
      for (let at = after; found.length < limit; ) {
        const uses = this.#usage.oldest(limit - found.length, at);
        for (const use of uses) {
          const row = this.sql.blobOfId.get(use.id) as { digest: Digest; size: number } | undefined;
          if (row) found.push({ ...use, digest: row.digest, size: row.size });
          else this.#usage.forget(use.id);
        }
        at = uses.at(-1);
        if (!at) break;
      }
      return found;
    });
  }

  /** Small values that a background job keeps over a restart. */
  meta(key: string): string | undefined {
    return this.index.act(() => this.sql.meta.get(key) as { value: string } | undefined)?.value;
  }

  putMeta(key: string, value: string): void {
    this.batch(() => this.sql.putMeta.run(key, value));
  }

  /** Many calls as one: all or none, and much faster. `work` may run twice, on a damaged index or a full disk. */
  batch<T>(work: () => T): T {
    return this.index.batch(work);
  }

  /** Writes every last use. */
  flush(): void {
    this.#usage.flush();
  }

  /** Writes every last use first. */
  close(): void {
    this.#usage.close();
    this.index.close();
  }

  /** With its last use in the same transaction: a blob without one could never be evicted. */
  #addBlob(digest: Digest, size: number, mediaType: string | null, proven: 0 | 1, usedAt?: number): void {
    let id = this.#usage.add(usedAt);
    while (this.sql.blobOfId.get(id)) id = this.#usage.add(usedAt);
    this.sql.addBlob.run(id, digest, size, mediaType, proven);
  }
}

function storedBlob(row: unknown): StoredBlob {
  const { id, digest, size, mediaType, proven } = row as StoredBlob & { mediaType: string | null };
  return { id, digest, size, mediaType: mediaType ?? undefined, proven: Boolean(proven) };
}
