// What is here of a blob as a repository sees it in this turn: stored, or arriving, and whether its upstream's word is missing.
import type { Digest } from '../oci/digest.ts';
import { isManifestType } from '../oci/media-types.ts';
import type { BlobRecord, Link, Records } from '../store/records.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Fill } from './fill.ts';
import type { Fills } from './fills.ts';
import { type Ground, isGiven, type MayUse, mayProve } from './links.ts';

export interface HereOptions {
  readonly records: Records;
  readonly mayUse: MayUse;
  readonly fills: Pick<Fills, 'find'>;
}

export interface Here {
  /** What counts as stored for the repository. */
  readonly stored: BlobRecord | undefined;
  /** Nothing is stored for it, and this is in flight. */
  readonly running: Fill | undefined;
  /** As far as anybody said. */
  readonly size: number | undefined;
  /** Digests of manifests are no blobs to a client, although they rest beside them. */
  readonly isManifest: boolean;
  /** Its upstream has not said that this repository may have it. */
  readonly isToProve: boolean;
}

export function lookUp({ records, mayUse, fills }: HereOptions, source: Source, digest: Digest): Here {
  const { repository } = source;
  const link = records.link(repository, digest);
  const record = records.blob(digest);
  const ground = record && mayUse(repository, digest);
  const counts = record?.proven && (ground !== undefined || mayProve(records, source, digest));
  const stored = counts ? record : undefined;
  const running = stored ? undefined : fills.find(digest);
  return {
    stored,
    running,
    size: link?.size,
    isManifest: link ? isManifestType(link.mediaType) : record?.mediaType !== undefined && ground !== undefined,
    isToProve: running ? !mayJoin(running, source, link) : ground === undefined || !isGiven(ground, link),
  };
}

export function isOfRegistry(fill: Fill, { repository }: Source): boolean {
  return fill.source.repository.registry === repository.registry;
}

/** By link, or because the fill is this repository's own: its upstream is giving the blob right now. */
function mayJoin(fill: Fill, source: Source, link: Link | undefined): boolean {
  if (fill.isFor(source.repository)) return true;
  const ground = fill.groundFor(source.repository);
  // Nothing of what another registry sends is given away, only its place.
  const needed: Ground | undefined = isOfRegistry(fill, source) ? ground : ground && 'shared';
  return needed !== undefined && isGiven(needed, link);
}
