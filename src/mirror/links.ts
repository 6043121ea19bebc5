// Which repository holds which digest: written from its manifests and its upstream's own word, never from a client's.
import type { Digest } from '../oci/digest.ts';
import { isManifestType, mediaTypes } from '../oci/media-types.ts';
import type { Repository } from '../oci/repository.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';

/** The upstream gave, or offered, this blob for this repository. */
export function linkBlob(records: Records, repository: Repository, digest: Digest, size: number): void {
  if (records.link(repository, digest)) return;
  records.addLinks(repository, [{ digest, size, mediaType: mediaTypes.octetStream }]);
}

/** Digests of manifests are no blobs to a client, although they rest beside them. */
export function isManifestHere(records: Records, repository: Repository, digest: Digest): boolean {
  const link = records.link(repository, digest);
  return link ? isManifestType(link.mediaType) : records.blob(digest)?.mediaType !== undefined;
}

/** What the cache would like to remember, but answers without: a full disk must not cost anybody a pull. */
export function tryToRemember(disk: Pick<Disk, 'report'>, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!disk.report(error)) throw error;
  }
}
