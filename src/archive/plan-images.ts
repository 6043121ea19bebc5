// What taking in the images of an archive comes to: which bytes are stored, and what the index is told at the end.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Manifest, manifestChildren } from '../oci/manifest.ts';
import { isManifestType } from '../oci/media-types.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import { ArchiveError } from './archive-error.ts';
import type { ArchiveWork } from './archive-work.ts';
import type { Arrived } from './arrivals.ts';
import type { FoundImage } from './found-image.ts';
import type { NamedFind } from './name-images.ts';

/** A blob or a manifest. */
export interface Piece {
  readonly descriptor: Descriptor;
  readonly from: Arrived | Manifest;
}

export interface PlannedLink {
  readonly repository: Repository;
  readonly descriptor: Descriptor;
  /** False for what is named and not in the archive. */
  readonly isHere: boolean;
}

export interface PlannedReferrer {
  readonly repository: Repository;
  readonly subject: Digest;
  readonly digest: Digest;
}

/** All of it once. */
export interface ImagesPlan {
  readonly pieces: readonly Piece[];
  readonly links: readonly PlannedLink[];
  readonly referrers: readonly PlannedReferrer[];
  readonly images: readonly NamedFind[];
}

/** They are written in one turn: 16,384 take some 120 ms of it. A hundred images have some thousands. */
const mostLinks = 16_384;

/** Throws `ArchiveError` for more than is taken in at once. */
export async function planImages(images: readonly NamedFind[], work: ArchiveWork): Promise<ImagesPlan> {
  const planning = new Planning(work);
  for (const image of images) await planning.add(image);
  return planning.plan(images);
}

class Planning {
  readonly #work: ArchiveWork;
  readonly #pieces = new Map<Digest, Piece>();
  readonly #links = new Map<string, PlannedLink>();
  readonly #referrers: PlannedReferrer[] = [];
  readonly #subjects = new Map<Digest, Digest | undefined>();
  /** An image may have many tags in one repository. */
  readonly #added = new Map<FoundImage, Set<string>>();

  constructor(work: ArchiveWork) {
    this.#work = work;
  }

  async add({ found, repository }: NamedFind): Promise<void> {
    const key = `${formatRepository(repository)} ${repository.isPrivate === true}`;
    const added = this.#added.get(found) ?? new Set<string>();
    if (added.has(key)) return;
    this.#added.set(found, added.add(key));
    const link = async (descriptor: Descriptor, from: Piece['from'] | undefined): Promise<void> => {
      await this.#work.look();
      if (from) this.#addPiece(descriptor, from);
      const known = this.#links.get(`${key} ${descriptor.digest}`);
      const isHere = from !== undefined || known?.isHere === true;
      // What is somebody's blob may be a manifest as well, and is one then.
      const told = known && !isManifestType(descriptor.mediaType) ? known.descriptor : descriptor;
      this.#links.set(`${key} ${descriptor.digest}`, { repository, descriptor: told, isHere });
      if (this.#links.size > mostLinks)
        throw new ArchiveError(
          `the images of the archive have more than ${mostLinks} parts; save fewer of them at once`,
        );
    };
    for (const { descriptor, file } of found.blobs) await link(descriptor, file);
    for (const manifest of found.manifests) {
      await link(manifest.descriptor, manifest);
      const subject = await this.#subjectOf(manifest);
      if (subject) this.#referrers.push({ repository, subject, digest: manifest.descriptor.digest });
    }
    for (const descriptor of found.named) await link(descriptor, undefined);
  }

  /** Blobs first, and each manifest behind what it names. */
  plan(images: readonly NamedFind[]): ImagesPlan {
    const isManifest = ({ from }: Piece) => 'bytes' in from;
    const pieces = [...this.#pieces.values()];
    return {
      pieces: [...pieces.filter((piece) => !isManifest(piece)), ...pieces.filter(isManifest)],
      links: [...this.#links.values()],
      referrers: this.#referrers,
      images,
    };
  }

  #addPiece(descriptor: Descriptor, from: Piece['from']): void {
    const known = this.#pieces.get(descriptor.digest);
    const isBetter = !known || ('path' in known.from && isManifestType(descriptor.mediaType));
    if (isBetter) this.#pieces.set(descriptor.digest, { descriptor, from });
  }

  async #subjectOf({ descriptor, bytes }: Manifest): Promise<Digest | undefined> {
    const { digest, mediaType } = descriptor;
    if (!this.#subjects.has(digest)) {
      await this.#work.lookAtBytes(bytes.length);
      this.#subjects.set(digest, manifestChildren(bytes, mediaType).subject);
    }
    return this.#subjects.get(digest);
  }
}
