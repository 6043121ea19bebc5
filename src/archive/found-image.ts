// An image as an archive has it, proven to be all there: its manifests in memory, its blobs in files that have arrived.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import { ArchiveError } from './archive-error.ts';
import type { ArchiveWork } from './archive-work.ts';
import type { Arrived } from './arrivals.ts';
import { type ImageTree, imagesOf, isIndex } from './image-tree.ts';

export interface FoundBlob {
  readonly descriptor: Descriptor;
  readonly file: Arrived;
}

export interface FoundImage {
  readonly digest: Digest;
  /** As the archive writes them; none where it does not say. */
  readonly names: readonly string[];
  /** Where the archive gives a tag and no name. */
  readonly tag: string | undefined;
  /** What is named before that which names it. */
  readonly manifests: readonly Manifest[];
  /** Every manifest that is named, whether it is there or not. */
  readonly named: readonly Descriptor[];
  readonly blobs: readonly FoundBlob[];
}

export interface FoundInOptions {
  readonly fileOf: (digest: Digest) => Arrived | undefined;
  readonly work: Pick<ArchiveWork, 'look'>;
}

/** Of a tree that has all that it must have. Throws `ArchiveError` that says what is missing. */
export async function foundIn(tree: ImageTree, { fileOf, work }: FoundInOptions) {
  const manifests = new Map<Digest, Manifest>();
  const blobs = new Map<Digest, FoundBlob>();
  const named = new Map<Digest, Descriptor>();
  const seen = new Set<Digest>();
  const visit = async (branch: ImageTree): Promise<void> => {
    const { manifest, descriptor } = branch;
    await work.look();
    named.set(descriptor.digest, descriptor);
    if (!manifest || seen.has(descriptor.digest)) return;
    seen.add(descriptor.digest);
    for (const child of branch.children) await visit(child);
    checkWhole(branch);
    for (const blob of branch.blobs) {
      await work.look();
      const file = fileOf(blob.digest);
      if (file) blobs.set(blob.digest, { descriptor: blob, file });
    }
    manifests.set(descriptor.digest, manifest);
  };
  await visit(tree);
  return {
    digest: tree.descriptor.digest,
    manifests: [...manifests.values()],
    named: [...named.values()],
    blobs: [...blobs.values()],
  };
}

/** Of an index, images of some platforms may be left out of an archive, but not all. */
function checkWhole(branch: ImageTree): void {
  const { digest } = branch.descriptor;
  const [missing] = branch.missing;
  if (missing)
    throw new ArchiveError(`the archive is not whole: ${digest} names ${missing.digest}, which is not in it`);
  if (isIndex(branch.descriptor) && !imagesOf(branch).some(({ manifest }) => manifest !== undefined))
    throw new ArchiveError(`the archive is not whole: ${digest} is an index, and none of its images is in it`);
}
