// Many clients at once and one after the other: what the mirror takes of the machine is bounded, and does not creep.
import { expect, test } from 'vitest';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { descriptorsOf, memoryMebibytes, released } from '../support/process-resources.ts';
import { pullManifest } from '../support/pulled-image.ts';
import { RawClient } from '../support/raw-client.ts';
import type { ServedContent } from '../support/served-content.ts';
import { tell } from '../support/tell.ts';
import { until } from '../support/until.ts';
import { UpstreamProcess } from '../support/upstream-process.ts';

const mebibyte = 1024 * 1024;

type Blob = { readonly content: ServedContent; readonly path: string };

/** The manifest and every layer of the first image, all of them stored. */
async function stored(mirror: MirrorProcess, upstream: UpstreamProcess): Promise<readonly Blob[]> {
  const urls = await pullManifest(mirror, upstream.image());
  const blobs = await Promise.all(
    urls.map(async (url, layer) => ({ content: await upstream.content(0, layer), path: new URL(url).pathname })),
  );
  for (const blob of blobs)
    await until('it is a hit', async () => {
      using client = RawClient.to(mirror.url);
      return (await pull(client, blob)).headers['cache-status']?.endsWith('; hit');
    });
  return blobs;
}

async function pull(client: RawClient, { content, path }: Blob) {
  const answer = await client.ask({ path }).answer({ content });
  expect(answer).toMatchObject({ status: 200, received: content.size, isTrue: true, isComplete: true });
  return answer;
}

test('500 slow readers of a stored gigabyte cost less than 250 MiB, and nobody waits for them', async () => {
  const layers = [1024 * mebibyte, 3000, 8 * mebibyte].map((size, index) => ({ size, seed: 91 + index }));
  await using upstream = await UpstreamProcess.start({ images: [{ repository: 'library/big', layers }] });
  await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
  const [large, ...others] = await stored(mirror, upstream);
  if (!large) throw new Error('there is no large blob');
  // What a fill costs is measured elsewhere.
  await mirror.restart();
  using other = RawClient.to(mirror.url);
  for (const blob of others) await pull(other, blob);
  const atRest = memoryMebibytes(mirror.pid, 'peak');
  const before = descriptorsOf(mirror.pid);

  const clients = Array.from({ length: 500 }, () => RawClient.to(mirror.url).ask({ path: large.path }));
  const bodies = await Promise.all(clients.map((client) => client.begin({ content: large.content })));
  let slowestMs = 0;
  for (let round = 0; round < 4; round++) {
    const taken = Promise.all(bodies.map((body) => body.take(300_000)));
    for (const blob of others) {
      const startedAt = performance.now();
      await pull(other, blob);
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    }
    expect(await taken).not.toContain(false);
  }
  for (const body of bodies) expect(body).toMatchObject({ isTrue: true, received: 1_200_000 });
  const peak = memoryMebibytes(mirror.pid, 'peak');
  tell({ 'peak MiB before': atRest, 'with 500 readers': peak, 'slowest of others, ms': slowestMs });
  expect(peak).toBeLessThanOrEqual(250);
  for (const client of clients) client.hangUp();
  await released(mirror.pid, before);
}, 120_000);

/** MiB a thousand pulls, by least squares over the second half of what was measured. */
function slope(samples: readonly { readonly pulls: number; readonly mebibytes: number }[]): number {
  const half = samples.slice(samples.length / 2);
  const mean = (value: (sample: (typeof half)[number]) => number) =>
    half.reduce((sum, sample) => sum + value(sample), 0) / half.length;
  const [x, y] = [mean(({ pulls }) => pulls), mean(({ mebibytes }) => mebibytes)];
  const rise = mean(({ pulls, mebibytes }) => (pulls - x) * (mebibytes - y));
  return (1000 * rise) / mean(({ pulls }) => (pulls - x) ** 2);
}

test('12,000 pulls one after the other leave no descriptor and no memory behind', async () => {
  const layers = [500, 4096, 70_000, 300_000].map((size, index) => ({ size, seed: 81 + index }));
  await using upstream = await UpstreamProcess.start({ images: [{ repository: 'library/small', layers }] });
  // A line a request would be the test's own memory, and its time.
  await using mirror = await startMirror({
    upstreams: { 'docker.io': upstream.url },
    config: { log: { level: 'warn' } },
  });
  const blobs = await stored(mirror, upstream);
  const image = upstream.image();
  const manifests = [image.tag, image.manifest].map((name) => `/v2/${image.repository}/manifests/${name}`);
  await upstream.closeIdle();
  const before = descriptorsOf(mirror.pid);
  const samples: { pulls: number; mebibytes: number }[] = [];
  let pulls = 0;

  const pullNext = async (client: RawClient) => {
    const turn = pulls++ % (blobs.length + manifests.length);
    const blob = blobs[turn];
    if (blob) await pull(client, blob);
    else {
      const answer = await client.ask({ path: manifests[turn - blobs.length] ?? '' }).answer();
      expect(answer).toMatchObject({ status: 200, received: image.manifestSize, isComplete: true });
      expect(answer.headers['docker-content-digest']).toBe(image.manifest);
    }
    if (pulls % 200 === 0) samples.push({ pulls, mebibytes: memoryMebibytes(mirror.pid, 'now') });
  };

  {
    using kept = RawClient.to(mirror.url);
    while (pulls < 10_000) await pullNext(kept);
    // What a keep-alive connection leaves behind would be seen while it is open.
    expect(descriptorsOf(mirror.pid).sockets).toBeLessThanOrEqual(before.sockets + 1);
  }
  while (pulls < 12_000) {
    using fresh = RawClient.to(mirror.url);
    await pullNext(fresh);
  }
  await released(mirror.pid, before);
  const perThousand = slope(samples);
  const [first, last] = [samples[0]?.mebibytes ?? 0, samples.at(-1)?.mebibytes ?? 0];
  tell({ 'MiB a thousand pulls': perThousand, 'MiB at first': first, 'at last': last });
  // 2 KiB a pull would be a leak; less is the collector's business.
  expect(perThousand).toBeLessThan(2);
  expect(last).toBeLessThan(250);
}, 120_000);
