// Makes the directory of a cache with very many small blobs in it, records and files.
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Digest, parseDigest } from '../src/oci/digest.ts';
import { Records } from '../src/store/records.ts';
import { progress } from './table.ts';

export type FullCache = {
  readonly blobs: number;
  /** Of these, how many the repository, which everybody may see, has; they are returned. */
  readonly wanted: number;
  readonly repository: { readonly registry: string; readonly path: string };
};

/** Below `root`, which is `v1` of a cache; returns the digests that clients will ask for. */
export function makeFullCache(root: string, { blobs, wanted, repository }: FullCache): Digest[] {
  for (let prefix = 0; prefix < 256; prefix++)
    mkdirSync(join(root, 'blobs', 'sha256', hexByte(prefix)), { recursive: true });
  mkdirSync(join(root, 'spools'));
  const records = new Records(join(root, 'index.db'));
  const some: Digest[] = [];
  const batch = 10_000;
  for (let from = 0; from < blobs; from += batch) {
    records.batch(() => {
      for (let number = from; number < Math.min(blobs, from + batch); number++) {
        const bytes = `blob ${number} of a million`;
        const hex = createHash('sha256').update(bytes).digest('hex');
        const digest = parseDigest(`sha256:${hex}`);
        if (!digest) throw new Error(`no digest: ${hex}`);
        writeFileSync(join(root, 'blobs', 'sha256', hex.slice(0, 2), hex), bytes);
        records.putBlob(digest, bytes.length);
        if (number % Math.ceil(blobs / wanted) === 0) {
          some.push(digest);
          const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
          records.addLinks(repository, [{ digest, size: bytes.length, mediaType }]);
          records.addOrigin(digest, repository);
        }
      }
    });
    if (from % 200_000 === 0) progress(`made ${from} blobs`);
  }
  records.putVerdict(repository, true, Date.now());
  records.close();
  return some;
}

/** A file that no record knows: the pass over the disk tells about it when it is over. */
export function makeOrphan(root: string): void {
  let bytes = '';
  let hex = '';
  for (let number = 0; !hex.startsWith('ff'); number++) {
    bytes = `orphan ${number}`;
    hex = createHash('sha256').update(bytes).digest('hex');
  }
  writeFileSync(join(root, 'blobs', 'sha256', 'ff', hex), bytes);
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, '0');
}
