// Thousands of clients hang up at any moment of a body: whoever reads on never gets a byte of another's, and nothing stays open.
import { expect, test } from 'vitest';
import { startMirror } from '../support/mirror-process.ts';
import { descriptorsOf, released } from '../support/process-resources.ts';
import { committed, pullManifest } from '../support/pulled-image.ts';
import { RawClient, type RawRequest } from '../support/raw-client.ts';
import type { ServedContent } from '../support/served-content.ts';
import { tell } from '../support/tell.ts';
import { until } from '../support/until.ts';
import { UpstreamProcess } from '../support/upstream-process.ts';
import { seededRandom } from '../support/zipf.ts';

const mebibyte = 1024 * 1024;
const leavers = 2400;
const leaversAtOnce = 16;
const readers = 6;

type Blob = { readonly content: ServedContent; readonly path: string };

test('clients that hang up leave no foreign byte, no wrong length and no descriptor behind', async () => {
  const layers = (count: number, seed: number) =>
    Array.from({ length: count }, (_, index) => ({
      size: (1 + (index % 8)) * mebibyte + 17 * index,
      seed: seed + index,
    }));
  const images = [
    { repository: 'library/left', layers: layers(8, 100) },
    { repository: 'library/left-arriving', layers: layers(24, 200) },
    { repository: 'library/read', layers: layers(8, 300) },
    { repository: 'library/read-arriving', layers: layers(16, 400) },
  ];
  await using upstream = await UpstreamProcess.start({ images, bytesPerSecond: 60_000_000 });
  // Siblings would bring what is to arrive while it is read.
  const config = { cache: { siblings: false } };
  await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url }, config });
  const blobsOf = async (index: number): Promise<Blob[]> => {
    const urls = await pullManifest(mirror, upstream.image(index));
    return Promise.all(
      urls.map(async (url, layer) => ({ content: await upstream.content(index, layer), path: new URL(url).pathname })),
    );
  };
  const [left = [], leftArriving = [], read = [], readArriving = []] = [
    await blobsOf(0),
    await blobsOf(1),
    await blobsOf(2),
    await blobsOf(3),
  ];

  const readWhole = async (client: RawClient, { content, path }: Blob) => {
    const answer = await client.ask({ path }).answer({ content });
    expect(answer).toMatchObject({ status: 200, received: content.size, isTrue: true, isComplete: true });
  };
  {
    using first = RawClient.to(mirror.url);
    for (const blob of [...left, ...read]) await readWhole(first, blob);
    for (const { content } of [left.at(-1), read.at(-1)].filter((blob) => blob !== undefined))
      await committed(mirror, content.digest);
  }
  // Connections to the upstream are no client's.
  await upstream.closeIdle();
  const before = await until('the fills are over', () => {
    const seen = descriptorsOf(mirror.pid);
    return seen.files.every((file) => !file.includes('/spools/')) && seen.sockets < 10 && seen;
  });

  const random = seededRandom(23);
  const oneOf = <T>(things: readonly T[]): T => things[Math.floor(random() * things.length)] as T;
  let begun = 0;
  let isOver = false;
  const leave = async () => {
    const { content, path } = random() < 0.7 ? oneOf(left) : oneOf(leftArriving);
    using client = RawClient.to(mirror.url);
    const start = random() < 0.3 ? Math.floor(random() * content.size) : 0;
    const request: RawRequest = start > 0 ? { path, headers: { range: `bytes=${start}-` } } : { path };
    client.ask(request);
    const patience = random();
    if (patience > 0.1) {
      const body = await client.begin({ content, start });
      expect([200, 206]).toContain(body.status);
      expect(body.length).toBe(content.size - start);
      await body.take(Math.floor(body.length * patience ** 6));
      expect(body.isTrue).toBe(true);
    }
    client.hangUp(random() < 0.5 ? 'reset' : 'close');
  };
  const leaving = Array.from({ length: leaversAtOnce }, async () => {
    while (begun++ < leavers) await leave();
  });
  let wholes = 0;
  const reading = Array.from({ length: readers }, async (_, index) => {
    using client = RawClient.to(mirror.url);
    const own = [...read, ...readArriving].filter((_, place) => place % readers === index);
    while (!isOver) {
      for (const blob of own) await readWhole(client, blob);
      wholes += own.length;
    }
  });
  await Promise.all(leaving);
  isOver = true;
  await Promise.all(reading);

  await upstream.closeIdle();
  await released(mirror.pid, before);
  tell({ leavers, wholes });
  using last = RawClient.to(mirror.url);
  for (const blob of [...left, ...leftArriving, ...read, ...readArriving]) await readWhole(last, blob);
  const faults = mirror.logs.filter(({ level }) => Number(level) > 30);
  expect(faults).toEqual([]);
}, 90_000);

test('a stored blob that nobody reads any more is closed in the end', async () => {
  await using upstream = await UpstreamProcess.start({ size: 3 * mebibyte, seed: 5 });
  await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
  const content = await upstream.content();
  const [url = ''] = await pullManifest(mirror, upstream.image());
  const { pathname: path } = new URL(url);
  const pull = async () => {
    using client = RawClient.to(url);
    const answer = await client.ask({ path }).answer({ content });
    expect(answer).toMatchObject({ received: content.size, isTrue: true, isComplete: true });
    return answer.headers['cache-status']?.endsWith('; hit');
  };
  await until('it is a hit', pull);
  for (let round = 0; round < 5; round++) {
    await pull();
    using leaver = RawClient.to(url);
    const body = await leaver.ask({ path }, { path, method: 'HEAD' }, { path }).begin({ content });
    await body.take(100_000);
  }
  await until('no file is open', () => descriptorsOf(mirror.pid).files.length === 0, { timeoutMs: 60_000 });
}, 90_000);
