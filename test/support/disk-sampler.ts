// Measures a file system ten times a second, in a thread of its own that a busy test cannot hold up.
import { once } from 'node:events';
import { statfsSync, statSync } from 'node:fs';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

export type DiskSamples = { readonly samples: number; readonly longestGapMs: number; readonly mostBytes: number };

type Task = { readonly root: string; readonly except: readonly string[] };

const everyMs = 100;

export class DiskSampler {
  readonly #worker: Worker;

  /** Counts what is allocated below the mount `root`, less the files `except`. */
  constructor(root: string, except: readonly string[]) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: { root, except } satisfies Task });
  }

  async stop(): Promise<DiskSamples> {
    this.#worker.postMessage('stop');
    const [samples] = (await once(this.#worker, 'message')) as [DiskSamples];
    return samples;
  }
}

if (!isMainThread && parentPort && workerData?.root !== undefined) sampleUntilStopped(parentPort, workerData as Task);

function sampleUntilStopped(port: NonNullable<typeof parentPort>, { root, except }: Task): void {
  let samples = 0;
  let longestGapMs = 0;
  let mostBytes = 0;
  let lastAt = performance.now();
  const sample = () => {
    const now = performance.now();
    longestGapMs = Math.max(longestGapMs, now - lastAt);
    lastAt = now;
    // A log may be cut between two looks: what either saw is spared.
    const before = sparedBytes(except);
    const { blocks, bfree, bsize } = statfsSync(root);
    const spared = Math.max(before, sparedBytes(except));
    mostBytes = Math.max(mostBytes, (blocks - bfree) * bsize - spared);
    samples++;
  };
  const timer = setInterval(sample, everyMs);
  port.once('message', () => {
    clearInterval(timer);
    sample();
    port.postMessage({ samples, longestGapMs, mostBytes } satisfies DiskSamples);
    port.close();
  });
}

function sparedBytes(files: readonly string[]): number {
  return files.reduce((sum, file) => sum + 512 * (statSync(file, { throwIfNoEntry: false })?.blocks ?? 0), 0);
}
