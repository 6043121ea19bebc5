// 50 clients read a 1 GiB blob while it arrives: what that costs the mirror in memory, CPU and event-loop delay.
// npm run bench:arriving -- [CLIENTS] [MIB] [UPSTREAM_MB_PER_SECOND]
import { readFile } from 'node:fs/promises';
import { startMirror } from '../test/support/mirror-process.ts';
import { StartedProcess } from '../test/support/started-process.ts';
import { UpstreamProcess } from '../test/support/upstream-process.ts';

const [clients = 50, mebibytes = 1024, megabytesPerSecond = 200] = process.argv.slice(2).map(Number);
const size = mebibytes * 1024 * 1024;

await using upstream = await UpstreamProcess.start({ size, seed: 21, bytesPerSecond: megabytesPerSecond * 1e6 });
await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
const { repository, layer } = upstream.info;
const manifest = await fetch(`${mirror.url}/v2/${repository}/manifests/latest`);
if (!manifest.ok) throw new Error(`the manifest was refused: ${manifest.status} ${await manifest.text()}`);
await manifest.arrayBuffer();

const before = await cpuSeconds(mirror.pid);
const startedAt = performance.now();
const format = '%{http_code} %{size_download} %{time_starttransfer}\n';
const url = `${mirror.url}/v2/${repository}/blobs/${layer}`;
const readers = Array.from(
  { length: clients },
  () => new StartedProcess('curl', 'curl', ['--silent', '--output', '/dev/null', '--write-out', format, url]),
);
await Promise.all(readers.map((reader) => reader.exited));
const seconds = (performance.now() - startedAt) / 1000;
const cpu = (await cpuSeconds(mirror.pid)) - before;

const answers = readers.map((reader) => (reader.stdout[0] ?? '0 0 0').split(' ').map(Number));
const whole = answers.filter(([status, received]) => status === 200 && received === size).length;
const firstByte = Math.max(...answers.map(([, , first]) => first ?? Infinity));
const stats = await upstream.stats();
const lag = await metric('nodejs_eventloop_lag_p99_seconds');
const rows = {
  'clients that got every byte': `${whole} of ${clients}`,
  'upstream requests for the blob': stats.blobGets,
  'upstream bytes / blob size': (stats.bytesSent / size).toFixed(3),
  'wall time, s': seconds.toFixed(1),
  'served, GB/s': ((size * whole) / seconds / 1e9).toFixed(2),
  'slowest first byte, s': firstByte.toFixed(3),
  'mirror CPU, s': cpu.toFixed(1),
  'mirror CPU, s per GB served': (cpu / ((size * whole) / 1e9)).toFixed(3),
  'mirror peak RSS, MiB (under 250)': (await peakRssKib(mirror.pid)) / 1024,
  'event-loop delay p99, ms (under 20)': lag === undefined ? 'no such metric' : (lag * 1000).toFixed(1),
};
for (const [name, value] of Object.entries(rows)) process.stdout.write(`${name.padEnd(40)} ${value}\n`);

async function peakRssKib(pid: number): Promise<number> {
  return Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** utime and stime, in ticks of 1/100 s. */
async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function metric(name: string): Promise<number | undefined> {
  const found = new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(await mirror.metrics());
  return found ? Number(found[1]) : undefined;
}
