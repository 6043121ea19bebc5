// Row: from the start of the process to its first answer, with nothing in the cache and with very much.
import { join } from 'node:path';
import { PeerMirror } from '../../test/support/peer-mirror.ts';
import { tempDir } from '../../test/support/temp-dir.ts';
import { makeFullCache } from '../full-cache.ts';
import { medianOf, promise, type Section } from './report.ts';
import type { Scene } from './scene.ts';
import { takeTurns } from './turns.ts';

const mostSeconds = { empty: 0.6, full: 2 } as const;
const repository = { registry: 'docker.io', path: 'library/full' };
/** Nobody is there: whatever is served comes from the cache. */
const upstream = 'http://127.0.0.1:9';

export async function startup(scene: Scene): Promise<Section> {
  await using dir = await tempDir('full');
  const [digest] = makeFullCache(join(dir.path, 'v1'), { blobs: scene.blobs, wanted: 1, repository });
  const firstPath = `/v2/${repository.path}/blobs/${digest}`;
  const servers = [
    { name: 'stillwater, empty', port: 0, pids: [] },
    { name: `stillwater, ${scene.blobs} blobs`, port: 0, pids: [] },
  ] as const;
  const [empty, full] = servers;
  const name = 'from the start of the process to the first answer, of a stored blob where there are any';
  const one = await takeTurns(scene, { name, unit: 's', servers }, async (server) => {
    const cache = server === full ? { cache: { dir: dir.path, maxSize: '10TiB' }, firstPath } : {};
    await using mirror = await PeerMirror.start({ upstream, ...cache });
    return { value: mirror.firstAnswerMs / 1000 };
  });
  const promises = [
    promise('seconds to the first answer, empty cache', medianOf(one, empty.name), { atMost: mostSeconds.empty }),
    promise(`seconds to the first answer, ${scene.blobs} blobs`, medianOf(one, full.name), {
      atMost: mostSeconds.full,
    }),
  ];
  return { row: 'startup', cases: [one], promises };
}
