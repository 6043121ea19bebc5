// Many clients want far more than the cache may hold: what the disk took at most, and how good the choice was.

import { Agent } from 'node:http';
import { join } from 'node:path';
import { parseDigest } from '../../src/oci/digest.ts';
import { Records } from '../../src/store/records.ts';
import { BlobClient } from './blob-client.ts';
import { DiskSampler } from './disk-sampler.ts';
import { IdealLru } from './ideal-lru.ts';
import { type MirrorProcess, startMirror } from './mirror-process.ts';
import { pullManifest } from './pulled-image.ts';
import { ScratchDisk } from './scratch-disk.ts';
import type { ServedContent } from './served-content.ts';
import { type ChildImage, type PlannedImage, UpstreamProcess } from './upstream-process.ts';
import { seededRandom, zipf } from './zipf.ts';

export type BudgetRun = {
  readonly budgetBytes: number;
  readonly blobBytes: number;
  readonly blobs: number;
  readonly requests: number;
  readonly clients: number;
};

export type BudgetFigures = {
  readonly samples: number;
  /** Of 100 ms each, when the sampler was on time. */
  readonly longestGapMs: number;
  /** Allocated for blobs, spools and whatever else is there but the index, at the worst sample. */
  readonly mostBytes: number;
  readonly budgetMetric: number | undefined;
  readonly evictions: number;
  readonly hitRatio: number;
  readonly idealHitRatio: number;
  readonly failures: readonly string[];
  /** Of the pinned image, what was not served from the cache, whole and right, with the upstream gone. */
  readonly unpinned: readonly string[];
  readonly seconds: number;
};

const blobsPerImage = 16;
const pinnedLayers = 3;

export async function runBudget(run: BudgetRun): Promise<BudgetFigures> {
  // The disk itself is no limit here: only the budget is.
  await using disk = await ScratchDisk.mount(3 * run.budgetBytes);
  await using upstream = await UpstreamProcess.start({ images: plannedImages(run) });
  await using mirror = await startMirror({
    upstreams: { 'docker.io': upstream.url },
    cacheDir: disk.path,
    config: { cache: { maxSize: run.budgetBytes, minFree: '1MiB', siblings: false } },
  });
  const pinnedBytes = await pullAndPin(mirror, upstream);
  const startedAt = performance.now();
  const indexFiles = ['index.db', 'index.db-wal', 'index.db-shm', 'lock'].map((name) =>
    join(mirror.cacheDir, 'v1', name),
  );
  const sampler = new DiskSampler(disk.path, indexFiles);
  const demand = await pullByDemand(run, mirror, upstream);
  const { samples, mostBytes, longestGapMs } = await sampler.stop();
  const seconds = (performance.now() - startedAt) / 1000;
  const budgetMetric = await mirror.metric('stillwater_cache_budget_bytes');
  const evictions = (await mirror.metric('stillwater_evictions_total')) ?? 0;
  return {
    ...{ samples, longestGapMs, mostBytes, budgetMetric, evictions, seconds },
    hitRatio: demand.hits / run.requests,
    idealHitRatio: idealHitRatio(demand.trace, run, pinnedBytes),
    failures: demand.failures,
    unpinned: await unpinned(mirror, upstream),
  };
}

function plannedImages({ blobs, blobBytes }: BudgetRun): PlannedImage[] {
  const crumbs = Array.from({ length: Math.ceil(blobs / blobsPerImage) }, (_, image) => ({
    repository: `library/crumbs-${image}`,
    layers: Array.from({ length: blobsPerImage }, (_, layer) => ({
      ...{ size: blobBytes, seed: image * blobsPerImage + layer },
      kind: 'crumb' as const,
    })),
  }));
  const layers = Array.from({ length: pinnedLayers }, (_, index) => ({ size: 4 * blobBytes, seed: 900_000 + index }));
  return [{ repository: 'library/pinned', layers }, ...crumbs];
}

