// What goes wrong while a body is on its way: a fill that breaks for good, a stored file that somebody else touches, an eviction.
import { rename, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import type { FaultEffect } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { descriptorsOf, released } from '../support/process-resources.ts';
import { type RawAnswer, type RawBody, RawClient } from '../support/raw-client.ts';
import type { ServedContent } from '../support/served-content.ts';
import { committedFiles, isCommitted, lyingFiles } from '../support/stored-files.ts';
import { until } from '../support/until.ts';

const mebibyte = 1024 * 1024;
const repository = 'library/app';

type At = { readonly upstream: FakeUpstream; readonly mirror: MirrorProcess };

async function withMirror(work: (at: At) => Promise<void>, config: Record<string, unknown> = {}): Promise<void> {
  await using upstream = await startFakeUpstream();
  await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url }, config });
  await work({ upstream, mirror });
}

const pathOf = ({ digest }: ServedContent) => `/v2/${repository}/blobs/${digest}`;

function addBlob({ upstream }: At, size: number, seed: number): Promise<ServedContent> {
  return upstream.addGeneratedBlob(repository, { size, seed });
}

async function pullWhole({ mirror }: At, content: ServedContent): Promise<RawAnswer> {
  using client = RawClient.to(mirror.url);
  const answer = await client.ask({ path: pathOf(content) }).answer({ content });
  expect(answer).toMatchObject({ status: 200, received: content.size, isTrue: true, isComplete: true });
  return answer;
}

/** From the file, and no longer from the fill that brought it. */
async function pullUntilHit(at: At, content: ServedContent): Promise<void> {
  await until('it is a hit', async () => (await pullWhole(at, content)).headers['cache-status']?.endsWith('; hit'));
}

async function begin({ mirror }: At, content: ServedContent, start = 0): Promise<RawBody> {
  const headers: Record<string, string> = start === 0 ? {} : { Range: `bytes=${start}-` };
  const body = await RawClient.to(mirror.url)
    .ask({ path: pathOf(content), headers })
    .begin({ content, start });
  expect([200, 206]).toContain(body.status);
  expect(body.length).toBe(content.size - start);
  return body;
}

describe('a fill that breaks for good', { timeout: 60_000 }, () => {
  const size = 8 * mebibyte;
  const half = size / 2;
  const ways: readonly (readonly [string, FaultEffect])[] = [
    ['is dropped', { dropAfter: half }],
    ['is reset', { resetAfter: half }],
    ['ends as if that were all', { truncateAfter: half }],
    ['brings a wrong byte', { flipByteAt: half }],
    ['brings a wrong last byte', { flipByteAt: size - 1 }],
  ];

  test.each(ways)(
    'because it %s leaves every reader short, wherever it is, and the next pull is right',
    async (_, way) => {
      await withMirror(
        async (at) => {
          const { upstream, mirror } = at;
          const content = await addBlob(at, size, 61);
          const gate = new Gate();
          const blob = { method: 'GET', path: content.digest };
          if (way.flipByteAt === undefined) upstream.faults.add(blob, { hangUp: true });
          else upstream.faults.add(blob, way);
          upstream.faults.add({ ...blob, times: 1 }, { ...way, hangUp: false, holdBody: { after: mebibyte, gate } });

          const bodies = [await begin(at, content), await begin(at, content), await begin(at, content, 500_000)];
          const [first, slow, ranged] = bodies as [RawBody, RawBody, RawBody];
          await first.take(1_000_000);
          await slow.take(10);
          await ranged.take(400_000);
          gate.open();
          let isEnded = false;
          const ends = Promise.all(bodies.map((body) => body.rest())).finally(() => {
            isEnded = true;
          });
          await until('the fill has given up', async () => (await mirror.metric('stillwater_fills_in_flight')) === 0);
          await until('its readers are told at once', () => isEnded, { timeoutMs: 3000 });
          for (const { received, isComplete, isTrue } of await ends) {
            expect(isComplete).toBe(false);
            expect(received).toBeLessThan(size);
            if (way.flipByteAt === undefined) expect(isTrue).toBe(true);
          }
          await until('no file is open', () => descriptorsOf(mirror.pid).files.length === 0);
          expect(await isCommitted(mirror.cacheDir, content.digest)).toBe(false);
          upstream.faults.clear();
          await pullWhole(at, content);
          expect(await lyingFiles(mirror.cacheDir)).toEqual([]);
        },
        { cache: { siblings: false } },
      );
    },
  );
});

