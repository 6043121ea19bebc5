// Rows: blobs that are stored, small, middling and large, by one client and by many.
import { type SizeName, sizes } from './content.ts';
import { type Case, costRatio, medianOf, type Outcome, perCpu, promise, type Section } from './report.ts';
import type { Scene } from './scene.ts';
import { loadFor, takeTurns } from './turns.ts';

type Promised = { readonly connections: number; readonly leastOfNginx: number };

const promises: Readonly<Record<SizeName, Promised>> = {
  '4 KiB': { connections: 64, leastOfNginx: 0.3 },
  '1 MiB': { connections: 64, leastOfNginx: 0.6 },
  '256 MiB': { connections: 4, leastOfNginx: 0.85 },
};
/** Of large ones. */
const ofRegistry = { leastSpeed: 1.6, mostCpu: 0.25 } as const;

export async function hits(scene: Scene, size: SizeName): Promise<Section> {
  const cases: Case[] = [];
  const kept: Outcome[] = [];
  const promised = promises[size];
  const unit = sizes[size] > 1024 ** 2 ? 'GB/s' : '/s';
  for (const connections of [1, 4, 64]) {
    const isPromised = connections === promised.connections;
    const { nginx, nginxLogging, registry, mirror } = scene;
    const name = `hits of ${size}, ${connections} client${connections === 1 ? '' : 's'}`;
    const servers = [nginx, ...(isPromised ? [nginxLogging] : []), registry, mirror];
    const requests = [scene.content.request(size)];
    const one = await takeTurns(scene, { name, unit, servers }, (server) =>
      loadFor(scene, server, { requests, connections, unit }),
    );
    cases.push(one);
    if (!isPromised) continue;
    const ratio = medianOf(one, 'stillwater') / medianOf(one, 'nginx');
    kept.push(
      promise(`stillwater / nginx, ${name}`, ratio, { atLeast: promised.leastOfNginx }),
      perCpu(one, 'stillwater', 'nginx'),
    );
    if (size === '256 MiB') kept.push(...besideRegistry(one));
  }
  return { row: size, cases, promises: kept };
}

function besideRegistry(one: Case): Outcome[] {
  const speed = medianOf(one, 'stillwater') / medianOf(one, 'docker-registry');
  const cpu = costRatio(one, 'stillwater', 'docker-registry');
  return [
    promise(`stillwater / docker-registry, ${one.name}`, speed, { atLeast: ofRegistry.leastSpeed }),
    promise(`stillwater / docker-registry, CPU a GB, ${one.name}`, cpu, { atMost: ofRegistry.mostCpu }),
    // What is left of that where the kernel alone does the work.
    perCpu(one, 'nginx', 'docker-registry'),
  ];
}
