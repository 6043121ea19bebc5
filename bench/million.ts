// A cache of a million blobs: how soon it is ready, what it weighs, and what it does to clients while it looks around.
// npm run bench:million -- [BLOBS] [LONGEST_PASS_SECONDS]. Takes about 5 GB of the disk under the temporary directory.
import { readFile } from 'node:fs/promises';
import { Agent, get } from 'node:http';
import { join } from 'node:path';
import { Records } from '../src/store/records.ts';
import { startMirror } from '../test/support/mirror-process.ts';
import { tempDir } from '../test/support/temp-dir.ts';
import { makeFullCache, makeOrphan } from './full-cache.ts';
import { printTable, quantile } from './table.ts';

const [blobs = 1_000_000, passSeconds = 600] = process.argv.slice(2).map(Number);
const wanted = 1000;
const hitSeconds = 30;
const touchesPerSecond = 10_000;
const touchSeconds = 30;
const repository = { registry: 'docker.io', path: 'library/million' };

await using dir = await tempDir('million');
const root = join(dir.path, 'v1');
const index = join(root, 'index.db');
const digests = makeFullCache(root, { blobs, wanted, repository });
makeOrphan(root);

const startedAt = performance.now();
// Nobody is there: whatever is served comes from the cache.
const mirror = await startMirror({
  upstreams: { 'docker.io': 'http://127.0.0.1:9' },
  config: { cache: { maxSize: '10TiB' } },
  cacheDir: dir.path,
});
const readyMs = performance.now() - startedAt;
const readyMebibytes = await memoryMebibytes('VmRSS');
const hits = await hitsFor(hitSeconds);
const passMs = await passedAfter();
const afterMebibytes = await memoryMebibytes('VmRSS');
const peakMebibytes = await memoryMebibytes('VmHWM');
const lag = await mirror.metric('nodejs_eventloop_lag_p99_seconds');
const kept = await mirror.metric('stillwater_cache_blobs');
await mirror[Symbol.asyncDispose]();
const touches = await touchCost();

printTable([
  ['blobs in the index and on the disk', blobs],
  ['from process start to /readyz, ms (at most 2000)', readyMs.toFixed(0), readyMs <= 2000],
  ['RSS when ready, MiB (at most 300)', readyMebibytes.toFixed(0), readyMebibytes <= 300],
  ['RSS after the pass over the disk, MiB (at most 300)', afterMebibytes.toFixed(0), afterMebibytes <= 300],
  ['peak RSS, MiB', peakMebibytes.toFixed(0)],
  [
    'the pass over the disk, s',
    passMs === undefined ? `not over after ${passSeconds}` : (passMs / 1000).toFixed(1),
    passMs !== undefined,
  ],
  ['blobs after it, one of them found on the disk', kept ?? 'no such metric', kept === blobs + 1],
  ['hits a second meanwhile, 16 connections', (hits.count / hitSeconds).toFixed(0)],
  ['hits that failed', hits.failed, hits.failed === 0],
  ['a hit, median / p99 / longest, ms', hits.times],
  ['event-loop delay p99, ms', lag === undefined ? 'no such metric' : (lag * 1000).toFixed(1)],
  [`share of a core for ${touchesPerSecond} touches a second (under 5 %)`, touches.text, touches.share < 0.05],
]);

async function hitsFor(seconds: number) {
  const endAt = performance.now() + seconds * 1000;
  const times: number[] = [];
  let failed = 0;
  const client = async (first: number) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (let number = first; performance.now() < endAt; number++) {
      const url = `${mirror.url}/v2/${repository.path}/blobs/${digests[number % digests.length]}`;
      const askedAt = performance.now();
      if ((await statusOf(url, agent)) !== 200) failed++;
      times.push(performance.now() - askedAt);
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: 16 }, (_, number) => client(number * 61)));
  const shown = [0.5, 0.99, 1].map((share) => quantile(times, share).toFixed(1)).join(' / ');
  return { count: times.length, failed, times: shown };
}

function statusOf(url: string, agent: Agent): Promise<number> {
  return new Promise((resolve) => {
    const asked = get(url, { agent }, (answer) => {
      answer.resume();
      answer.once('close', () => resolve(answer.complete ? (answer.statusCode ?? 0) : 0));
    });
    asked.once('error', () => resolve(0));
  });
}

/** From the start to the pass's own line in the log; `undefined` when it takes too long. */
async function passedAfter(): Promise<number | undefined> {
  const isOver = () => mirror.logs.some(({ adopted }) => adopted === 1);
  while (!isOver()) {
    if (performance.now() - startedAt > passSeconds * 1000) return undefined;
    await new Promise<void>((resolve) => setTimeout(resolve, 100));
  }
  return performance.now() - startedAt;
}

async function memoryMebibytes(field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${mirror.pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
}

/** In this process, on the same index: what touches cost besides the timer that makes them, flushes included. */
async function touchCost(): Promise<{ share: number; text: string }> {
  const records = new Records(index);
  const tick = 10;
  const perTick = (touchesPerSecond * tick) / 1000;
  const spend = async (touch: boolean) => {
    const before = process.cpuUsage();
    const beganAt = performance.now();
    let done = 0;
    while (done < touchSeconds * touchesPerSecond) {
      await new Promise<void>((resolve) => setTimeout(resolve, tick));
      const due = Math.min(touchSeconds * touchesPerSecond, ((performance.now() - beganAt) / tick) * perTick);
      for (; done < due; done++) if (touch) records.touch(1 + Math.floor(Math.random() * blobs));
    }
    if (touch) records.flush();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / (performance.now() - beganAt);
  };
  const idle = await spend(false);
  const share = (await spend(true)) - idle;
  records.close();
  return { share, text: `${(100 * share).toFixed(2)} %` };
}
