// Row: a real `docker pull` of four layers of 32 MiB, cold and warm, straight from the upstream and through each cache.
import { Dockerd } from '../../test/support/dockerd.ts';
import { manifestPath, type PeerImage } from '../../test/support/peer-origin.ts';
import { requireRoot, requireTools } from '../../test/support/tool.ts';
import { type Case, medianOf, type Section } from './report.ts';
import type { Scene, Server } from './scene.ts';
import { takeTurns } from './turns.ts';
import { openUplink } from './uplink.ts';
import { fetchHash } from './warm.ts';

const layers = Array.from({ length: 4 }, () => 32 * 1024 ** 2);

/** `undefined` where no daemon can run, which has been said then. */
export async function dockerPull(scene: Scene): Promise<Section | undefined> {
  if (![requireTools('dockerd', 'docker', 'containerd', 'runc'), requireRoot()].every(Boolean)) return undefined;
  await using opened = new AsyncDisposableStack();
  const { origin, registry, mirror } = await openUplink(opened);
  const direct = { name: 'direct, from nginx', port: origin.port, pids: [origin.pid] };
  const servers = [direct, registry, mirror];
  const daemons = new Map<Server, Dockerd>();
  for (const server of servers) {
    const mirrors = [`http://127.0.0.1:${server.port}`];
    daemons.set(server, opened.use(await Dockerd.start({ mirrors, storageDriver: 'overlay2' })));
  }
  const pull = async (server: Server, { repository }: PeerImage) => {
    const daemon = daemons.get(server);
    const name = repository.replace('library/', '');
    const startedAt = performance.now();
    await daemon?.docker('pull', '--quiet', name);
    const value = (performance.now() - startedAt) / 1000;
    await daemon?.forget(name);
    return { value };
  };
  const cases: Case[] = [];
  const cold = 'docker pull of 4 layers of 32 MiB, cold';
  cases.push(
    await takeTurns(scene, { name: cold, unit: 's', servers }, async (server) => {
      const image = await origin.addImage('cold', layers, 'tar');
      const sample = await pull(server, image);
      await origin.forget(image);
      return sample;
    }),
  );
  const image = await origin.addImage('warm', layers, 'tar');
  for (const server of servers) {
    await pull(server, image);
    await fetchHash(server, manifestPath(image, 'latest'));
  }
  const warm = 'docker pull of 4 layers of 32 MiB, warm';
  cases.push(await takeTurns(scene, { name: warm, unit: 's', servers }, (server) => pull(server, image)));
  const promises = cases.map((one) => ({
    name: `stillwater / docker-registry, seconds, ${one.name}`,
    value: medianOf(one, mirror.name) / medianOf(one, registry.name),
  }));
  return { row: 'docker-pull', cases, promises };
}
