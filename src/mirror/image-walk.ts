// What is here of an image: its manifest followed to the first image that is whole, each digest once, and not for ever.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Manifest, type ManifestChildren, manifestChildren, maxManifestBytes } from '../oci/manifest.ts';
import { isForeignType } from '../oci/media-types.ts';
import type { Repository } from '../oci/repository.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import type { Fills } from './fills.ts';
import { type Ground, isGiven, type MayUse, tryToRemember } from './links.ts';
import type { Manifests } from './manifests.ts';

export interface ImageWalkOptions {
  readonly records: Records;
  readonly mayUse: MayUse;
  readonly disk: Pick<Disk, 'report'>;
  readonly manifests: Pick<Manifests, 'stored'>;
  readonly fills: Pick<Fills, 'find'>;
  readonly stopping: AbortSignal;
}

export interface Missing {
  readonly digest: Digest;
  /** What has to be asked for to have it. */
  readonly kind: 'manifest' | 'blob';
}

export interface Found {
  /** The first of an image that is not here; of an index, when none of its images is here and whole. */
  readonly missing: Missing | undefined;
  /** Whether it stays so until something is stored or lost: nothing of it is just arriving. */
  readonly isLasting: boolean;
}

interface Step {
  readonly descriptor: Descriptor;
  /** The index that names it. */
  readonly parent: Step | undefined;
  readonly depth: number;
}

interface Image {
  readonly step: Step;
  /** `undefined` for what is not here, or too far to look at. */
  readonly children: ManifestChildren | undefined;
}

/** An index in an index is rare; one that never ends would be an attack. */
const deepest = 4;
const mostManifests = 200;
const mostBytes = 2 * maxManifestBytes;

export class ImageWalk {
  readonly #options: ImageWalkOptions;
  readonly #repository: Repository;
  #manifestsLeft = mostManifests;
  #bytesLeft = mostBytes;
  #isLasting = true;

  constructor(options: ImageWalkOptions, repository: Repository) {
    this.#options = options;
    this.#repository = repository;
  }

  /** Once. */
  async run(manifest: Manifest): Promise<Found> {
    let missing: Missing | undefined;
    for await (const { step, children } of this.#images(manifest)) {
      const absent = children && this.#absentBlob(children);
      if (children && absent === undefined) {
        this.#link(step, children);
        return { missing: undefined, isLasting: this.#isLasting };
      }
      // An image of which only blobs are missing is nearer than one of which not even the manifest is here.
      if (absent && missing?.kind !== 'blob') missing = { digest: absent, kind: 'blob' };
      missing ??= { digest: step.descriptor.digest, kind: 'manifest' };
    }
    return { missing, isLasting: this.#isLasting };
  }

  /** Level by level, so that what is named twice is met where the way to it is shortest. */
  async *#images(root: Manifest): AsyncGenerator<Image> {
    const seen = new Set<Digest>([root.descriptor.digest]);
    const steps: Step[] = [{ descriptor: root.descriptor, parent: undefined, depth: 0 }];
    for (const step of steps) {
      const manifest = step.parent ? await this.#stored(step.descriptor.digest) : root;
      const children = manifest && manifestChildren(manifest.bytes, manifest.descriptor.mediaType);
      if (!children || children.manifests.length === 0) yield { step, children };
      else if (step.depth === deepest) yield { step, children: undefined };
      else
        for (const descriptor of imagesOf(children)) {
          if (!seen.has(descriptor.digest)) steps.push({ descriptor, parent: step, depth: step.depth + 1 });
          seen.add(descriptor.digest);
        }
    }
  }

  async #stored(digest: Digest): Promise<Manifest | undefined> {
    if (this.#manifestsLeft === 0) return undefined;
    const record = this.#options.records.blob(digest);
    if (record?.mediaType === undefined || record.size > this.#bytesLeft) return undefined;
    this.#options.stopping.throwIfAborted();
    if (!this.#mayGive(digest)) return undefined;
    this.#manifestsLeft--;
    this.#bytesLeft -= record.size;
    return this.#options.manifests.stored(this.#repository, digest);
  }

  #absentBlob({ blobs }: ManifestChildren): Digest | undefined {
    return blobs.find(({ digest, mediaType }) => !isForeignType(mediaType) && !this.#isHere(digest))?.digest;
  }

  /** Or as good as here: the last byte has come, whatever becomes of the upstream. */
  #isHere(digest: Digest): boolean {
    const { records, fills } = this.#options;
    if (records.blob(digest)?.proven && this.#mayGive(digest)) return true;
    const fill = fills.find(digest);
    if (fill?.source.repository.registry !== this.#repository.registry) return false;
    if (
      !fill.isFor(this.#repository) &&
      !isOpenOn(fill.groundFor(this.#repository), this.#options.records, { repository: this.#repository, digest })
    )
      return false;
    this.#isLasting = false;
    return fill.isWritten;
  }

  #mayGive(digest: Digest): boolean {
    return isOpen(this.#options, this.#repository, digest);
  }

  /** A blob that was evicted lost its links; back by way of another repository it is still this manifest's. */
  #link(image: Step, { blobs }: ManifestChildren): void {
    const { records, disk } = this.#options;
    const way: Descriptor[] = [];
    for (let step = image; step.parent; step = step.parent) way.push(step.descriptor);
    const unlinked = [...blobs, ...way].filter(({ digest }) => !records.link(this.#repository, digest));
    if (unlinked.length > 0) tryToRemember(disk, () => records.addLinks(this.#repository, unlinked));
  }
}

/** Whether what rests here of a digest would be given to the repository, with every upstream away. */
export function isOpen(
  { records, mayUse }: Pick<ImageWalkOptions, 'records' | 'mayUse'>,
  repository: Repository,
  digest: Digest,
): boolean {
  return isOpenOn(mayUse(repository, digest), records, { repository, digest });
}

/** What is everybody's needs no link yet: it gets one. */
function isOpenOn(
  ground: Ground | undefined,
  records: Pick<Records, 'link'>,
  { repository, digest }: { readonly repository: Repository; readonly digest: Digest },
): boolean {
  if (ground !== 'registry') return ground === 'shared';
  return isGiven(ground, records.link(repository, digest));
}

/** An attestation alone is no image, unless there is nothing else. */
function imagesOf({ manifests, attestations }: ManifestChildren): readonly Descriptor[] {
  const images = manifests.filter(({ digest }) => !attestations.has(digest));
  return images.length > 0 ? images : manifests;
}
