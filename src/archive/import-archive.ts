// `docker save` and OCI image layouts taken in: read once as they arrive, proven, and kept whole or not at all.
import type { Absences } from '../mirror/absences.ts';
import type { Budget } from '../mirror/budget.ts';
import type { Evictor } from '../mirror/evictor.ts';
import type { Fills } from '../mirror/fills.ts';
import type { Pins } from '../mirror/pins.ts';
import type { Digest } from '../oci/digest.ts';
import { formatImage } from '../oci/image-name.ts';
import type { Repository } from '../oci/repository.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Disk } from '../store/disk.ts';
import type { Layout } from '../store/layout.ts';
import type { Records } from '../store/records.ts';
import type { Spools } from '../store/spools.ts';
import { ArchiveError } from './archive-error.ts';
import { ArchiveFiles } from './archive-files.ts';
import { ArchiveRoom } from './archive-room.ts';
import { ArchiveWork } from './archive-work.ts';
import { Arrivals } from './arrivals.ts';
import type { FoundImage } from './found-image.ts';
import { keepImages } from './keep-images.ts';
import { nameImages } from './name-images.ts';
import { planImages } from './plan-images.ts';
import { dockerFile, type ReadDockerArchiveOptions, readDockerArchive } from './read-docker-archive.ts';
import { indexFile, layoutFile, readImageLayout } from './read-image-layout.ts';
import { tarEntries } from './tar-entries.ts';
import { unpacked } from './unpack.ts';

/** Of an open cache. */
export interface ArchiveParts {
  readonly records: Records;
  readonly store: BlobStore;
  readonly spools: Pick<Spools, 'verifier'>;
  readonly layout: Pick<Layout, 'spools'>;
  readonly budget: Pick<Budget, 'reserve' | 'limit'>;
  readonly evictor: Pick<Evictor, 'remove' | 'pinnedBytes'>;
  readonly pins: Pick<Pins, 'isCurrent' | 'refresh' | 'isPinned'>;
  readonly fills: Pick<Fills, 'find'>;
  readonly disk: Pick<Disk, 'problem' | 'report'>;
  readonly absences: Pick<Absences, 'delete'>;
}

export interface ImportedImage {
  /** `docker.io/library/redis:7` */
  readonly image: string;
  readonly digest: Digest;
  /** Of its manifests, configs and layers. */
  readonly bytes: number;
}

export type ImportEvent =
  /** So much of the archive has been read, as it was sent; again and again. */
  | { readonly type: 'progress'; readonly receivedBytes: number }
  /** It can be pulled now. All of them come at the end. */
  | ({ readonly type: 'image' } & ImportedImage);

export interface ImportOptions {
  /** A tar, plain or packed by gzip or zstd. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Of the body, where that is known. */
  readonly sizeBytes?: number | undefined;
  /** Its repository for a name as people write it; throws for one that cannot be pulled here. */
  readonly resolve: (name: string) => Repository;
  /** REPO or REPO:TAG: for an archive whose image has no name, or should have another. */
  readonly name?: string | undefined;
  readonly signal: AbortSignal;
  readonly onEvent?: (event: ImportEvent) => void;
}

const progressBytes = 8 * 1024 * 1024;

/**
 * Rejects with the signal's reason, with `ArchiveError` for an archive that is not what it says, or too large, or with an
 * error of the disk's; always with one line, and with nothing kept.
 */
export async function importArchive(parts: ArchiveParts, options: ImportOptions): Promise<readonly ImportedImage[]> {
  const { signal, onEvent = () => {} } = options;
  const imported = await takeIn(parts, { ...options, onEvent }).catch((cause: unknown) => {
    signal.throwIfAborted();
    if (cause instanceof ArchiveError) throw cause;
    parts.disk.report(cause);
    throw new Error(`the archive could not be taken in: ${(cause as Error).message}`, { cause });
  });
  for (const image of imported) onEvent({ type: 'image', ...image });
  return imported;
}

async function takeIn(
  parts: ArchiveParts,
  { body, sizeBytes = 0, onEvent, signal, ...naming }: ImportOptions & { onEvent: (event: ImportEvent) => void },
): Promise<ImportedImage[]> {
  const room = await ArchiveRoom.measure({ ...parts, signal });
  room.check(sizeBytes);
  const unpacking = { mostBytes: room.mostBytes, signal };
  const work = new ArchiveWork(signal);
  await using arrivals = await Arrivals.open({ ...parts, room, signal });
  const files = new ArchiveFiles();
  for await (const entry of tarEntries(unpacked(watched(body, onEvent), unpacking), signal)) {
    if (entry.target === undefined) files.add(await arrivals.receive(entry));
    else files.addLink(entry.name, entry.target);
  }
  const named = nameImages(await imagesIn(files, { unpacking, work }), naming);
  await keepImages(await planImages(named, work), { ...parts, signal });
  const bytes = new Map(Array.from(new Set(named.map(({ found }) => found)), (found) => [found, bytesOf(found)]));
  return named.map(({ found, repository, reference }) => ({
    image: formatImage(repository, reference),
    digest: found.digest,
    bytes: bytes.get(found) ?? 0,
  }));
}

async function* watched(
  body: AsyncIterable<Uint8Array>,
  onEvent: (event: ImportEvent) => void,
): AsyncGenerator<Uint8Array> {
  let [receivedBytes, told] = [0, 0];
  for await (const chunk of body) {
    yield chunk;
    receivedBytes += chunk.length;
    if (receivedBytes - told < progressBytes) continue;
    told = receivedBytes;
    onEvent({ type: 'progress', receivedBytes });
  }
  onEvent({ type: 'progress', receivedBytes });
}

/** What is both, as Docker writes it since version 25, is an image layout: that has the manifests as they were pulled. */
function imagesIn(files: ArchiveFiles, options: ReadDockerArchiveOptions): Promise<FoundImage[]> {
  if (files.find(layoutFile)) return readImageLayout(files, options.work);
  if (files.find(dockerFile)) return readDockerArchive(files, options);
  throw new ArchiveError(
    `the archive is neither an OCI image layout (${layoutFile}, ${indexFile}) nor what docker save writes (${dockerFile})`,
  );
}

function bytesOf({ manifests, blobs }: FoundImage): number {
  const sizes = [...manifests.map(({ descriptor }) => descriptor.size), ...blobs.map(({ file }) => file.sizeBytes)];
  return sizes.reduce((sum, bytes) => sum + bytes, 0);
}
