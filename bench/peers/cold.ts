// Rows: 256 MiB that nobody has yet, to one client and to sixteen; and what four get of a layer while it arrives.
import type { LoadResult } from '../../test/support/load-job.ts';
import { peakRssMebibytes, resetPeakRss } from '../../test/support/peer-usage.ts';
import { sizes } from './content.ts';
import { type Case, medianOf, promise, type Sample, type Section, sampleOf } from './report.ts';
import type { Scene, Server } from './scene.ts';
import { loadFor, takeTurns } from './turns.ts';
import { coldLayer, openUplink, prove, settled, type Uplink } from './uplink.ts';

const size = sizes['256 MiB'];
const megabytesPerSecond = 100;
const many = 16;
const mostOfOne = 1.15;
const leastOfHit = 0.8;

export async function cold(scene: Scene): Promise<Section> {
  const cases: Case[] = [];
  const promises = [];
  for (const rate of [megabytesPerSecond, undefined]) {
    await using opened = new AsyncDisposableStack();
    const uplink = await openUplink(opened, rate === undefined ? undefined : rate * 1e6);
    const words = rate === undefined ? 'an upstream without a rate' : `an uplink of ${rate} MB/s`;
    const name = (clients: number) =>
      `256 MiB, cold, ${clients} client${clients === 1 ? '' : 's'}, ${words}: the last is done`;
    const both = [uplink.registry, uplink.mirror];
    const one = await coldTurns(scene, uplink, { name: name(1), clients: 1, servers: both });
    const all = await coldTurns(scene, uplink, { name: name(many), clients: many, servers: [uplink.mirror] });
    // It fetches once for every client: with a rate that takes so long that once has to be enough.
    const alone = { ...scene, rounds: rate === undefined ? scene.rounds : 1 };
    const peer = await coldTurns(alone, uplink, { name: name(many), clients: many, servers: [uplink.registry] });
    const together = { ...all, figures: [...peer.figures, ...all.figures] };
    cases.push(one, together);
    const ratio = medianOf(all, 'stillwater') / medianOf(one, 'stillwater');
    const told = `stillwater, last of ${many} / one alone, ${words}`;
    // Without a rate the sixteen wait for the cores that send, not for the upstream.
    promises.push(rate === undefined ? { name: told, value: ratio } : promise(told, ratio, { atMost: mostOfOne }));
  }
  return { row: 'cold', cases, promises };
}

type ColdTurns = { readonly name: string; readonly clients: number; readonly servers: readonly Server[] };

function coldTurns(scene: Scene, uplink: Uplink, { name, clients, servers }: ColdTurns): Promise<Case> {
  return takeTurns(scene, { name, unit: 's', servers }, async (server, round) => {
    const { result, peak } = await coldPull(scene, { uplink, server, clients, isProven: round === 0 });
    return sampleOf(result, Math.max(...result.totalMs) / 1000, peak);
  });
}

type ColdPull = {
  readonly uplink: Uplink;
  readonly server: Server;
  readonly clients: number;
  readonly isProven: boolean;
};

async function coldPull(scene: Scene, { uplink, server, clients, isProven }: ColdPull) {
  const image = await uplink.origin.addImage('cold', [size]);
  const request = await coldLayer(server, image);
  resetPeakRss(server.pids);
  const { port, pids } = server;
  const result: LoadResult = await scene.client.run({
    port,
    pids,
    requests: [request],
    connections: clients,
    answers: clients,
  });
  await settled(server, request);
  // The load client looks at lengths alone.
  if (isProven) await prove(server, request.path);
  await uplink.origin.forget(image);
  return { result, peak: peakRssMebibytes(pids) };
}

export async function arriving(scene: Scene): Promise<Section> {
  await using opened = new AsyncDisposableStack();
  const uplink = await openUplink(opened);
  const clients = 4;
  const stored = { ...scene.registry, name: 'docker-registry, hit' };
  const coming = { ...uplink.mirror, name: 'stillwater, arriving' };
  const measure = async (server: Server, round: number): Promise<Sample> => {
    if (server === stored)
      return loadFor(scene, stored, {
        requests: [scene.content.request('256 MiB')],
        connections: clients,
        unit: 'GB/s',
      });
    const { result, peak } = await coldPull(scene, { uplink, server: uplink.mirror, clients, isProven: round === 0 });
    return sampleOf(result, result.bytes / 1e9 / result.seconds, peak);
  };
  const name = `256 MiB to ${clients} clients: while it arrives, and from the peer's cache`;
  const one = await takeTurns(scene, { name, unit: 'GB/s', servers: [stored, coming] }, measure);
  const ratio = medianOf(one, coming.name) / medianOf(one, stored.name);
  return {
    row: 'arriving',
    cases: [one],
    promises: [promise('stillwater arriving / docker-registry hit', ratio, { atLeast: leastOfHit })],
  };
}
