// Prefetches over the API: what a wish becomes, what is refused before anything begins, and the lines of one.
import { describe, expect, test } from 'vitest';
import type { PrefetchApiOptions } from '../../src/admin/prefetch-api.ts';
import { formatPlatform } from '../../src/oci/platform.ts';
import { digest } from './fake-mirror.ts';
import { startAdmin, why } from './start-admin.ts';

type Run = PrefetchApiOptions['prefetcher']['run'];

const path = '/api/v1/prefetch';
const many = (count: number) => Array.from({ length: count }, (_, place) => `image:${place}`);

async function post(body: unknown, run?: Run) {
  const asked: unknown[] = [];
  const keep: Run = async ({ images, platforms, isPatient }) => {
    asked.push([images.length, platforms === 'all' ? platforms : platforms.map(formatPlatform), isPatient]);
  };
  await using admin = await startAdmin({ prefetcher: { run: run ?? keep, status: () => [] } });
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { answer: await admin.ask(path, { method: 'POST', body: text }), asked };
}

test.each([
  [{ images: ['redis'] }, [1, [], false]],
  [{ images: many(1000), allPlatforms: true }, [1000, 'all', false]],
  [
    { images: ['redis'], platforms: ['linux/arm64', 'LINUX/x86_64', 'linux/arm/v6'] },
    [1, ['linux/arm64', 'linux/amd64', 'linux/arm/v6'], false],
  ],
  [{ images: ['redis'], platforms: ['all'], allPlatforms: false }, [1, 'all', false]],
])('%# is asked for as it was wished', async (body, expected) => {
  const { answer, asked } = await post(body);
  expect([answer.status, asked]).toEqual([200, [expected]]);
});

test.each([
  ['', 'images: write a list of images: REPO, REPO:TAG or REPO@DIGEST'],
  ['null', 'what was given: '],
  ['[]', 'what was given: '],
  ['{', 'the body is not JSON'],
  ['{"images":"redis"}', 'images: write a list of images'],
  ['{"images":[]}', 'images: name at least one image'],
  ['{"images":[7]}', 'images.0: '],
  ['{"images":["redis:"]}', 'images: not a tag: ""'],
  ['{"images":["redis",""]}', 'images: not an image'],
  [JSON.stringify({ images: many(1001) }), 'images: name at most 1000 images at once'],
  [
    '{"images":["redis"],"platform":"linux/amd64"}',
    'not known here: "platform"; known are images, platforms, allPlatforms',
  ],
  ['{"images":["redis"],"platforms":[]}', 'platforms: name at least one platform'],
  ['{"images":["redis"],"platforms":["amd64"]}', 'not a platform: "amd64"; write OS/ARCHITECTURE, as in linux/arm64'],
  [
    '{"images":["redis"],"platforms":["linux/amd64"],"allPlatforms":true}',
    'platforms: leave them out, or allPlatforms',
  ],
  ['{"images":["redis"],"allPlatforms":"yes"}', 'allPlatforms: '],
  [JSON.stringify({ images: ['x'.repeat(1024 * 1024)] }), 'the body is above 1 MiB'],
  [JSON.stringify({ images: [`${'x'.repeat(10_000)}:\n-`] }), 'images: not a tag'],
])('%# is refused before anything begins: %s', async (body, message) => {
  const { answer, asked } = await post(body);
  expect([answer.status, why(answer), asked]).toEqual([400, expect.stringContaining(message), []]);
  expect(why(answer)).toMatch(/^[^\n]{10,600}$/);
});

describe('the lines', () => {
  const image = 'docker.io/library/redis:latest';

  test('are the events as they come', async () => {
    const events = [
      { type: 'image', image, state: 'started' },
      { type: 'layer', image, digest, sizeBytes: 10, receivedBytes: 5, state: 'arriving' },
      { type: 'layer', image, digest, sizeBytes: 10, receivedBytes: 10, state: 'done' },
      { type: 'image', image, state: 'done', digest, platforms: ['linux/amd64'], bytes: 12 },
      { type: 'done', images: 1, failed: 0, bytes: 12 },
    ] as const;
    const { answer } = await post({ images: ['redis'] }, async (_, { onEvent }) => events.forEach(onEvent));
    expect(answer.body.toString()).toBe(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  });

  test('say the last word of each layer where the reader is behind', async () => {
    const name = `${image}${'x'.repeat(5000)}`;
    const layer = (receivedBytes: number, state: 'arriving' | 'done') =>
      ({ type: 'layer', image: name, digest, sizeBytes: 10, receivedBytes, state }) as const;
    const { answer } = await post({ images: ['redis'] }, async (_, { onEvent }) => {
      for (let count = 0; count < 5000; count++) onEvent(layer(count, 'arriving'));
      onEvent(layer(5000, 'done'));
      onEvent({ type: 'image', image, state: 'done' });
      onEvent({ type: 'done', images: 1, failed: 0, bytes: 1 });
    });
    const lines = answer.body
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.length).toBeLessThan(1000);
    expect(lines.slice(-3).map(({ type, state }) => [type, state])).toEqual([
      ['layer', 'done'],
      ['image', 'done'],
      ['done', undefined],
    ]);
  });
});
