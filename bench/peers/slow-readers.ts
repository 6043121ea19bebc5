// Row: 500 clients that read a stored GiB slowly: what they take of the server's memory.
import { PeerMirror } from '../../test/support/peer-mirror.ts';
import { accept, blobPath, manifestPath, PeerOrigin } from '../../test/support/peer-origin.ts';
import { peakRssMebibytes, resetPeakRss, rssMebibytes } from '../../test/support/peer-usage.ts';
import { medianOf, promise, type Section } from './report.ts';
import type { Scene } from './scene.ts';
import { takeTurns } from './turns.ts';
import { prove } from './uplink.ts';
import { fetchHash } from './warm.ts';

const readers = 500;
const bytesPerSecond = 256 * 1024;
const seconds = 10;
const size = 1024 ** 3;
const mostMebibytes = 250;

export async function slowReaders(scene: Scene): Promise<Section> {
  await using opened = new AsyncDisposableStack();
  const origin = opened.use(await PeerOrigin.start());
  const image = await origin.addImage('slow', [size]);
  const [layer] = image.layers;
  if (layer === undefined) throw new Error('the image for slow readers has no layer');
  const path = blobPath(image, layer);
  // Filled by one process and served by another, as it is after a restart: a fill leaves its own peak behind.
  const filled = opened.use(await PeerMirror.start({ upstream: origin.url }));
  await fetchHash(filled, manifestPath(image, 'latest'));
  await prove({ name: 'stillwater', port: filled.port, pids: [] }, path);
  await filled.restart();
  const server = { name: 'stillwater', port: filled.port, pids: [filled.pid] };
  const name = `${readers} readers of a stored GiB, ${bytesPerSecond / 1024} KiB/s each, for ${seconds} s: peak RSS`;
  const before = rssMebibytes(server.pids);
  // Memory that was taken once is often kept: more rounds would say nothing new.
  const one = await takeTurns({ ...scene, rounds: 1 }, { name, unit: 'MiB', servers: [server] }, async () => {
    resetPeakRss(server.pids);
    const requests = [{ path, bytes: size, headers: accept }];
    const load = { port: server.port, pids: server.pids, requests, connections: readers, bytesPerSecond, seconds };
    const result = await scene.client.run(load);
    if (result.bytes < (readers * bytesPerSecond * seconds) / 2)
      throw new Error(`slow readers got ${result.bytes} bytes only, so that they prove nothing`);
    return { value: peakRssMebibytes(server.pids), serverCores: result.serverCpuSeconds / result.seconds };
  });
  return {
    row: 'slow-readers',
    cases: [one],
    promises: [
      promise(`peak RSS with ${readers} slow readers, MiB`, medianOf(one, server.name), { atMost: mostMebibytes }),
      { name: 'RSS before they came, MiB', value: before },
    ],
  };
}
