// A file in the store that no record vouches for: read at once like the upstream's bytes, believed once it is hashed.
import type { Digest } from '../oci/digest.ts';
import { DigestMismatchError } from '../oci/errors.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Records } from '../store/records.ts';
import type { Spool } from '../store/spool.ts';
import type { Spools } from '../store/spools.ts';
import { abandonable } from '../upstream/abandonable.ts';
import type { Source } from '../upstream/upstreams.ts';
import { asError } from './fill-failure.ts';
import { linkBlob } from './links.ts';

export interface Adoption {
  readonly source: Source;
  readonly digest: Digest;
  /** As its record says or, without one, the file. */
  readonly size: number;
  readonly store: BlobStore;
  readonly spools: Spools;
  readonly records: Records;
  readonly signal: AbortSignal;
  readonly onSettled: (failure?: unknown) => void;
  readonly open: (spool: Spool | undefined) => void;
}

/**
 * `false` when it must be fetched after all. The repository needs a link or its upstream's word, as for any other blob.
 * Rejects when it is not what its name says, with the file and its record gone, and when it could not be read.
 */
export async function adoptFile(adoption: Adoption): Promise<boolean> {
  const { source, digest, size, store, spools, records, signal, onSettled, open } = adoption;
  const { upstream, repository } = source;
  const told = records.link(repository, digest)?.size ?? (await upstream.proveBlob(repository.path, digest, signal));
  const isHere = told === size && (await store.has(digest, size));
  const spool = isHere ? await spools.adopt(digest, size).catch(() => undefined) : undefined;
  if (!spool) {
    // A blob that this upstream does not have may be another's.
    if (told === undefined) return false;
    records.deleteBlob(digest);
    await store.remove(digest);
    return false;
  }
  try {
    records.putUnproven(digest, size, Date.now());
    linkBlob(records, repository, digest, size);
    if (size > 0) open(spool);
    await abandonable(spool.verify(), signal);
    await spools.commit(spool, store);
    records.prove(digest);
    onSettled();
    open(spool);
    return true;
  } catch (error) {
    const isLie = error instanceof DigestMismatchError;
    if (isLie) records.deleteBlob(digest);
    onSettled(error);
    await (isLie ? spools.discard(spool, error) : spools.suspend(spool, asError(error)));
    throw error;
  } finally {
    await spool.close();
  }
}
