// The mirror ends in the middle of bodies: when asked to, every one of them finishes first; when killed, what it left serves right.
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { type RawBody, RawClient } from '../support/raw-client.ts';
import type { ServedContent } from '../support/served-content.ts';
import { lyingFiles } from '../support/stored-files.ts';
import { until } from '../support/until.ts';

const mebibyte = 1024 * 1024;
const repository = 'library/app';
const manifest = `/v2/${repository}/manifests/latest`;
let upstream: FakeUpstream;
let mirror: MirrorProcess;
/** More than the kernel takes for a client that reads nothing. */
let stored: ServedContent;
let arriving: ServedContent;
let gate: Gate;

beforeEach(async () => {
  upstream = await startFakeUpstream();
  mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
  stored = await upstream.addGeneratedBlob(repository, { size: 64 * mebibyte, seed: 1 });
  arriving = await upstream.addGeneratedBlob(repository, { size: 24 * mebibyte, seed: 2 });
  upstream.addImage(repository);
  gate = new Gate();
  upstream.faults.add({ path: arriving.digest }, { holdBody: { after: mebibyte, gate } });
  await until('the blob is a hit', async () => (await pull(stored)).headers['cache-status']?.endsWith('; hit'));
  await pullImage();
});

afterEach(async () => {
  gate?.open();
  await mirror?.[Symbol.asyncDispose]();
  await upstream?.[Symbol.asyncDispose]();
});

const pathOf = ({ digest }: ServedContent) => `/v2/${repository}/blobs/${digest}`;

async function pull(content: ServedContent) {
  using client = RawClient.to(mirror.url);
  const answer = await client.ask({ path: pathOf(content) }).answer({ content });
  expect(answer).toMatchObject({ status: 200, received: content.size, isTrue: true, isComplete: true });
  return answer;
}

async function pullImage(): Promise<void> {
  const { manifests, tags } = upstream.repository(repository);
  const content = manifests.get(tags.get('latest') ?? '')?.content;
  if (!content) throw new Error('there is no image');
  using client = RawClient.to(mirror.url);
  for (let round = 0; round < 3; round++) {
    const answer = await client.ask({ path: manifest }).answer({ content });
    expect(answer).toMatchObject({ status: 200, received: content.size, isTrue: true, isComplete: true });
  }
}

/** Ten, of which each second one is of the blob that still arrives; each has its first bytes. */
async function beginTen(): Promise<{ clients: RawClient[]; bodies: RawBody[] }> {
  const clients = Array.from({ length: 10 }, () => RawClient.to(mirror.url));
  const bodies = await Promise.all(
    clients.map(async (client, index) => {
      const content = index % 2 === 0 ? stored : arriving;
      const body = await client.ask({ path: pathOf(content) }).begin({ content });
      expect(await body.take(100_000 + index)).toBe(true);
      return body;
    }),
  );
  return { clients, bodies };
}

test('asked to stop, it finishes the bodies of the fast and the slow, and takes nobody else', async () => {
  const { clients, bodies } = await beginTen();
  using idle = RawClient.to(mirror.url);
  await idle.ask({ path: '/v2/' }).answer();
  const hurried = [bodies[0]?.rest(), bodies[1]?.rest()];
  const stopped = mirror.stop();
  await until('it drains', () => mirror.logs.some(({ msg }) => msg === 'draining'));
  expect(await idle.untilClosed()).toHaveLength(0);
  await expect(RawClient.to(mirror.url).ask({ path: '/v2/' }).answer()).rejects.toThrow();
  gate.open();
  for (const [index, body] of bodies.entries()) {
    // Piece by piece, one after the other: the last of them waits for all before it.
    while (index > 1 && body.received < body.length) expect(await body.take(4 * mebibyte)).toBe(true);
    const ended = await (hurried[index] ?? body.rest());
    expect(ended).toMatchObject({ received: body.length, isTrue: true, isComplete: true });
  }
  for (const client of clients) expect(await client.untilClosed()).toHaveLength(0);
  await stopped;
  expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
  const lines = mirror.logs.filter(({ msg }) => msg === 'request');
  expect(lines.filter(({ complete }) => complete !== true)).toEqual([]);
  expect(mirror.logs.at(-1)).toMatchObject({ msg: 'stopped' });
}, 60_000);

test('killed, it leaves nothing behind that is wrong, and serves the same again', async () => {
  const { bodies } = await beginTen();
  await mirror.kill();
  for (const body of bodies) {
    const { isTrue, isComplete } = await body.rest();
    expect({ isTrue, isComplete }).toEqual({ isTrue: true, isComplete: false });
  }
  expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
  gate.open();
  await mirror.restart();
  const asked = upstream.count({ method: 'GET', path: stored.digest });
  for (let round = 0; round < 2; round++) {
    await pull(stored);
    await pull(arriving);
    await pullImage();
  }
  expect(upstream.count({ method: 'GET', path: stored.digest })).toBe(asked);
  await mirror.stop();
  expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
}, 60_000);
