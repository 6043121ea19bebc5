// What every server of the comparison holds: one image with small, middling and large layers.
import { randomBytes } from 'node:crypto';
import { mediaTypes } from '../../test/support/fake-image.ts';
import type { LoadRequest } from '../../test/support/load-exchange.ts';
import { accept, manifestText, type PeerBlob } from '../../test/support/peer-origin.ts';
import { sha256 } from '../../test/support/served-content.ts';

export const sizes = { '4 KiB': 4 * 1024, '1 MiB': 1024 ** 2, '256 MiB': 256 * 1024 ** 2 } as const;
export type SizeName = keyof typeof sizes;
export type Thing = SizeName | 'by tag' | 'by digest';

const base = '/v2/library/bench';

export class Content {
  /** By path, in the order in which a registry takes them. */
  readonly files = new Map<string, Buffer>();
  readonly #paths: ReadonlyMap<Thing, string>;

  constructor() {
    const layers = Object.values(sizes).map((size) => this.#addBlob(randomBytes(size)));
    const config = this.#addBlob(Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux' })));
    // Each three times: a manifest of 1.5 KB, which is what most images have.
    const manifest = Buffer.from(manifestText(config, [...layers, ...layers, ...layers]));
    const [tag, digest] = [`${base}/manifests/latest`, `${base}/manifests/${sha256(manifest)}`];
    this.files.set(tag, manifest).set(digest, manifest);
    const names = Object.keys(sizes) as SizeName[];
    const blobs = names.map((name, index) => [name, `${base}/blobs/${layers[index]?.digest}`] as const);
    this.#paths = new Map<Thing, string>([['by tag', tag], ['by digest', digest], ...blobs]);
  }

  request(thing: Thing): LoadRequest {
    const path = this.#paths.get(thing) ?? '';
    return { path, headers: accept, bytes: this.files.get(path)?.length ?? 0 };
  }

  /** To a registry that takes pushes from everybody. */
  async push(url: string): Promise<void> {
    for (const [path, bytes] of this.files) {
      const digest = sha256(bytes);
      if (path.includes('/manifests/')) await put(`${url}${path}`, bytes, mediaTypes.dockerManifest);
      else {
        const begun = await fetch(`${url}${base}/blobs/uploads/`, { method: 'POST' });
        const place = new URL(begun.headers.get('location') ?? '', url);
        place.searchParams.set('digest', digest);
        await put(place, bytes, 'application/octet-stream');
      }
    }
  }

  #addBlob(bytes: Buffer): PeerBlob {
    const digest = sha256(bytes);
    this.files.set(`${base}/blobs/${digest}`, bytes);
    return { digest, size: bytes.length };
  }
}

async function put(url: string | URL, bytes: Buffer, type: string): Promise<void> {
  const answer = await fetch(url, { method: 'PUT', body: new Uint8Array(bytes), headers: { 'content-type': type } });
  if (answer.status !== 201) throw new Error(`the push failed: ${url}: ${answer.status} ${await answer.text()}`);
}
