// What the index says of a manifest as a repository sees it: whether it counts as stored, what it is, and who may be given it.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { isManifestType } from '../oci/media-types.ts';
import type { Repository } from '../oci/repository.ts';
import type { Link, Records } from '../store/records.ts';
import { type Ground, isGiven, type MayUse } from './links.ts';

export interface Rests {
  /** For `touch`. */
  readonly id: number;
  readonly ground: Ground;
  /** As the first who gave it called it. */
  readonly descriptor: Descriptor;
}

export interface LookUpOptions {
  readonly records: Pick<Records, 'blob' | 'link'>;
  readonly mayUse: MayUse;
}

/** `undefined` where it is as if it were not here. */
export function manifestAt(
  { records, mayUse }: LookUpOptions,
  repository: Repository,
  digest: Digest,
): Rests | undefined {
  const record = records.blob(digest);
  if (record?.mediaType === undefined) return undefined;
  const ground = mayUse(repository, digest);
  const { id, size, mediaType } = record;
  return ground && { id, ground, descriptor: { digest, size, mediaType } };
}

/** Where the bytes do not say what they are, another registry may call them something else. */
export function asLinked(descriptor: Descriptor, link: Link | undefined): Descriptor {
  return link && isShown(link) ? { ...descriptor, mediaType: link.mediaType } : descriptor;
}

/** Whether it is given to who asks for its digest without a question to the upstream. */
export function mayGive(ground: Ground, link: Link | undefined): boolean {
  return ground === 'shared' ? isGiven(ground, link) : link !== undefined && isShown(link);
}

/** The repository's registry gave it as a manifest, or proved it, under this name. */
function isShown(link: Link): boolean {
  return link.proven && isManifestType(link.mediaType);
}
