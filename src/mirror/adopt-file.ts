// A file in the store that no record vouches for: read at once like the upstream's bytes, believed once it is hashed.
import type { Digest } from '../oci/digest.ts';
import { DigestMismatchError } from '../oci/errors.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Records } from '../store/records.ts';
import type { Spool } from '../store/spool.ts';
import type { Spools } from '../store/spools.ts';
import { abandonable } from '../upstream/abandonable.ts';
import { unlisted } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { asError } from './fill-failure.ts';
import { addOrigin, isGiven, linkBlob, type MayUse } from './links.ts';

export interface Adoption {
  readonly source: Source;
  readonly digest: Digest;
  /** As its record says or, without one, the file. */
  readonly size: number;
  readonly store: BlobStore;
  readonly spools: Spools;
  readonly records: Records;
  readonly mayUse: MayUse;
  readonly signal: AbortSignal;
  readonly onSettled: (failure?: unknown) => void;
  readonly open: (spool: Spool | undefined) => void;
}

/**
 * Of the file or its record; `undefined` when the source's word is not enough to try it: it came from elsewhere, or anybody
 * can set up the registry.
 */
export async function adoptableSize(
  adoption: Pick<Adoption, 'source' | 'digest' | 'store' | 'records' | 'mayUse'>,
): Promise<number | undefined> {
  const { source, digest, store, records, mayUse } = adoption;
  const record = records.blob(digest);
  const isElsewhere = records.hasOrigin(digest) && !mayUse(source.repository, digest);
  if (isElsewhere || source.upstream.label === unlisted) return undefined;
  return record?.size ?? (await store.sizeOf(digest));
}

/**
 * `false` when it must be fetched after all. The repository needs its upstream's word, whatever a manifest names, unless
 * the file has just come for it: nobody knows where it came from.
 * Rejects when it is not what its name says, with the file and its record gone, and when it could not be read.
 */
export async function adoptFile(adoption: Adoption): Promise<boolean> {
  const { source, digest, size, store, spools, records, signal, onSettled, open } = adoption;
  const { upstream, repository } = source;
  const told = knownSize(adoption) ?? (await upstream.proveBlob(repository.path, digest, signal));
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
    linkBlob(records, repository, { digest, size });
    if (size > 0) open(spool);
    await abandonable(spool.verify(), signal);
    await spools.commit(spool, store);
    records.batch(() => {
      records.prove(digest);
      addOrigin(records, repository, digest);
    });
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

/** Where a fill that had left the table has put it away after all, it is here as any other blob is. */
function knownSize({ source, digest, records, mayUse }: Adoption): number | undefined {
  const record = records.blob(digest);
  const ground = record && mayUse(source.repository, digest);
  return ground && isGiven(ground, records.link(source.repository, digest)) ? record?.size : undefined;
}
