// Manifests in the cache: small, fetched whole, stored as blobs with a media type, and the source of all links.
import type { Log } from '../observe/log.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Manifest, type ManifestChildren, manifestChildren } from '../oci/manifest.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Disk } from '../store/disk.ts';
import type { Link, Records } from '../store/records.ts';
import { UpstreamError } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { Absences } from './absences.ts';
import type { Lasting } from './lasting.ts';
import { addOrigin, type Ground, type MayUse, tryToRemember } from './links.ts';
import { asLinked, manifestAt, mayGive } from './manifest-here.ts';
import type { Outcome } from './outcome.ts';
import { repositoryKey } from './repository-key.ts';
import { SingleFlight } from './single-flight.ts';

export interface ManifestAnswer {
  readonly manifest: Manifest;
  readonly outcome: Outcome;
  /** Of a hit. */
  readonly lasting?: Lasting;
}

/** What rests here and counts as stored for a repository. */
interface Here {
  readonly manifest: Manifest;
  readonly ground: Ground;
  readonly link: Link | undefined;
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
    const here = await this.#here(source.repository, digest);
    if (here && mayGive(here.ground, here.link)) return { manifest: here.manifest, outcome: 'hit' };
    if (this.#options.absences.has(source.repository, { digest })) return undefined;
    return this.ask(source, digest, here?.manifest, signal);
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
      const answer = stored
        ? await this.#confirm(source, stored, patience)
        : await this.#fetch(source, digest, patience);
      if (!answer) this.#options.absences.add(source.repository, { digest });
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

  /** What is `stored`, once the repository's upstream has said that it has it, as that calls it. */
  link(repository: Repository, stored: Manifest, { mediaType }: Descriptor): Manifest {
    const manifest = retyped(stored, mediaType);
    const children = usableChildren(repository, manifest);
    this.#isThere(repository, manifest.descriptor.digest);
    tryToRemember(this.#options.disk, () => this.#addLinks(repository, manifest, children));
    return manifest;
  }

  /**
   * What rests here and counts as stored for this repository. A file that is gone or cut short is forgotten, and so a
   * miss.
   */
  async stored(repository: Repository, digest: Digest): Promise<Manifest | undefined> {
    return (await this.#here(repository, digest))?.manifest;
  }

  /** Whether `stored` would give the same now, going by the index alone. */
  isStored(repository: Repository, descriptor: Descriptor): boolean {
    return this.#asBefore(repository, descriptor) !== undefined;
  }

  /** Whether `get` would give the same now as a hit, going by the index alone. */
  isGiven(repository: Repository, descriptor: Descriptor): boolean {
    const here = this.#asBefore(repository, descriptor);
    return here !== undefined && mayGive(here.ground, here.link);
  }

  /** Its bytes, where they are in memory. */
  remembered(digest: Digest): Uint8Array | undefined {
    return this.#options.store.remembered(digest);
  }

  async #here(repository: Repository, digest: Digest): Promise<Here | undefined> {
    const { store, records, log } = this.#options;
    const found = manifestAt(this.#options, repository, digest);
    if (!found) return undefined;
    const bytes = await store.readAll(digest, found.descriptor.size);
    if (bytes) {
      records.touch(found.id);
      const link = records.link(repository, digest);
      return { manifest: { bytes, descriptor: asLinked(found.descriptor, link) }, ground: found.ground, link };
    }
    log.warn({ digest }, 'the file of a stored manifest is gone or cut short; it will be fetched again');
    records.deleteBlob(digest);
    return undefined;
  }

  #asBefore(repository: Repository, { digest, mediaType }: Descriptor): Omit<Here, 'manifest'> | undefined {
    const found = manifestAt(this.#options, repository, digest);
    const link = found && this.#options.records.link(repository, digest);
    if (!found || asLinked(found.descriptor, link).mediaType !== mediaType) return undefined;
    return { ground: found.ground, link };
  }

  async #confirm(
    { upstream, repository }: Source,
    stored: Manifest,
    signal: AbortSignal,
  ): Promise<ManifestAnswer | undefined> {
    const told = await upstream.resolve(repository.path, { digest: stored.descriptor.digest }, signal);
    return told && { manifest: this.link(repository, stored, told.descriptor), outcome: 'revalidated' };
  }

  async #fetch(
    { upstream, repository }: Source,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<ManifestAnswer | undefined> {
    const manifest = await upstream.fetchManifest(repository.path, { digest }, signal);
    if (manifest) await this.store(repository, manifest);
    return manifest && { manifest, outcome: 'miss' };
  }

  #isThere(repository: Repository, digest: Digest): void {
    const { absences } = this.#options;
    absences.delete(repository, { digest });
    absences.delete(repository, 'tags');
  }

  #addLinks(repository: Repository, { descriptor }: Manifest, { manifests, blobs, subject }: ManifestChildren): void {
    const { records } = this.#options;
    records.batch(() => {
      records.proveLink(repository, descriptor);
      records.addLinks(repository, [...manifests, ...blobs]);
      if (subject) records.addReferrer(repository, subject, descriptor.digest);
    });
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

/** A HEAD that names a type which the bytes cannot have is no reason to keep them back. */
function retyped(manifest: Manifest, mediaType: string): Manifest {
  try {
    manifestChildren(manifest.bytes, mediaType);
  } catch {
    return manifest;
  }
  return { ...manifest, descriptor: { ...manifest.descriptor, mediaType } };
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
