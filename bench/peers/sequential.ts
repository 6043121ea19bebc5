// Row: 10,000 pulls one after the other: what stays behind of them in memory and descriptors.
import { PeerMirror } from '../../test/support/peer-mirror.ts';
import { accept, blobPath, manifestPath, PeerOrigin } from '../../test/support/peer-origin.ts';
import { openDescriptors, rssMebibytes } from '../../test/support/peer-usage.ts';
import { progress } from '../table.ts';
import { sizes } from './content.ts';
import { promise, type Sample, type Section } from './report.ts';
import type { Scene } from './scene.ts';
import { fetchHash } from './warm.ts';

const pulls = 10_000;
const batches = 20;
const mostDescriptors = 2;
const mostKibibytes = 1;
/** Else garbage waits in memory until there is 100 MiB of it, and hides what is not garbage. */
const heapMebibytes = 64;

export async function sequential(scene: Scene): Promise<Section> {
  await using opened = new AsyncDisposableStack();
  const origin = opened.use(await PeerOrigin.start());
  const image = await origin.addImage('sequential', [sizes['4 KiB'], sizes['1 MiB']]);
  const nodeFlags = [`--max-old-space-size=${heapMebibytes}`];
  const mirror = opened.use(await PeerMirror.start({ upstream: origin.url, nodeFlags }));
  const manifest = { path: manifestPath(image, 'latest'), bytes: image.manifest.size, headers: accept };
  const layers = image.layers.map((layer) => ({ path: blobPath(image, layer), bytes: layer.size, headers: accept }));
  const requests = [manifest, ...layers];
  for (const { path } of requests) await fetchHash(mirror, path);
  const pids = [mirror.pid];
  const each = pulls / batches;
  const batch = () =>
    scene.client.run({
      ...{ port: mirror.port, pids, requests, connections: 1 },
      ...{ answers: each * requests.length, answersPerConnection: requests.length },
    });
  const name = `${pulls} pulls, each a connection of its own for a manifest and two layers; RSS with a heap of ${heapMebibytes} MiB`;
  progress(name);
  // What is compiled and remembered once is not counted.
  for (let count = 0; count < batches / 2; count++) await batch();
  await closed();
  const descriptorsBefore = openDescriptors(pids);
  const samples: Sample[] = [];
  for (let count = 0; count < batches; count++) {
    scene.signal.throwIfAborted();
    await batch();
    samples.push({ value: rssMebibytes(pids) });
  }
  await closed();
  const left = openDescriptors(pids) - descriptorsBefore;
  const kibibytes = (slope(samples.map(({ value }) => value)) * 1024) / each;
  return {
    row: 'sequential',
    cases: [{ name, figures: [{ server: 'stillwater', unit: 'MiB', samples }] }],
    promises: [
      promise('RSS growth, KiB a pull', kibibytes, { atMost: mostKibibytes }),
      promise('descriptors more than before', left, { atMost: mostDescriptors }),
    ],
  };
}

/** The server hears of a hang-up in a moment, though not at once. */
async function closed(): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, 1000));
}

/** Of the straight line that fits best, a step. */
function slope(values: readonly number[]): number {
  const [middle, mean] = [(values.length - 1) / 2, values.reduce((sum, value) => sum + value, 0) / values.length];
  const along = values.reduce((sum, value, index) => sum + (index - middle) * (value - mean), 0);
  return along / values.reduce((sum, _, index) => sum + (index - middle) ** 2, 0);
}
