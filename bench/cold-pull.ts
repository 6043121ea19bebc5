// A cold `docker pull` of six layers of 64 MiB, directly and through the mirror, from an upstream that is far and slow.
// npm run bench:cold-pull -- [RUNS]. Needs root, dockerd and containerd.
import { Dockerd } from '../test/support/dockerd.ts';
import { startMirror } from '../test/support/mirror-process.ts';
import { type Shape, UpstreamProcess } from '../test/support/upstream-process.ts';
import { median, printTable, progress } from './table.ts';

const [runs = 3] = process.argv.slice(2).map(Number);
const mebibyte = 1024 * 1024;
const layerCount = 6;
/** 20 MB/s a connection, 40 ms a round trip, the handshake of a connection included. */
const far: Shape = { bytesPerSecond: 20e6, delayMs: 40, connectDelayMs: 40 };

// The last one is for the floor: what the daemon itself needs when the upstream is near and fast.
const images = Array.from({ length: runs + 1 }, (_, run) => ({
  repository: `library/cold-${run}`,
  layers: Array.from({ length: layerCount }, (_, layer) => ({
    ...{ size: 64 * mebibyte, seed: 100 * (run + 1) + layer },
    kind: 'tar' as const,
  })),
}));
await using upstream = await UpstreamProcess.start({ images });
await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
await using direct = await Dockerd.start({ mirrors: [upstream.url], storageDriver: 'overlay2' });
await using through = await Dockerd.start({ mirrors: [mirror.url], storageDriver: 'overlay2' });

await upstream.reshape({});
const floor = await pullSeconds(direct, `cold-${runs}`);
await upstream.reshape(far);
const seconds = { direct: [] as number[], through: [] as number[] };
for (let run = 0; run < runs; run++) {
  const turns = [
    ['direct', direct],
    ['through', through],
  ] as const;
  for (const [name, daemon] of run % 2 === 0 ? turns : turns.toReversed()) {
    seconds[name].push(await pullSeconds(daemon, `cold-${run}`));
    progress(`run ${run + 1}, ${name}: ${seconds[name].at(-1)?.toFixed(2)} s`);
  }
}

const directSeconds = median(seconds.direct);
const throughSeconds = median(seconds.through);
const ratio = throughSeconds / directSeconds;
const list = (values: readonly number[]) => values.map((value) => value.toFixed(2)).join(' ');
printTable([
  ['image', `${layerCount} layers of 64 MiB, incompressible`],
  ['upstream', '20 MB/s a connection, 40 ms a round trip'],
  ['direct pulls, s', list(seconds.direct)],
  ['pulls through the mirror, s', list(seconds.through)],
  ['direct, median, s', directSeconds.toFixed(2)],
  ['through, median, s', throughSeconds.toFixed(2)],
  ['ratio (at most 0.6)', ratio.toFixed(2), ratio <= 0.6],
  ['floor: the same from a near, fast upstream, s', floor.toFixed(2)],
]);

async function pullSeconds(daemon: Dockerd, image: string): Promise<number> {
  const startedAt = performance.now();
  await daemon.docker('pull', '--quiet', image);
  const taken = (performance.now() - startedAt) / 1000;
  const layers = await daemon.docker('inspect', '--format', '{{len .RootFS.Layers}}', image);
  if (Number(layers) !== layerCount) throw new Error(`${image} arrived with ${layers.trim()} layers`);
  await daemon.forget(image);
  return taken;
}
