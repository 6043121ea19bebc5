// A blob that has come whole and proved true: from its spool into the store, and into the index for the repository it came for.
import type { Repository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Records } from '../store/records.ts';
import type { Spool } from '../store/spool.ts';
import type { Spools } from '../store/spools.ts';
import { addOrigin, linkBlob } from './links.ts';

export interface KeepOptions {
  readonly store: BlobStore;
  readonly spools: Pick<Spools, 'commit'>;
  readonly records: Records;
}

/** Rejects with nothing kept, or with what rested here before. */
export async function keepBlob(
  { store, spools, records }: KeepOptions,
  repository: Repository,
  spool: Spool,
): Promise<void> {
  const { digest, size } = spool;
  await spools.commit(spool, store);
  try {
    records.batch(() => {
      // What rests here as somebody's manifest stays one.
      records.putBlob(digest, size, records.blob(digest)?.mediaType);
      linkBlob(records, repository, { digest, size });
      addOrigin(records, repository, digest);
    });
  } catch (error) {
    if (!records.blob(digest)) await store.remove(digest);
    throw error;
  }
}