describe('a stored file that somebody else', { timeout: 60_000 }, () => {
  type Meddling = (file: string, content: ServedContent) => Promise<void>;
  const ways: readonly (readonly [string, Meddling])[] = [
    ['cuts short', (file) => truncate(file, 100_000)],
    ['empties', (file) => truncate(file, 0)],
    ['removes', (file) => unlink(file)],
    [
      'replaces by a shorter one',
      async (file) => {
        await writeFile(`${file}.other`, Buffer.alloc(1000));
        await rename(`${file}.other`, file);
      },
    ],
    ['makes longer', (file) => truncate(file, 96 * mebibyte)],
    [
      'replaces by one that is the same',
      async (file, content) => {
        await writeFile(`${file}.other`, Buffer.concat([...content.read(0, content.size)]));
        await rename(`${file}.other`, file);
      },
    ],
  ];

  async function fileOf({ mirror }: At, { digest }: ServedContent): Promise<string> {
    const file = (await committedFiles(mirror.cacheDir)).find((one) => one.endsWith(digest.slice(7)));
    return join(mirror.cacheDir, file ?? '');
  }

  test.each(ways)('%s between two pulls is no answer any more: the next one is right', async (_, meddle) => {
    await withMirror(async (at) => {
      // One that memory may remember, one that it may not, and one in many pieces.
      const blobs: ServedContent[] = [];
      for (const [seed, size] of [3000, 300_000, 8 * mebibyte].entries()) {
        const content = await addBlob(at, size, seed);
        await pullUntilHit(at, content);
        for (let pull = 0; pull < 3; pull++) await pullWhole(at, content);
        await meddle(await fileOf(at, content), content);
        for (let pull = 0; pull < 3; pull++) await pullWhole(at, content);
        blobs.push(content);
      }
      // What memory had answered for, too.
      await at.mirror.restart();
      for (const content of blobs) await pullWhole(at, content);
      await until('nothing lies', async () => (await lyingFiles(at.mirror.cacheDir)).length === 0);
    });
  });

  test.each(ways)('%s while it is sent never makes a wrong byte, and the next pull is right', async (_, meddle) => {
    await withMirror(async (at) => {
      const content = await addBlob(at, 64 * mebibyte, 9);
      await pullUntilHit(at, content);
      const file = await fileOf(at, content);
      const bodies = [await begin(at, content), await begin(at, content), await begin(at, content, 40 * mebibyte)];
      for (const body of bodies) await body.take(mebibyte);
      await meddle(file, content);
      for (const ended of await Promise.all(bodies.map((body) => body.rest()))) expect(ended.isTrue).toBe(true);
      await pullWhole(at, content);
      await pullWhole(at, content);
    });
  });
});

test('a blob that is evicted while twenty read it comes whole to all of them, and its space comes back', async () => {
  await withMirror(
    async (at) => {
      const { mirror, upstream } = at;
      const content = await addBlob(at, 48 * mebibyte, 71);
      await pullUntilHit(at, content);
      const before = descriptorsOf(mirror.pid);
      const bodies = await Promise.all(Array.from({ length: 20 }, (_, index) => begin(at, content, index * mebibyte)));
      await Promise.all(bodies.map((body, index) => body.take(1 + index * 100_000)));
      for (const seed of [72, 73, 74]) await pullWhole(at, await addBlob(at, 20 * mebibyte, seed));
      await until('it is evicted', async () => !(await isCommitted(mirror.cacheDir, content.digest)));
      expect(descriptorsOf(mirror.pid).files.some((file) => file.includes('(deleted)'))).toBe(true);
      for (const body of bodies) {
        const ended = await body.rest();
        expect(ended).toMatchObject({ received: body.length, isTrue: true, isComplete: true });
      }
      await released(mirror.pid, { ...before, sockets: Number.POSITIVE_INFINITY }, { timeoutMs: 10_000 });
      const asked = upstream.count({ method: 'GET', path: content.digest });
      await pullWhole(at, content);
      expect(upstream.count({ method: 'GET', path: content.digest })).toBeGreaterThan(asked);
    },
    { cache: { maxSize: '64MiB', minFree: '1MiB' } },
  );
}, 60_000);
