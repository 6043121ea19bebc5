// A mirror whose upstreams are all away, and everything that it keeps, to be compared before and after.
import { readdir, readFile } from 'node:fs/promises';
import { exportImages } from '../../src/archive/export-images.ts';
import { type ImportOptions, importArchive } from '../../src/archive/import-archive.ts';
import { parseImageName } from '../../src/oci/image-name.ts';
import type { Platform } from '../../src/oci/platform.ts';
import type { Repository } from '../../src/oci/repository.ts';
import { patient, readAll, type StartedMirror, type StartMirrorOptions, startMirror } from '../mirror/start-mirror.ts';
import { type Entry, inPieces, sha256, tarOf } from './tar-content.ts';

const nowhere = { url: 'http://127.0.0.1:9' };

export class ArchiveScene implements AsyncDisposable {
  readonly mirror: StartedMirror;

  private constructor(mirror: StartedMirror) {
    this.mirror = mirror;
  }

  static async start(options: Partial<StartMirrorOptions> = {}): Promise<ArchiveScene> {
    return new ArchiveScene(await startMirror({ upstreams: { 'docker.io': nowhere, 'ghcr.io': nowhere }, ...options }));
  }

  resolve(name: string): Repository {
    return this.mirror.source(name).repository;
  }

  async import(archive: Uint8Array | readonly Entry[], options: Partial<ImportOptions> = {}) {
    const bytes = archive instanceof Uint8Array ? archive : await tarOf(archive);
    const resolve = (name: string) => this.resolve(name);
    return await importArchive(this.mirror, { body: inPieces(bytes), signal: patient, resolve, ...options });
  }

  async export(images: readonly string[], platforms?: readonly Platform[] | 'all'): Promise<Buffer> {
    const { body } = await this.openExport(images, platforms);
    return Buffer.concat(await Array.fromAsync(body));
  }

  openExport(images: readonly string[], platforms?: readonly Platform[] | 'all', signal = patient) {
    const wished = images.map((image) => {
      const { name, reference } = parseImageName(image);
      return { repository: this.resolve(name), reference };
    });
    return exportImages(this.mirror, { images: wished, platforms, signal });
  }

  /** Its manifest as a client gets it, with no upstream to ask. */
  async pulled(image: string) {
    const { name, reference } = parseImageName(image);
    const answer = await this.mirror.mirror.getManifest(this.mirror.source(name), reference, patient);
    return answer?.manifest;
  }

  async blob(name: string, digest: string): Promise<Buffer | undefined> {
    const { reference } = parseImageName(`${name}@${digest}`);
    if ('tag' in reference) throw new Error('a digest is no tag');
    const opened = await this.mirror.mirror.openBlob(this.mirror.source(name), reference.digest, patient);
    return opened && (await readAll(opened.content));
  }

  /** Every record and every file. */
  async kept(): Promise<object> {
    const { records, layout } = this.mirror;
    const repositories = records.repositories(1000);
    const tags = repositories.flatMap((name) => {
      const [registry = '', ...path] = name.split('/');
      const repository = { registry, path: path.join('/'), isPrivate: true };
      return records.tags(repository, 1000).map((tag) => `${name}:${tag} ${records.tag(repository, tag)?.digest}`);
    });
    const blobs = records.blobsAfter('', 10_000).map(({ digest, mediaType }) => `${digest} ${mediaType}`);
    const files = await readdir(layout.blobs, { recursive: true, withFileTypes: true }).catch(() => []);
    const stored: string[] = [];
    for (const file of files.filter((entry) => entry.isFile())) {
      const digest = sha256(await readFile(`${file.parentPath}/${file.name}`));
      if (digest !== `sha256:${file.name}`) throw new Error(`a stored file is not what its name says: ${file.name}`);
      stored.push(digest);
    }
    return { repositories, tags, blobs, stored: stored.sort(), arriving: await readdir(layout.spools) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mirror[Symbol.asyncDispose]();
  }
}
