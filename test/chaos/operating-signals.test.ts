// The mirror is told to stop in the middle of ten pulls: what began ends right, what comes later is refused, a second word ends it at once.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { type RawAnswer, RawClient } from '../support/raw-client.ts';
import type { ServedContent } from '../support/served-content.ts';
import { lyingFiles } from '../support/stored-files.ts';
import { until } from '../support/until.ts';

const mebibyte = 1024 * 1024;
const repository = 'library/app';
const manifestPath = `/v2/${repository}/manifests/latest`;
let upstream: FakeUpstream;
let mirror: MirrorProcess;
let stored: ServedContent;
let slow: ServedContent;
let held: ServedContent;
let manifest: ServedContent;
let gates: { readonly body: Gate; readonly tag: Gate };

beforeEach(async () => {
  upstream = await startFakeUpstream();
  // The answer to a revalidation is held by the test, and has to be waited for that long.
  const tags = { ttl: '0s', revalidateTimeout: '20s' };
  mirror = await startMirror({ upstreams: { 'docker.io': upstream.url }, config: { tags } });
  stored = await upstream.addGeneratedBlob(repository, { size: 32 * mebibyte, seed: 1 });
  slow = await upstream.addGeneratedBlob(repository, { size: 6 * mebibyte, seed: 2 });
  held = await upstream.addGeneratedBlob(repository, { size: 12 * mebibyte, seed: 3 });
  manifest = upstream.addImage(repository).manifest.content;
  gates = { body: new Gate(), tag: new Gate() };
  upstream.faults.add({ path: slow.digest }, { bytesPerSecond: 4 * mebibyte });
  upstream.faults.add({ path: held.digest }, { holdBody: { after: mebibyte, gate: gates.body } });
  await until('the blob is a hit', async () =>
    (await pull(pathOf(stored), stored)).headers['cache-status']?.endsWith('; hit'),
  );
  await pull(manifestPath, manifest);
});

afterEach(async () => {
  for (const gate of Object.values(gates ?? {})) gate.open();
  await mirror?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

const pathOf = ({ digest }: ServedContent) => `/v2/${repository}/blobs/${digest}`;
const isWhole = { isTrue: true, isComplete: true };

async function pull(path: string, content: ServedContent): Promise<RawAnswer> {
  using client = RawClient.to(mirror.url);
  const answer = await client.ask({ path }).answer({ content });
  expect(answer).toMatchObject({ status: 200, received: content.size, ...isWhole });
  return answer;
}

/** Three hits that read nothing by themselves, three of a slow fill, three of a fill that is held, one revalidation. */
async function beginTen() {
  const bodies = await Promise.all(
    [stored, slow, held].flatMap((content) =>
      [0, 1, 2].map(async (index) => {
        const start = index * 1000;
        const client = RawClient.to(mirror.url);
        const headers: Record<string, string> = index === 0 ? {} : { range: `bytes=${start}-` };
        const body = await client.ask({ path: pathOf(content), headers }).begin({ content, start });
        expect(body.status).toBe(index === 0 ? 200 : 206);
        expect(await body.take(50_000)).toBe(true);
        return body;
      }),
    ),
  );
  upstream.faults.add({ kind: 'manifest' }, { holdHeaders: gates.tag });
  const revalidation = RawClient.to(mirror.url).ask({ path: manifestPath }).answer({ content: manifest });
  await gates.tag.reached;
  return { bodies, revalidation };
}

function send(signal: NodeJS.Signals): void {
  process.kill(mirror.pid, signal);
}

const isDraining = () => mirror.logs.some(({ msg }) => msg === 'draining');

/** Until the process is gone; `mirror.stop` then tells how it went. */
async function gone(timeoutMs: number): Promise<void> {
  const { pid } = mirror;
  const isGone = () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  };
  await until('the mirror is gone', isGone, { timeoutMs });
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s: ten pulls at ten paces end right, and nobody else is taken',
  async (signal) => {
    const { bodies, revalidation } = await beginTen();
    send(signal);
    await until('it drains', isDraining);
    await expect(RawClient.to(mirror.url).ask({ path: '/v2/' }).answer()).rejects.toThrow();
    expect(await mirror.readiness()).toEqual({ isReady: false, text: expect.stringContaining('stopping') });
    gates.body.open();
    gates.tag.open();
    const [first, ...others] = bodies;
    const ended = await Promise.all([revalidation, ...others.map((body) => body.rest())]);
    // Who read nothing while the others came is not forgotten.
    ended.push((await first?.rest()) as RawAnswer);
    for (const answer of ended) expect(answer).toMatchObject(isWhole);
    await gone(30_000);
    await mirror.stop();
    expect(mirror.logs.filter(({ msg, complete }) => msg === 'request' && complete !== true)).toEqual([]);
    expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
  },
  90_000,
);

test('a second signal ends it at once, with 1, and the next start serves what was stored', async () => {
  const { bodies, revalidation } = await beginTen();
  revalidation.catch(() => {});
  send('SIGTERM');
  await until('it drains', isDraining);
  send('SIGTERM');
  await gone(5_000);
  await expect(mirror.stop()).rejects.toThrow('exit 1');
  for (const body of bodies.slice(6)) expect(await body.rest()).toMatchObject({ isTrue: true, isComplete: false });
  for (const gate of Object.values(gates)) gate.open();
  upstream.faults.clear();
  await mirror.restart();
  const asked = upstream.count({ path: stored.digest });
  await pull(pathOf(stored), stored);
  await pull(pathOf(held), held);
  expect(upstream.count({ path: stored.digest })).toBe(asked);
  await mirror.stop();
  expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
}, 90_000);
