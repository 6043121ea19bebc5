// All that is to be here of an image: its manifests followed to the configs and layers of the platforms that are wished for.
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { type Manifest, type ManifestChildren, manifestChildren } from '../../oci/manifest.ts';
import { isForeignType, mediaTypes } from '../../oci/media-types.ts';
import { formatPlatform, isSamePlatform, type Platform } from '../../oci/platform.ts';
import type { PlatformWish } from './prefetch-event.ts';

export interface ContentsOptions {
  /** `undefined`: its upstream does not have it. */
  readonly manifest: (digest: Digest) => Promise<Manifest | undefined>;
  /** Of an image that no index speaks of; `undefined` for what is no image's config. */
  readonly platformOf: (config: Descriptor) => Promise<Platform | undefined>;
}

export interface ImageContents {
  readonly blobs: readonly Descriptor[];
  /** Found, of those wished for. */
  readonly platforms: readonly string[];
  /** Wished for, and not in it. */
  readonly missing: readonly string[];
  /** All that it has. */
  readonly available: readonly string[];
  /** Manifests that it names and nobody has. */
  readonly absent: readonly Digest[];
}

/** An index in an index is rare; one that never ends would be an attack. */
const deepest = 4;
const mostManifests = 200;
const mostBlobs = 10_000;

/** Throws when it names more than any image does, or something that is no manifest. */
export async function imageContents(
  root: Manifest,
  wish: PlatformWish,
  options: ContentsOptions,
): Promise<ImageContents> {
  const walk = new ContentsWalk(wish, options);
  await walk.follow(root, undefined, 0);
  return walk.found();
}

class ContentsWalk {
  readonly #wish: PlatformWish;
  readonly #options: ContentsOptions;
  readonly #seen = new Set<Digest>();
  readonly #blobs = new Map<Digest, Descriptor>();
  readonly #platforms = new Set<string>();
  readonly #available = new Set<string>();
  readonly #absent: Digest[] = [];
  /** Those of the wish that were not found yet. */
  #missing: readonly Platform[];

  constructor(wish: PlatformWish, options: ContentsOptions) {
    this.#wish = wish;
    this.#options = options;
    this.#missing = wish === 'all' ? [] : wish;
  }

  found(): ImageContents {
    return {
      blobs: [...this.#blobs.values()],
      platforms: [...this.#platforms],
      missing: this.#missing.map(formatPlatform),
      available: [...this.#available],
      absent: this.#absent,
    };
  }

  /** `platform`: as the index says that names it. */
  async follow({ bytes, descriptor }: Manifest, platform: Platform | undefined, depth: number): Promise<void> {
    this.#seen.add(descriptor.digest);
    const children = manifestChildren(bytes, descriptor.mediaType);
    const isIndex = descriptor.mediaType === mediaTypes.ociIndex || descriptor.mediaType === mediaTypes.dockerList;
    if (isIndex) await this.#followIndex(children, depth);
    else if (await this.#isWished(children, platform)) this.#add(children.blobs);
  }

  async #followIndex(children: ManifestChildren, depth: number): Promise<void> {
    if (depth === deepest) throw new Error('its indexes name each other without end');
    const { manifests, attestations, platforms } = children;
    for (const platform of platforms.values()) this.#available.add(formatPlatform(platform));
    const named = manifests.filter(({ digest }) => platforms.has(digest));
    const unnamed = manifests.filter(({ digest }) => !platforms.has(digest) && !attestations.has(digest));
    if (this.#wish === 'all') {
      for (const child of manifests) await this.#followChild(child, platforms.get(child.digest), depth);
      this.#add(children.blobs);
      return;
    }
    for (const child of named) {
      const platform = platforms.get(child.digest);
      if (platform && this.#wants(platform)) await this.#followChild(child, platform, depth);
    }
    // What they are shows inside.
    for (const child of unnamed) if (this.#missing.length > 0) await this.#followChild(child, undefined, depth);
  }

  async #followChild({ digest }: Descriptor, platform: Platform | undefined, depth: number): Promise<void> {
    if (this.#seen.has(digest)) return;
    if (this.#seen.size === mostManifests) throw new Error(`it names more than ${mostManifests} manifests`);
    this.#seen.add(digest);
    const manifest = await this.#options.manifest(digest);
    if (manifest) await this.follow(manifest, platform, depth + 1);
    else this.#absent.push(digest);
  }

  async #isWished({ config }: ManifestChildren, told: Platform | undefined): Promise<boolean> {
    const platform = told ?? (this.#wish === 'all' || !config ? undefined : await this.#options.platformOf(config));
    if (platform) this.#available.add(formatPlatform(platform));
    if (this.#wish === 'all' || platform === undefined) {
      // What runs on nothing, a chart or a signature, is the same for every platform.
      if (platform) this.#platforms.add(formatPlatform(platform));
      this.#missing = [];
      return true;
    }
    if (!this.#wants(platform)) return false;
    this.#platforms.add(formatPlatform(platform));
    this.#missing = this.#missing.filter((wished) => !isSamePlatform(wished, platform));
    return true;
  }

  #wants(platform: Platform): boolean {
    return this.#wish === 'all' || this.#wish.some((wished) => isSamePlatform(wished, platform));
  }

  #add(blobs: readonly Descriptor[]): void {
    for (const blob of blobs) if (!isForeignType(blob.mediaType)) this.#blobs.set(blob.digest, blob);
    if (this.#blobs.size > mostBlobs) throw new Error(`it names more than ${mostBlobs} blobs`);
  }
}