/** Returns its bytes. Pins have no door of their own yet: the index gets it while the mirror is away. */
async function pullAndPin(mirror: MirrorProcess, upstream: UpstreamProcess): Promise<number> {
  const image = upstream.image();
  for (const [layer, url] of (await pullManifest(mirror, image)).entries())
    await new BlobClient(url, { content: await upstream.content(0, layer) }).done;
  const config = await fetch(`${mirror.url}/v2/${image.repository}/blobs/${image.config}`);
  const configSize = (await config.arrayBuffer()).byteLength;
  await mirror.stop();
  const records = new Records(join(mirror.cacheDir, 'v1', 'index.db'));
  records.pin({ registry: 'docker.io', path: image.repository }, image.tag);
  records.close();
  await mirror.restart();
  return image.layers.reduce((sum, { size }) => sum + size, image.manifestSize + configSize);
}

type Use = { readonly digest: string; readonly size: number; readonly isBlob: boolean };

async function pullByDemand(run: BudgetRun, mirror: MirrorProcess, upstream: UpstreamProcess) {
  const draw = zipf(run.blobs, 1, seededRandom(7));
  const trace: Use[] = [];
  const failures: string[] = [];
  let hits = 0;
  let asked = 0;
  const client = async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    while (asked < run.requests) {
      asked++;
      const drawn = draw();
      const index = 1 + Math.floor(drawn / blobsPerImage);
      const image = upstream.image(index);
      const layer = drawn % blobsPerImage;
      const content = await upstream.content(index, layer);
      trace.push({ digest: image.manifest, size: image.manifestSize, isBlob: false });
      const manifest = await fetch(`${mirror.url}/v2/${image.repository}/manifests/${image.manifest}`);
      await manifest.arrayBuffer();
      trace.push({ digest: content.digest, size: content.size, isBlob: true });
      const outcome = await pull(mirror, image, content, agent);
      if (!manifest.ok) failures.push(`manifest of image ${index}: ${manifest.status}`);
      if (outcome.failure) failures.push(`layer ${layer} of image ${index}: ${outcome.failure}`);
      if (outcome.isHit) hits++;
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: run.clients }, client));
  return { trace, failures, hits };
}

async function pull(mirror: MirrorProcess, { repository }: ChildImage, content: ServedContent, agent: Agent) {
  const url = `${mirror.url}/v2/${repository}/blobs/${content.digest}`;
  try {
    const result = await new BlobClient(url, { content, agent }).done;
    const isRight = result.status === 200 && result.isTrue && result.isComplete && result.received === content.size;
    const told = String(result.headers['cache-status']);
    const { status, received, isTrue, isComplete } = result;
    // Who joined a fill cost the upstream nothing, as the second of two requests costs an ideal cache nothing.
    return {
      isHit: / hit|collapsed/.test(told),
      failure: isRight ? undefined : JSON.stringify({ status, received, isTrue, isComplete, told }),
    };
  } catch (error) {
    return { isHit: false, failure: String(error) };
  }
}

function idealHitRatio(trace: readonly Use[], { budgetBytes, requests }: BudgetRun, pinnedBytes: number): number {
  const lru = new IdealLru(budgetBytes - pinnedBytes);
  const hits = trace.filter(({ digest, size, isBlob }) => lru.use(digest, size) && isBlob);
  return hits.length / requests;
}

async function unpinned(mirror: MirrorProcess, upstream: UpstreamProcess): Promise<string[]> {
  const image = upstream.image();
  const contents = await Promise.all(image.layers.map((_, layer) => upstream.content(0, layer)));
  await upstream[Symbol.asyncDispose]();
  const lost: string[] = [];
  const manifest = await fetch(`${mirror.url}/v2/${image.repository}/manifests/${image.manifest}`);
  if (parseDigest(manifest.headers.get('docker-content-digest') ?? '') !== image.manifest) lost.push('manifest');
  await manifest.arrayBuffer();
  const config = await fetch(`${mirror.url}/v2/${image.repository}/blobs/${image.config}`);
  if (!config.ok) lost.push('config');
  await config.arrayBuffer();
  for (const [layer, content] of contents.entries()) {
    const { isHit, failure } = await pull(mirror, image, content, new Agent());
    if (failure || !isHit) lost.push(`layer ${layer}: ${failure ?? 'not from the cache'}`);
  }
  return lost;
}
