// 1,000 connections with endless heads from one address and 200 wrong passwords a second: what others feel of it.
// npm run bench:access-flood -- [SECONDS] [CONNECTIONS] [GUESSES_PER_SECOND]
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hash } from '@node-rs/bcrypt';
import { Caller } from '../test/support/caller.ts';
import { basic } from '../test/support/fake-token-server.ts';
import type { FloodFigures, FloodOptions } from '../test/support/flood.ts';
import { startMirror } from '../test/support/mirror-process.ts';
import { StartedProcess } from '../test/support/started-process.ts';
import { tempDir } from '../test/support/temp-dir.ts';
import { UpstreamProcess } from '../test/support/upstream-process.ts';
import { printTable, progress, quantile } from './table.ts';

const [seconds = 20, connections = 1000, perSecond = 200] = process.argv.slice(2).map(Number);
const others = 16;
const layerBytes = 256 * 1024;
/** Of what `htpasswd -B` and `stillwater user add` write. */
const cost = 10;
const growthMiB = 150;
const entry = fileURLToPath(new URL('../test/support/flood-process.ts', import.meta.url));

await using dir = await tempDir('flood');
const htpasswdFile = join(dir.path, 'htpasswd');
await writeFile(htpasswdFile, `alice:${await hash('alice-secret', cost)}\n`);
await using upstream = await UpstreamProcess.start({ size: layerBytes, seed: 31 });
await using mirror = await startMirror({
  upstreams: { 'docker.io': upstream.url },
  config: { access: { htpasswdFile }, log: { level: 'warn' } },
});
const { repository, layer } = upstream.info;
const paths = [`/v2/${repository}/manifests/latest`, `/v2/${repository}/blobs/${layer}`];
const callers = Array.from({ length: others }, (_, index) => new Caller(`other ${index}`, `127.0.2.${index + 1}`));
// Half of them have shown a password, which is asked of them every time.
const known = Array.from(
  { length: others },
  (_, index) => new Caller(`known ${index}`, `127.0.4.${index + 1}`, basic('alice', 'alice-secret')),
);
await load(1);
const idle = await measured('idle', []);
const single = await measured('flood from one address', [flood(1)]);
const spread = await measured('flood from 4,000 addresses', [flood(4000)]);
const calm = await measured('idle again', []);
for (const caller of [...callers, ...known]) caller[Symbol.dispose]();

const p99 = (phase: Phase) => quantile(phase.times, 0.99);
/** Against the quieter of the two: another program that kept the machine busy for a while must not lower the bar. */
const ratio = (phase: Phase) => p99(phase) / Math.min(p99(idle), p99(calm));
printTable([
  ['seconds a phase', seconds],
  ['connections with endless heads', connections],
  ['wrong passwords a second', perSecond],
  ...phaseRows(idle),
  ...phaseRows(single),
  ['  p99 / idle (at most 3)', ratio(single).toFixed(2), ratio(single) <= 3],
  ...phaseRows(spread),
  ['  p99 / idle (at most 3)', ratio(spread).toFixed(2), ratio(spread) <= 3],
  ...phaseRows(calm),
  [`growth of RSS, MiB (at most ${growthMiB})`, growth().toFixed(0), growth() <= growthMiB],
]);

type Phase = {
  readonly name: string;
  readonly times: readonly number[];
  readonly wrong: number;
  readonly rssMiB: number;
  readonly floods: readonly FloodFigures[];
};

function phaseRows({ name, times, wrong, rssMiB, floods }: Phase) {
  const said = floods.map((figures) => JSON.stringify(figures)).join(' ');
  return [
    [`${name}: requests of others`, times.length],
    ['  p50, ms', quantile(times, 0.5).toFixed(2)],
    ['  p99, ms', quantile(times, 0.99).toFixed(2)],
    ['  not answered with 200', wrong, wrong === 0],
    ['  RSS, MiB', rssMiB.toFixed(0)],
    ...(said === '' ? [] : [['  the flood', said] as const]),
  ] as const;
}

function growth(): number {
  return Math.max(single.rssMiB, spread.rssMiB) - idle.rssMiB;
}

function flood(addresses: number): FloodOptions {
  const guesses = { perSecond, addresses, user: 'alice', path: paths[0] ?? '' };
  return { port: mirror.port, slow: { connections, address: '127.0.3.1' }, guesses };
}

async function measured(name: string, floods: readonly FloodOptions[]): Promise<Phase> {
  progress(name);
  const started = floods.map(
    (options) => new StartedProcess('flood', process.execPath, [entry, String(seconds + 2), JSON.stringify(options)]),
  );
  if (started.length > 0) await new Promise((resolve) => setTimeout(resolve, 1000));
  const { times, wrong } = await load(seconds);
  const rssMiB = await rss();
  await Promise.all(started.map((process) => process.exited));
  const figures = started.map(({ stdout }) => JSON.parse(stdout[0] ?? '{}') as FloodFigures);
  return { name, times, wrong, rssMiB, floods: figures };
}

/** Each of the others asks, waits for the answer, and asks again 20 ms later. */
async function load(forSeconds: number): Promise<{ times: number[]; wrong: number }> {
  const endAt = performance.now() + forSeconds * 1000;
  const times: number[] = [];
  let wrong = 0;
  const pull = async (caller: Caller) => {
    for (let turn = 0; performance.now() < endAt; turn++) {
      const { status, totalMs } = await caller.ask(`${mirror.url}${paths[turn % paths.length]}`);
      times.push(totalMs);
      if (status !== 200) wrong++;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await Promise.all([...callers, ...known].map(pull));
  return { times, wrong };
}

async function rss(): Promise<number> {
  return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${mirror.pid}/status`, 'utf8'))?.[1]) / 1024;
}
