// What the manifests that rest here say, for who looks through the cache: to look at an image is no use of it.
import type { Digest } from '../../oci/digest.ts';
import { type Manifest, type ManifestChildren, manifestChildren } from '../../oci/manifest.ts';
import type { Repository } from '../../oci/repository.ts';
import type { BlobStore } from '../../store/blob-store.ts';
import type { Disk } from '../../store/disk.ts';
import type { Records } from '../../store/records.ts';
import type { Fills } from '../fills.ts';
import { ImageWalk, isOpen } from '../image-walk.ts';
import type { MayUse } from '../links.ts';
import { asLinked, manifestAt } from '../manifest-here.ts';

export interface ImageReaderOptions {
  readonly records: Records;
  readonly store: Pick<BlobStore, 'look'>;
  readonly mayUse: MayUse;
  readonly disk: Pick<Disk, 'report'>;
  readonly fills: Pick<Fills, 'find'>;
}

export class ImageReader {
  readonly #options: ImageReaderOptions;

  constructor(options: ImageReaderOptions) {
    this.#options = options;
  }

  /** What counts as stored for the repository; `undefined` too of what is no manifest that a client could use. */
  async manifest(
    repository: Repository,
    digest: Digest,
  ): Promise<{ manifest: Manifest; children: ManifestChildren } | undefined> {
    const manifest = await this.stored(repository, digest);
    const children = manifest && childrenOf(manifest.bytes, manifest.descriptor.mediaType);
    return children && { manifest, children };
  }

  /** As `Manifests.stored`, but for the use. */
  async stored(repository: Repository, digest: Digest): Promise<Manifest | undefined> {
    const { records, store } = this.#options;
    const found = manifestAt(this.#options, repository, digest);
    const bytes = found && (await store.look(digest, found.descriptor.size));
    return bytes && { bytes, descriptor: asLinked(found.descriptor, records.link(repository, digest)) };
  }

  /** Of what rests here, whoever may have it. */
  async children(digest: Digest): Promise<ManifestChildren | undefined> {
    const record = this.#options.records.blob(digest);
    if (record?.mediaType === undefined) return undefined;
    const bytes = await this.#options.store.look(digest, record.size);
    return bytes && childrenOf(bytes, record.mediaType);
  }

  /** Of it, how many bytes the repository would be given with every upstream away. */
  storedBytes(repository: Repository, digest: Digest): number {
    const record = this.#options.records.blob(digest);
    return record?.proven && isOpen(this.#options, repository, digest) ? record.size : 0;
  }

  /** Whether one platform of it, at least, would be served with every upstream away. */
  async isWhole(repository: Repository, manifest: Manifest, signal: AbortSignal): Promise<boolean> {
    const walk = new ImageWalk({ ...this.#options, manifests: this, stopping: signal }, repository);
    return (await walk.run(manifest)).missing === undefined;
  }
}

function childrenOf(bytes: Uint8Array, mediaType: string): ManifestChildren | undefined {
  try {
    return manifestChildren(bytes, mediaType);
  } catch {
    return undefined; // it names nothing that a client could use
  }
}
