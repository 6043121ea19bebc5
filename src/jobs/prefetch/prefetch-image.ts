// One image pulled into the cache: its manifests as a client gets them, then every blob that they name and is not here.
import { NoRoomError } from '../../mirror/fill-failure.ts';
import type { Manifests } from '../../mirror/manifests.ts';
import type { Mirror } from '../../mirror/mirror.ts';
import type { Slots } from '../../mirror/slots.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Digest } from '../../oci/digest.ts';
import { formatImage } from '../../oci/image-name.ts';
import { type Manifest, maxManifestBytes } from '../../oci/manifest.ts';
import { type Platform, platformOf } from '../../oci/platform.ts';
import type { Reference } from '../../oci/reference.ts';
import type { Content } from '../../store/content.ts';
import type { Source } from '../../upstream/upstreams.ts';
import { type ImageContents, imageContents } from './image-contents.ts';
import type { LayerReport, LayerReports } from './layer-reports.ts';
import type { PlatformWish } from './prefetch-event.ts';
import type { Retries } from './retries.ts';

export type PrefetchMirror = Pick<Mirror, 'getManifest' | 'bringBlob' | 'openBlob'>;

export interface PrefetchImageOptions {
  readonly mirror: PrefetchMirror;
  readonly manifests: Pick<Manifests, 'stored'>;
  readonly source: Source;
  readonly reference: Reference;
  readonly platforms: PlatformWish;
  readonly reports: LayerReports;
  /** Of all blobs of the prefetch. */
  readonly slots: Slots;
  /** Resolves when a blob may be begun. */
  readonly mayBegin: (signal: AbortSignal) => Promise<void>;
  /** Why its upstream is to be left alone; asked before each manifest that an index names. */
  readonly objection: () => string | undefined;
  readonly retries: Retries;
  readonly signal: AbortSignal;
}

export interface PrefetchedImage {
  digest: Digest | undefined;
  platforms: readonly string[];
  /** Fetched for it. */
  bytes: number;
  /** Why it is not here whole, in one line. */
  error: string | undefined;
  /** That is an objection: it is left to another time. */
  isSkipped: boolean;
}

class ObjectionError extends Error {}

export class ImagePrefetch {
  readonly #options: PrefetchImageOptions;
  readonly #image: string;
  /** Brought ahead of the others. */
  readonly #configs = new Set<Digest>();
  readonly #result: PrefetchedImage = {
    digest: undefined,
    platforms: [],
    bytes: 0,
    error: undefined,
    isSkipped: false,
  };

  constructor(options: PrefetchImageOptions) {
    this.#options = options;
    this.#image = formatImage(options.source.repository, options.reference);
  }

  /** Once. Rejects with the signal's reason only. */
  async run(): Promise<PrefetchedImage> {
    const { signal } = this.#options;
    try {
      await this.#run();
    } catch (error) {
      signal.throwIfAborted();
      this.#result.error = why(error);
      this.#result.isSkipped = error instanceof ObjectionError;
    }
    return this.#result;
  }

  async #run(): Promise<void> {
    const { reference, platforms } = this.#options;
    const root = await this.#manifest(reference);
    if (!root) throw new Error(`${this.#image} does not exist upstream`);
    this.#result.digest = root.descriptor.digest;
    const contents = await imageContents(root, platforms, {
      manifest: (digest) => this.#child(digest),
      platformOf: (config) => this.#platformOf(config),
    });
    this.#result.platforms = contents.platforms;
    const failure = await this.#bringAll(contents.blobs);
    this.#options.signal.throwIfAborted();
    this.#result.error = failure ?? this.#lack(contents);
  }

  /** The upstream may have come to its last pulls since the image was begun: what is here costs none. */
  async #child(digest: Digest): Promise<Manifest | undefined> {
    const { manifests, source, objection } = this.#options;
    const objected = objection();
    if (objected !== undefined && !(await manifests.stored(source.repository, digest)))
      throw new ObjectionError(objected);
    return this.#manifest({ digest });
  }

  async #manifest(reference: Reference): Promise<Manifest | undefined> {
    const { mirror, source, retries, signal } = this.#options;
    const ask = () => mirror.getManifest(source, reference, signal);
    const answer = await retries.run(source.upstream, ask, signal);
    if (answer?.outcome === 'miss') this.#result.bytes += answer.manifest.descriptor.size;
    return answer?.manifest;
  }

  #lack({ missing, available, absent }: ImageContents): string | undefined {
    if (absent.length > 0) return `${this.#image} names ${absent[0]}, which does not exist upstream`;
    if (missing.length === 0) return undefined;
    const has = available.length > 0 ? `it has ${available.join(', ')}` : 'it does not say what it runs on';
    return `${this.#image} has no ${missing.join(', ')}; ${has}`;
  }

  /** Each, whatever becomes of the others; the first failure. */
  async #bringAll(blobs: readonly Descriptor[]): Promise<string | undefined> {
    let failure: string | undefined;
    const { reports, slots, signal } = this.#options;
    const left = blobs
      .filter(({ digest }) => !this.#configs.has(digest))
      .map((blob) => ({ blob, report: reports.begin(this.#image, blob) }))
      .values();
    const work = async () => {
      for (const { blob, report } of left) {
        const error = signal.aborted ? undefined : await this.#bring(blob, report);
        failure ??= error;
      }
    };
    await Promise.all(Array.from({ length: slots.all.most }, work));
    return failure;
  }

  /** Why it is not here then. */
  async #bring(blob: Descriptor, report: LayerReport): Promise<string | undefined> {
    const { mirror, source, slots, retries, mayBegin, signal } = this.#options;
    const bring = async () => {
      const release = await slots.acquire(signal);
      try {
        await mayBegin(signal);
        return await mirror.bringBlob(source, blob, { signal, onArriving: (arrival) => report.arriving(arrival) });
      } finally {
        release();
      }
    };
    try {
      const brought = await retries.run(source.upstream, bring, signal);
      if (!brought) throw new Error(`${this.#image} names ${blob.digest}, which does not exist upstream`);
      if (brought === 'fetched') this.#result.bytes += blob.size;
      report.done(brought === 'present' ? 'present' : 'done');
      return undefined;
    } catch (error) {
      const failure = why(error);
      if (signal.aborted) report.left();
      else report.failed(failure);
      return failure;
    }
  }

  /** Of an image that no index speaks of. */
  async #platformOf(config: Descriptor): Promise<Platform | undefined> {
    const { mirror, source, reports, signal } = this.#options;
    this.#configs.add(config.digest);
    const failure = await this.#bring(config, reports.begin(this.#image, config));
    signal.throwIfAborted();
    if (failure !== undefined) throw new Error(failure);
    if (config.size > maxManifestBytes) return undefined;
    const answer = await mirror.openBlob(source, config.digest, signal);
    return answer && platformOf(parsed(await readAll(answer.content, signal)));
  }
}

async function readAll(content: Content, signal: AbortSignal): Promise<Uint8Array> {
  try {
    const bytes = new Uint8Array(content.size);
    for (let read = 0; read < content.size; ) {
      const end = await content.waitFor(read, signal);
      const length = await content.read(bytes.subarray(read, end), read);
      if (length === 0) throw new Error('a stored blob ends before its length');
      read += length;
    }
    return bytes;
  } finally {
    await content.close();
  }
}

/** `undefined` for what is no JSON: the config of something else. */
function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}

function why(error: unknown): string {
  // Unlike a client it could not read past the disk.
  if (error instanceof NoRoomError) return 'there is no room for it within cache.maxSize and cache.minFree';
  return error instanceof Error ? error.message : String(error);
}
