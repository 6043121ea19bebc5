// One byte of a blob from its upstream: the proof that a repository may have it, written down where that can be.
import type { Digest } from '../oci/digest.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Absences } from './absences.ts';
import { addOrigin, linkBlob, mayProve, tryToRemember } from './links.ts';

export interface ProofOptions {
  readonly records: Records;
  readonly absences: Absences;
  readonly disk: Pick<Disk, 'report'>;
}

/** Its size; `undefined` when the upstream says that there is no such blob, or said so a moment ago. */
export async function proveBlob(
  { absences, records, disk }: ProofOptions,
  source: Source,
  { digest, signal }: { readonly digest: Digest; readonly signal: AbortSignal },
): Promise<number | undefined> {
  const { upstream, repository } = source;
  if (absences.has(repository, { blob: digest })) return undefined;
  const size = await upstream.proveBlob(repository.path, digest, signal);
  if (size === undefined) absences.add(repository, { blob: digest });
  else
    tryToRemember(disk, () => {
      linkBlob(records, repository, { digest, size });
      // Of what another registry gave it proves nothing: who says so may have no more than its name.
      if (mayProve(records, source, digest)) addOrigin(records, repository, digest);
    });
  return size;
}
