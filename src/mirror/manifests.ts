// Manifests in the cache: small, fetched whole, stored as blobs with a media type, and the source of all links.
import type { Log } from '../observe/log.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Manifest, type ManifestChildren, manifestChildren } from '../oci/manifest.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Disk } from '../store/disk.ts';
import type { Records } from '../store/records.ts';
import { UpstreamError } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Absences } from './absences.ts';
import { addOrigin, type MayUse, tryToRemember } from './links.ts';
import type { Outcome } from './outcome.ts';
import { repositoryKey } from './repository-key.ts';
import { SingleFlight } from './single-flight.ts';

export interface ManifestAnswer {
  readonly manifest: Manifest;
  readonly outcome: Outcome;
}

export interface ManifestsOptions {
  readonly store: BlobStore;
  readonly records: Records;
  readonly mayUse: MayUse;
  readonly disk: Pick<Disk, 'report'>;
  readonly absences: Absences;
  readonly log: Log;
  /** Ends every request to an upstream when the mirror stops. */
  readonly stopping: AbortSignal;
}

export class Manifests {
  readonly #options: ManifestsOptions;
  readonly #asking = new SingleFlight<ManifestAnswer | undefined>();

  constructor(options: ManifestsOptions) {
    this.#options = options;
  }

  /** By digest. `undefined` when the upstream proved that this repository has no such manifest. */
  async get(source: Source, digest: Digest, signal: AbortSignal): Promise<ManifestAnswer | undefined> {
    const stored = await this.stored(source.repository, digest);
    if (stored && this.#options.records.link(source.repository, digest)) return { manifest: stored, outcome: 'hit' };
    if (this.#options.absences.has(source.repository, { digest })) return undefined;
    return this.ask(source, digest, stored, signal);
  }

  /**
   * Asks the upstream, once for all who want the same, and stores what it gives. `stored` is here, and counts as stored
   * for this repository: its upstream has only to say that it has it too.
   */
  async ask(
    source: Source,
    digest: Digest,
    stored: Manifest | undefined,
    signal: AbortSignal,
  ): Promise<ManifestAnswer | undefined> {
    const key = `${repositoryKey(source.repository)}@${digest}`;
    const { value, joined } = await this.#asking.do(key, signal, async (bound) => {
      const patience = AbortSignal.any([this.#options.stopping, bound]);
      const answer = stored ? await confirm(source, stored, patience) : await fetch(source, digest, patience);
      if (answer && stored) this.link(source.repository, stored);
      else if (answer) await this.store(source.repository, answer.manifest);
      else this.#options.absences.add(source.repository, { digest });
      return answer;
    });
    return value && joined && value.outcome === 'miss' ? { ...value, outcome: 'joined' } : value;
  }

  /**
   * What the repository's upstream has just sent: keeps the bytes if they are not here yet, and links the repository to
   * what they name; what the disk does not take is answered all the same. Throws `UpstreamError` and does neither when
   * they are not what their type says.
   */
  async store(repository: Repository, manifest: Manifest): Promise<void> {
    const { store, records, disk } = this.#options;
    const { digest } = manifest.descriptor;
    const children = usableChildren(repository, manifest);
    this.#isThere(repository, digest);
    try {
      if (records.blob(digest)?.mediaType === undefined) {
        await store.put(digest, manifest.bytes);
        await this.#keep(manifest.descriptor);
      }
      addOrigin(records, repository, digest);
      this.#addLinks(repository, manifest, children);
    } catch (error) {
      if (!disk.report(error)) throw error;
    }
  }

  /** What is `stored`, once the repository's upstream has said that it has it. */
  link(repository: Repository, manifest: Manifest): void {
    const children = usableChildren(repository, manifest);
    this.#isThere(repository, manifest.descriptor.digest);
    tryToRemember(this.#options.disk, () => this.#addLinks(repository, manifest, children));
  }

  /**
   * What rests here and counts as stored for this repository. A file that is gone or cut short is forgotten, and so a
   * miss.
   */
  async stored(repository: Repository, digest: Digest): Promise<Manifest | undefined> {
    const { store, records, mayUse, log } = this.#options;
    const record = records.blob(digest);
    if (record?.mediaType === undefined || !mayUse(repository, digest)) return undefined;
    const bytes = await store.readAll(digest, record.size);
    if (bytes) {
      records.touch(record.id);
      return { bytes, descriptor: { digest, size: record.size, mediaType: record.mediaType } };
    }
    log.warn({ digest }, 'the file of a stored manifest is gone or cut short; it will be fetched again');
    records.deleteBlob(digest);
    return undefined;
  }

  #isThere(repository: Repository, digest: Digest): void {
    const { absences } = this.#options;
    absences.delete(repository, { digest });
    absences.delete(repository, 'tags');
  }

  #addLinks(repository: Repository, { descriptor }: Manifest, { manifests, blobs, subject }: ManifestChildren): void {
    const { records } = this.#options;
    records.addLinks(repository, [descriptor, ...manifests, ...blobs]);
    if (subject) records.addReferrer(repository, subject, descriptor.digest);
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
}

async function confirm(
  { upstream, repository }: Source,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<ManifestAnswer | undefined> {
  const confirmed = await upstream.resolve(repository.path, { digest: manifest.descriptor.digest }, signal);
  return confirmed && { manifest, outcome: 'revalidated' };
}

async function fetch(
  { upstream, repository }: Source,
  digest: Digest,
  signal: AbortSignal,
): Promise<ManifestAnswer | undefined> {
  const manifest = await upstream.fetchManifest(repository.path, { digest }, signal);
  return manifest && { manifest, outcome: 'miss' };
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
