// Which repository may have which digest: by its upstream's own word, never by a client's, and that word counts only for
// bytes that came from where it comes from.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { mediaTypes } from '../oci/media-types.ts';
import type { Repository } from '../oci/repository.ts';
import type { Disk } from '../store/disk.ts';
import type { Link, Records } from '../store/records.ts';
import { unlisted } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';

/** Why bytes count as here for a repository: everybody may have them, or its registry gave them, be it to another one. */
export type Ground = 'shared' | 'registry';

/** On what ground what rests here counts as stored for a repository. To all others it is as if it were not here. */
export type MayUse = (repository: Repository, digest: Digest) => Ground | undefined;

/**
 * Anybody can set up a registry that names a digest, or says that it has it: that must not open what came from another
 * one. `mayShare`: what everybody could see, wherever, is everybody's here too.
 */
export function usableOf(records: Pick<Records, 'isFrom' | 'isPublic'>, mayShare: () => boolean): MayUse {
  return (repository, digest) => {
    if (mayShare() && records.isPublic(digest)) return 'shared';
    return records.isFrom(repository, digest) ? 'registry' : undefined;
  };
}

/**
 * Whether no word of the upstream is missing. Whoever may push to one repository of a registry can write a manifest that
 * names what another one has: it opens only what is everybody's.
 */
export function isGiven(ground: Ground, link: Link | undefined): boolean {
  return link !== undefined && (link.proven || ground === 'shared');
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

/** The upstream offers this blob for this repository: so long is it, should it come. */
export function noteBlob(records: Records, repository: Repository, digest: Digest, size: number): void {
  if (records.link(repository, digest)) return;
  records.addLinks(repository, [{ digest, size, mediaType: mediaTypes.octetStream }]);
}

/** The upstream gave all of this blob for this repository, or proved to have it. */
export function linkBlob(
  records: Records,
  repository: Repository,
  { digest, size }: Omit<Descriptor, 'mediaType'>,
): void {
  const link = records.link(repository, digest);
  if (link?.proven) return;
  records.proveLink(repository, { digest, size, mediaType: link?.mediaType ?? mediaTypes.octetStream });
}

/** The repository's registry gave all of what rests here or, if it had given that before, proved it for this repository. */
export function addOrigin(records: Records, repository: Repository, digest: Digest): void {
  if (records.blob(digest)?.proven) records.addOrigin(digest, repository);
}

/** What the cache would like to remember, but answers without: a full disk must not cost anybody a pull. */
export function tryToRemember(disk: Pick<Disk, 'report'>, write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!disk.report(error)) throw error;
  }
}
