// Row: how long a cached manifest's first byte takes, alone and while eight layers arrive.
import { LoadClient } from '../../test/support/load-client.ts';
import { quantile } from '../table.ts';
import { sizes } from './content.ts';
import { medianOf, promise, type Sample, type Section, sampleOf } from './report.ts';
import type { Scene } from './scene.ts';
import { takeTurns } from './turns.ts';
import { coldLayer, openUplink, settled } from './uplink.ts';

const fills = 8;
const fillBytes = sizes['256 MiB'] / 2;
const megabytesPerSecond = 200;
const seconds = 4;
const answersPerSecond = 250;
const mostOfIdle = 3;

export async function firstByte(scene: Scene): Promise<Section> {
  await using opened = new AsyncDisposableStack();
  const { origin, mirror } = await openUplink(opened, megabytesPerSecond * 1e6);
  const filler = opened.use(new LoadClient(scene.signal));
  const small = await origin.addImage('small', [sizes['4 KiB']]);
  await coldLayer(mirror, small);
  const manifest = { path: `/v2/${small.repository}/manifests/latest`, bytes: small.manifest.size };
  const { port, pids } = mirror;
  const ours = { port, pids, requests: [manifest] };
  // Who has nothing to do with the fills tells what they take from everybody on the machine.
  const theirs = { port: scene.nginx.port, pids: scene.nginx.pids, requests: [scene.content.request('by digest')] };
  const measure = async (asked: typeof theirs | typeof ours): Promise<Sample> => {
    const load = { ...asked, connections: 4, answersPerSecond, seconds, warmSeconds: 0.2 };
    const result = await scene.client.run(load);
    return sampleOf(result, quantile(result.firstByteMs, 0.99));
  };
  const busy = async (asked: typeof theirs | typeof ours): Promise<Sample> => {
    const images = [];
    for (let count = 0; count < fills; count++) images.push(await origin.addImage('layer', [fillBytes]));
    const requests = [];
    for (const image of images) requests.push(await coldLayer(mirror, image));
    const filling = filler.run({ port, pids, requests, connections: fills, answers: fills });
    const sample = await measure(asked);
    await filling;
    for (const request of requests) await settled(mirror, request);
    for (const image of images) await origin.forget(image);
    return sample;
  };
  const idle = { ...mirror, name: 'stillwater, idle' };
  const filling = { ...mirror, name: 'stillwater, filling' };
  const nginxIdle = { ...scene.nginx, name: 'nginx, idle' };
  const nginxBeside = { ...scene.nginx, name: 'nginx, beside the same fills' };
  const servers = [idle, filling, nginxIdle, nginxBeside];
  const name = `p99 first byte of a cached manifest, ${answersPerSecond}/s; ${fills} fills through ${megabytesPerSecond} MB/s`;
  const one = await takeTurns(scene, { name, unit: 'ms', servers }, (server) => {
    const asked = server === idle || server === filling ? ours : theirs;
    return server === filling || server === nginxBeside ? busy(asked) : measure(asked);
  });
  const ratio = medianOf(one, filling.name) / medianOf(one, idle.name);
  const ofNginx = medianOf(one, nginxBeside.name) / medianOf(one, nginxIdle.name);
  return {
    row: 'first-byte',
    cases: [one],
    promises: [
      promise('p99 while filling / idle', ratio, { atMost: mostOfIdle }),
      { name: 'p99 of nginx beside the same fills / idle', value: ofNginx },
    ],
  };
}
