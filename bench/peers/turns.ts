// Servers take turns, in the other order every second round, so that whatever the machine does meanwhile meets all alike.

import type { LoadJob, LoadResult } from '../../test/support/load-job.ts';
import { peakRssMebibytes, resetPeakRss } from '../../test/support/peer-usage.ts';
import { progress } from '../table.ts';
import { type Case, type Sample, sampleOf, type Unit } from './report.ts';
import type { Scene, Server } from './scene.ts';

export type Turn = (server: Server, round: number) => Promise<Sample>;
export type Turns = { readonly name: string; readonly unit: Unit; readonly servers: readonly Server[] };

export async function takeTurns(scene: Pick<Scene, 'rounds' | 'signal'>, turns: Turns, turn: Turn): Promise<Case> {
  const { name, unit, servers } = turns;
  const samples = servers.map((): Sample[] => []);
  progress(name);
  for (let round = 0; round < scene.rounds; round++) {
    const order = [...servers.keys()];
    for (const index of round % 2 === 0 ? order : order.reverse()) {
      scene.signal.throwIfAborted();
      const server = servers[index];
      if (server) samples[index]?.push(await turn(server, round));
    }
  }
  return {
    name,
    figures: servers.map((server, index) => ({ server: server.name, unit, samples: samples[index] ?? [] })),
  };
}

const measuredSeconds = 1;
const warmSeconds = 0.2;

export type Load = Pick<LoadJob, 'requests' | 'connections'>;

/** So many answers, or bytes, a second. */
export async function loadFor(
  scene: Scene,
  server: Server,
  load: Load & { readonly unit: '/s' | 'GB/s' },
): Promise<Sample> {
  const { requests, connections, unit } = load;
  const { port, tls = false, pids } = server;
  resetPeakRss(pids);
  const job = { port, tls, pids, requests, connections, seconds: measuredSeconds, warmSeconds };
  const result = await scene.client.run(job);
  return sampleOf(result, perSecond(result, unit), peakRssMebibytes(pids));
}

function perSecond({ answers, bytes, seconds }: LoadResult, unit: '/s' | 'GB/s'): number {
  return unit === '/s' ? answers / seconds : bytes / 1e9 / seconds;
}
