// Scheduled prefetches by a clock that runs fast: each minute one, never two at once, clients first, and without an upstream only a line in the log.
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { until } from '../support/until.ts';
import { ask, pullWhole } from '../support/whole-pull.ts';

const clock = fileURLToPath(new URL('../support/fast-minutes.ts', import.meta.url));
let upstream: FakeUpstream;
let mirror: MirrorProcess;

beforeEach(async () => {
  upstream = await startFakeUpstream();
});

afterEach(async () => {
  await mirror?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

const everyMinute = (...images: readonly string[]) => ({ cron: '* * * * *', images });

async function start(config: Record<string, unknown>): Promise<void> {
  const command = [process.execPath, '--import', clock, 'src/main.ts'];
  mirror = await startMirror({ upstreams: { 'docker.io': upstream.url }, config, command });
}

type Running = { readonly isScheduled: boolean };
async function status(): Promise<{ schedule: { images: string[]; at: number }[]; prefetches: Running[] }> {
  return (await (await fetch(`${mirror.adminUrl}/api/v1/status`)).json()) as never;
}
const said = (text: string) => mirror.logs.filter(({ msg }) => String(msg).includes(text)).length;

test('it runs when its time comes, again at the next, and the status says when', async () => {
  upstream.addImage('library/app');
  await start({ prefetch: { schedule: [everyMinute('app'), { cron: '0 3 1 1 *', images: ['other'] }] } });
  const { schedule } = await status();
  expect(schedule.map(({ images }) => images)).toEqual([['app'], ['other']]);
  await until('it began twice', () => said('a scheduled prefetch begins') >= 2);
  await upstream.close();
  expect((await pullWhole(mirror.url, 'library/app:latest')).digests).toHaveLength(3);
});

test('one that takes longer than a minute is not run twice at once, and a client overtakes it', async () => {
  const gate = new Gate();
  const big = await upstream.addGeneratedBlob('library/app', { size: 8 * 1024 * 1024, seed: 1 });
  upstream.addImage('library/app', { layers: [big] });
  upstream.addImage('library/other');
  upstream.addImage('library/mine');
  upstream.faults.add({ path: big.digest }, { holdBody: { after: 100_000, gate } });
  await start({ prefetch: { schedule: [everyMinute('app'), everyMinute('other')] } });
  await gate.reached;
  // The other one may have come first; from now on nothing begins.
  const begun = said('a scheduled prefetch begins');
  await until('the next times have come', () => said('is left out') >= 3);
  expect(said('a scheduled prefetch begins')).toBe(begun);
  expect((await status()).prefetches).toMatchObject([{ isScheduled: true }]);
  // Whoever wants something now has it, while the schedule waits.
  await pullWhole(mirror.url, 'library/mine:latest');
  gate.open();
  await until('the other one follows', () => said('a scheduled prefetch begins') > begun);
  expect(upstream.bytesSent('blob')).toBeLessThan(2 * big.size);
});

test('offline, or with the upstream away, it says so and the mirror goes on', async () => {
  upstream.addImage('library/app');
  await start({ prefetch: { schedule: [everyMinute('app')] }, offline: true });
  await until('it began twice', () => said('a scheduled prefetch begins') >= 2);
  expect(upstream.requests).toEqual([]);
  expect((await ask(mirror.url, '/v2/')).status).toBe(200);
  expect(mirror.logs.filter(({ level }) => level === 'fatal')).toEqual([]);
});

test('one that runs when the mirror is told to stop is over at once', async () => {
  const gate = new Gate();
  const { config } = upstream.addImage('library/app');
  upstream.faults.add({ path: config.digest }, { holdHeaders: gate });
  await start({ prefetch: { schedule: [everyMinute('app')] } });
  await gate.reached;
  const at = performance.now();
  await mirror.stop();
  expect(performance.now() - at).toBeLessThan(10_000);
  gate.open();
});
