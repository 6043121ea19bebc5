// A cache directory with its index, and a log that is read back, for what goes on behind the pulls.
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pino } from 'pino';
import { createMetrics } from '../../src/observe/metrics.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { BlobStore } from '../../src/store/blob-store.ts';
import { prepareLayout } from '../../src/store/layout.ts';
import { Records } from '../../src/store/records.ts';
import { Verifier } from '../../src/store/verifier.ts';
import { tempDir } from '../support/temp-dir.ts';

export type JobScene = Awaited<ReturnType<typeof openJobScene>>;

export async function openJobScene() {
  const dir = await tempDir('job');
  const layout = await prepareLayout(dir.path);
  const records = new Records(layout.index);
  const store = new BlobStore(layout);
  const verifier = new Verifier(1);
  const warnings: string[] = [];
  const log = pino(
    { level: 'warn' },
    { write: (line: string) => warnings.push((JSON.parse(line) as { msg: string }).msg) },
  );
  const stopping = new AbortController();

  const writeBlobFile = async (bytes: string, digest = digestOf(Buffer.from(bytes))): Promise<Digest> => {
    await mkdir(dirname(layout.blob(digest)), { recursive: true });
    await writeFile(layout.blob(digest), bytes);
    return digest;
  };
  return {
    ...{
      dir: dir.path,
      layout,
      records,
      store,
      verifier,
      metrics: createMetrics(),
      log,
      warnings,
      stopping,
      writeBlobFile,
    },
    signal: stopping.signal,
    async putBlob(bytes: string): Promise<Digest> {
      const digest = await writeBlobFile(bytes);
      records.putBlob(digest, Buffer.byteLength(bytes));
      return digest;
    },
    /** The length of the blob's file; `undefined` when there is none. */
    async sizeOnDisk(digest: Digest): Promise<number | undefined> {
      return (await stat(layout.blob(digest)).catch(() => undefined))?.size;
    },
    async [Symbol.asyncDispose](): Promise<void> {
      stopping.abort();
      records.close();
      await verifier.close();
      await dir.remove();
    },
  };
}
