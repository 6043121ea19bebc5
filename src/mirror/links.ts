// Which repository may have which digest: by its manifests and its upstream's own word, never by a client's, and that word
// counts only for bytes that came from where it comes from.
import type { Digest } from '../oci/digest.ts';
import { isManifestType, mediaTypes } from '../oci/media-types.ts';
import type { Repository } from '../oci/repository.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import { unlisted } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';

/** Whether what rests here under a digest counts as stored for a repository. To all others it is as if it were not here. */
export type MayUse = (repository: Repository, digest: Digest) => boolean;

/**
 * Anybody can set up a registry that names a digest, or says that it has it: that must not open what came from another
 * one. `mayShare`: what everybody could see, wherever, is everybody's here too.
 */
export function usableOf(records: Pick<Records, 'isFrom' | 'isPublic'>, mayShare: boolean): MayUse {
  return (repository, digest) => records.isFrom(repository, digest) || (mayShare && records.isPublic(digest));
}

/**
 * Whether the source's word, one byte of it, is enough for what rests here: its registry gave that, be it to those who may
 * see more; or nobody knows who did, after an index was lost, and not anybody can set up the registry.
 */
export function mayProve(
  records: Pick<Records, 'isFrom' | 'hasOrigin'>,
  { repository, upstream }: Source,
  digest: Digest,
): boolean {
  if (records.isFrom({ ...repository, isPrivate: true }, digest)) return true;
  return upstream.label !== unlisted && !records.hasOrigin(digest);
}

/** The upstream gave, or offered, this blob for this repository. */
export function linkBlob(records: Records, repository: Repository, digest: Digest, size: number): void {
  if (records.link(repository, digest)) return;
  records.addLinks(repository, [{ digest, size, mediaType: mediaTypes.octetStream }]);
}

/** The repository's registry gave all of what rests here or, if it had given that before, proved it for this repository. */
export function addOrigin(records: Records, repository: Repository, digest: Digest): void {
  if (!records.blob(digest)?.proven || records.isFrom(repository, digest)) return;
  records.batch(() => {
    records.addOrigin(digest, repository);
    // To this repository it is as if it had just come: whoever found it missing has to look again.
    records.prove(digest);
  });
}

/** Digests of manifests are no blobs to a client, although they rest beside them. */
export function isManifestHere(
  { records, mayUse }: { readonly records: Records; readonly mayUse: MayUse },
  repository: Repository,
  digest: Digest,
): boolean {
  const link = records.link(repository, digest);
  if (link) return isManifestType(link.mediaType);
  return records.blob(digest)?.mediaType !== undefined && mayUse(repository, digest);
}

/** What the cache would like to remember, but answers without: a full disk must not cost anybody a pull. */
export function tryToRemember(disk: Pick<Disk, 'report'>, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!disk.report(error)) throw error;
  }
}
