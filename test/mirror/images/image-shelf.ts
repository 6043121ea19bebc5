// Images in an index and files that are only in memory, for the tests of who lists and purges them.
import { pino } from 'pino';
import { Evictor } from '../../../src/mirror/evictor.ts';
import type { ImageReaderOptions } from '../../../src/mirror/images/image-reader.ts';
import { ImageReader } from '../../../src/mirror/images/image-reader.ts';
import { type ImageQuery, Images } from '../../../src/mirror/images/images.ts';
import { Purge, type Purged, type PurgeTarget } from '../../../src/mirror/images/purge.ts';
import { linkBlob, usableOf } from '../../../src/mirror/links.ts';
import { Pins } from '../../../src/mirror/pins.ts';
import { createMetrics } from '../../../src/observe/metrics.ts';
import type { Descriptor } from '../../../src/oci/descriptor.ts';
import { type Digest, digestOf } from '../../../src/oci/digest.ts';
import { manifestChildren } from '../../../src/oci/manifest.ts';
import { mediaTypes } from '../../../src/oci/media-types.ts';
import type { Repository } from '../../../src/oci/repository.ts';
import { Records } from '../../../src/store/records.ts';
import { patient } from '../start-mirror.ts';

export const redis: Repository = { registry: 'docker.io', path: 'library/redis' };
export const nginx: Repository = { registry: 'docker.io', path: 'library/nginx' };
const configType = 'application/vnd.oci.image.config.v1+json';
export const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';

/** A manifest that is made, and nowhere yet. */
export interface Made extends Descriptor {
  readonly bytes: Uint8Array;
}

export function hidden(repository: Repository): Repository {
  return { ...repository, isPrivate: true };
}

/** The name is the content. */
export function blobOf(name: string): Digest {
  return digestOf(Buffer.from(name));
}

function described(name: string, mediaType = layerType): Descriptor {
  return { mediaType, digest: blobOf(name), size: name.length };
}

function manifestOf(mediaType: string, body: object): Made {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...body }));
  return { mediaType, bytes, digest: digestOf(bytes), size: bytes.length };
}

export interface ImageContents {
  readonly layers?: readonly string[];
  readonly config?: string;
  readonly subject?: Made;
  readonly foreign?: string;
}

export function imageOf({ layers = ['layer'], config = '{}', subject, foreign }: ImageContents = {}): Made {
  const elsewhere =
    foreign === undefined ? [] : [described(foreign, 'application/vnd.oci.image.layer.nondistributable.v1.tar')];
  return manifestOf(mediaTypes.ociManifest, {
    config: described(config, configType),
    layers: [...layers.map((name) => described(name)), ...elsewhere],
    ...(subject && { subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size } }),
  });
}

export function indexOf(...children: readonly (Made & { readonly platform?: object })[]): Made {
  const manifests = children.map(({ mediaType, digest, size, platform }) => ({ mediaType, digest, size, platform }));
  return manifestOf(mediaTypes.ociIndex, { manifests });
}

export class Shelf {
  readonly records = new Records(':memory:');
  readonly files = new Map<Digest, Uint8Array>();
  /** Of blobs whose fill runs. */
  readonly filling = new Set<Digest>();
  readonly pins: Pins;
  readonly images: Images;
  readonly purge: Purge;
  readonly reader: ImageReader;
  reads = 0;
  /** What is waited for before a file is read. */
  beforeRead: (digest: Digest) => Promise<void> = async () => {};
  /** What happens when a file's name has gone. */
  afterRemove: () => Promise<void> = async () => {};
  mayShare = true;

  constructor() {
    const { records } = this;
    const look = async (digest: Digest) => {
      this.reads++;
      await this.beforeRead(digest);
      return this.files.get(digest);
    };
    const remove = (digest: Digest) => {
      this.files.delete(digest);
      return this.afterRemove();
    };
    this.pins = new Pins({ records, store: { readAll: async (digest) => this.files.get(digest) } });
    const evictor = new Evictor({
      ...{ records, pins: this.pins, store: { remove }, metrics: createMetrics(), log: pino({ level: 'silent' }) },
    });
    const find = (digest: Digest) => (this.filling.has(digest) ? ({ source: { repository: {} } } as never) : undefined);
    const parts: ImageReaderOptions = {
      ...{ records, store: { look }, fills: { find }, disk: { report: () => false } },
      mayUse: usableOf(records, () => this.mayShare),
    };
    this.reader = new ImageReader(parts);
    this.images = new Images(parts);
    this.purge = new Purge({ ...parts, pins: this.pins, evictor });
  }

  /** What a pull of the manifest does, under a tag or by digest. */
  add(repository: Repository, manifest: Made, tag?: string, earlier?: Digest): Made {
    const { records, files } = this;
    const { digest, size, mediaType, bytes } = manifest;
    files.set(digest, bytes);
    if (!records.blob(digest)) records.putBlob(digest, size, mediaType);
    records.addOrigin(digest, repository);
    const children = manifestChildren(bytes, mediaType);
    records.proveLink(repository, manifest);
    records.addLinks(repository, [...children.manifests, ...children.blobs]);
    if (children.subject) records.addReferrer(repository, children.subject, digest);
    if (tag !== undefined) records.putTag(repository, tag, { digest, checkedAt: 1000, earlier });
    return manifest;
  }

  /** What the pulls of its blobs do. */
  fill(repository: Repository, ...names: readonly string[]): void {
    for (const name of names) {
      const digest = blobOf(name);
      this.files.set(digest, Buffer.from(name));
      if (!this.records.blob(digest)) this.records.putBlob(digest, name.length);
      this.records.addOrigin(digest, repository);
      linkBlob(this.records, repository, { digest, size: name.length });
    }
  }

  /** A whole image, pulled. */
  pull(repository: Repository, contents: ImageContents, tag?: string): Made {
    const image = this.add(repository, imageOf(contents), tag);
    this.fill(repository, contents.config ?? '{}', ...(contents.layers ?? ['layer']));
    return image;
  }

  list(query: Partial<ImageQuery> = {}) {
    return this.images.list({ limit: 1000, ...query }, patient);
  }

  /** As people write them. */
  async names(query: Partial<ImageQuery> = {}): Promise<string[]> {
    return (await this.list(query)).images.map(
      ({ repository, tag, digest }) => `${repository}${tag === undefined ? `@${digest}` : `:${tag}`}`,
    );
  }

  run(target: PurgeTarget): Promise<Purged> {
    return this.purge.run(target, patient);
  }

  has(...names: readonly (string | Made)[]): boolean[] {
    return names.map((name) => {
      const digest = typeof name === 'string' ? blobOf(name) : name.digest;
      const isRecorded = this.records.blob(digest) !== undefined;
      if (isRecorded !== this.files.has(digest)) throw new Error(`${digest}: record and file disagree`);
      return isRecorded;
    });
  }

  async isWhole(repository: Repository, { digest }: Made): Promise<boolean> {
    const manifest = await this.reader.stored(repository, digest);
    return manifest !== undefined && (await this.reader.isWhole(repository, manifest, patient));
  }
}
