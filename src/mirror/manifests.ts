// Manifests in the cache: small, fetched whole, stored as blobs with a media type, and the source of all links.
import type { Log } from '../observe/log.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Manifest, type ManifestChildren, manifestChildren } from '../oci/manifest.ts';
import type { Reference } from '../oci/reference.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import { UpstreamError } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Outcome } from './outcome.ts';
import { SingleFlight } from './single-flight.ts';

export interface ManifestAnswer {
  readonly manifest: Manifest;
  readonly outcome: Outcome;
}

export interface ManifestsOptions {
  readonly store: BlobStore;
  readonly records: Records;
  readonly disk: Pick<Disk, 'report'>;
  readonly log: Log;
  /** Ends every request to an upstream when the mirror stops. */
  readonly stopping: AbortSignal;
}

export class Manifests {
  readonly #options: ManifestsOptions;
  readonly #fetches = new SingleFlight<Manifest | undefined>();

  constructor(options: ManifestsOptions) {
    this.#options = options;
  }

  /** By digest. `undefined` when the upstream proved that this repository has no such manifest. */
  async get(source: Source, digest: Digest, signal: AbortSignal): Promise<ManifestAnswer | undefined> {
    const stored = await this.stored(digest);
    if (stored && this.#options.records.link(source.repository, digest)) return { manifest: stored, outcome: 'hit' };
    if (stored) return this.#confirm(source, stored, signal);
    const key = `${formatRepository(source.repository)}@${digest}`;
    const { value, joined } = await this.#fetches.do(key, signal, (bound) => this.fetch(source, { digest }, bound));
    return value && { manifest: value, outcome: joined ? 'joined' : 'miss' };
  }

  /** Fetches and stores, whatever the cache holds. */
  async fetch(source: Source, reference: Reference, bound: AbortSignal): Promise<Manifest | undefined> {
    const { upstream, repository } = source;
    const signal = AbortSignal.any([this.#options.stopping, bound]);
    const manifest = await upstream.fetchManifest(repository.path, reference, signal);
    if (manifest) await this.store(repository, manifest);
    return manifest;
  }

  /**
   * Links the repository to what the manifest names, and keeps the bytes if they are not here yet; what the disk does
   * not take is answered all the same. Throws `UpstreamError` and does neither when they are not what their type says.
   */
  async store(repository: Repository, manifest: Manifest): Promise<void> {
    const { store, records, disk } = this.#options;
    const { digest } = manifest.descriptor;
    const children = usableChildren(repository, manifest);
    try {
      if (records.blob(digest)?.mediaType === undefined) {
        await store.put(digest, manifest.bytes);
        await this.#keep(manifest.descriptor);
      }
      records.addLinks(repository, [manifest.descriptor, ...children.manifests, ...children.blobs]);
    } catch (error) {
      if (!disk.report(error)) throw error;
    }
  }

  /** What rests here, whoever may have it. A file that is gone or cut short is forgotten, and so a miss. */
  async stored(digest: Digest): Promise<Manifest | undefined> {
    const { store, records, log } = this.#options;
    const record = records.blob(digest);
    if (record?.mediaType === undefined) return undefined;
    const bytes = await store.readAll(digest, record.size);
    if (bytes) {
      records.touch(record.id);
      return { bytes, descriptor: { digest, size: record.size, mediaType: record.mediaType } };
    }
    log.warn({ digest }, 'the file of a stored manifest is gone or cut short; it will be fetched again');
    records.deleteBlob(digest);
    return undefined;
  }

  async #keep({ digest, size, mediaType }: Descriptor): Promise<void> {
    const { store, records } = this.#options;
    try {
      records.putBlob(digest, size, mediaType);
    } catch (error) {
      if (!records.blob(digest)) await store.remove(digest);
      throw error;
    }
  }

  /** Stored for another repository: this one's upstream must say that it is here too. */
  async #confirm(source: Source, stored: Manifest, signal: AbortSignal): Promise<ManifestAnswer | undefined> {
    const { upstream, repository } = source;
    const reference = { digest: stored.descriptor.digest };
    const confirmed = await upstream.resolve(repository.path, reference, signal);
    if (!confirmed) return undefined;
    await this.store(repository, stored);
    return { manifest: stored, outcome: 'revalidated' };
  }
}

function usableChildren(repository: Repository, { bytes, descriptor }: Manifest): ManifestChildren {
  try {
    return manifestChildren(bytes, descriptor.mediaType);
  } catch (cause) {
    const what = `${formatRepository(repository)}@${descriptor.digest}`;
    throw new UpstreamError(
      'protocol',
      `upstream ${repository.registry} gave a bad manifest: ${what}: ${(cause as Error).message}`,
      { cause },
    );
  }
}
