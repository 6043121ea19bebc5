// All that a manifest names, down to the last layer, and what of it there is: in an archive, or in the store.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Manifest, type ManifestChildren, manifestChildren } from '../oci/manifest.ts';
import { isForeignType, mediaTypes } from '../oci/media-types.ts';
import type { Platform } from '../oci/platform.ts';
import { ArchiveError } from './archive-error.ts';

/** Where manifests and blobs lie. */
export interface Shelf {
  /** `undefined` when it is not there. */
  manifest(descriptor: Descriptor): Promise<Manifest | undefined>;
  has(blob: Descriptor): boolean;
}

/** What a manifest says, and what of it is there. */
interface Branch {
  readonly descriptor: Descriptor;
  /** `undefined` when it is not there, and nothing is known of what it names. */
  readonly manifest: Manifest | undefined;
  readonly config: Descriptor | undefined;
  /** That are there. */
  readonly blobs: readonly Descriptor[];
  /** Blobs that are not, those aside that may only be had from elsewhere. */
  readonly missing: readonly Descriptor[];
  /** Of an index, in its order. The same manifest may be named in several places. */
  readonly children: readonly ImageTree[];
  /** Of what is below it: 0 where it names no manifest. */
  readonly height: number;
}

export interface ImageTree extends Branch {
  /** As the index says that names it. */
  readonly platform: Platform | undefined;
  readonly isAttestation: boolean;
}

/** An index in an index is rare; one that never ends would be an attack. */
const deepest = 4;
const mostManifests = 10_000;
const mostBytes = 32 * 1024 * 1024;

/** One for all images that are looked at together: what they share is read once. */
export class ImageTrees {
  readonly #shelf: Shelf;
  readonly #branches = new Map<Digest, Promise<Branch>>();
  #bytes = 0;

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  /** Throws `ArchiveError` for what is too deep or too much, and for a manifest that is none. */
  async root(descriptor: Descriptor): Promise<ImageTree> {
    return { ...(await this.#branch(descriptor, 0)), platform: undefined, isAttestation: false };
  }

  #branch(descriptor: Descriptor, depth: number): Promise<Branch> {
    const known = this.#branches.get(descriptor.digest);
    if (known) return known;
    if (this.#branches.size === mostManifests) throw new ArchiveError(`more than ${mostManifests} manifests are named`);
    const branch = this.#grow(descriptor, depth);
    this.#branches.set(descriptor.digest, branch);
    return branch;
  }

  async #grow(descriptor: Descriptor, depth: number): Promise<Branch> {
    const manifest = await this.#shelf.manifest(descriptor);
    if (!manifest) return { descriptor, manifest, config: undefined, blobs: [], missing: [], children: [], height: 0 };
    this.#bytes += manifest.bytes.length;
    if (this.#bytes > mostBytes) throw new ArchiveError(`the manifests have more than ${mostBytes} bytes`);
    const named = namedIn(manifest.bytes, { mediaType: descriptor.mediaType, what: descriptor.digest });
    if (named.manifests.length > 0 && depth === deepest) throw tooDeep(descriptor);
    const children: ImageTree[] = [];
    for (const child of distinct(named.manifests)) {
      const platform = named.platforms.get(child.digest);
      const isAttestation = named.attestations.has(child.digest);
      children.push({ ...(await this.#branch(child, depth + 1)), platform, isAttestation });
    }
    const height = children.reduce((highest, child) => Math.max(highest, 1 + child.height), 0);
    // What is met for the first time as somebody's root, or as another's, has begun at another depth.
    if (height > deepest) throw tooDeep(descriptor);
    const blobs = distinct(named.blobs);
    return {
      ...{ descriptor, manifest, config: named.config, children, height },
      blobs: blobs.filter((blob) => this.#shelf.has(blob)),
      missing: blobs.filter((blob) => !this.#shelf.has(blob) && !isForeignType(blob.mediaType)),
    };
  }
}

function tooDeep({ digest }: Descriptor): ArchiveError {
  return new ArchiveError(`${digest} is an index in an index in an index, and too deep to follow`);
}

/** Throws `ArchiveError` that says what it is that is no manifest. */
export function namedIn(bytes: Uint8Array, { mediaType, what }: { mediaType: string; what: string }): ManifestChildren {
  try {
    return manifestChildren(bytes, mediaType);
  } catch (cause) {
    throw new ArchiveError(`${what}: ${(cause as Error).message}`, { cause });
  }
}

export function isIndex({ mediaType }: Descriptor): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerList;
}

/** Attestations stand beside images: they count only where there is nothing else. */
export function imagesOf({ children }: ImageTree): readonly ImageTree[] {
  const images = children.filter(({ isAttestation }) => !isAttestation);
  return images.length > 0 ? images : children;
}

function distinct(descriptors: readonly Descriptor[]): readonly Descriptor[] {
  return [...new Map(descriptors.map((descriptor) => [descriptor.digest, descriptor])).values()];
}
