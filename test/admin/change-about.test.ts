// The audit line of a change tells what it was about where the path does not, and what it came to.
import { expect, test } from 'vitest';
import { digest } from './fake-mirror.ts';
import { startAdmin } from './start-admin.ts';

const post = (body: string) => ({ method: 'POST', body });
const gone = { images: ['docker.io/library/redis:7'], imageCount: 1, blobs: 3, bytes: 90, pinned: 0 };

test.each([
  ['images?match=**', { method: 'DELETE' }, { match: '**', ...gone }],
  ['images?repository=redis', { method: 'DELETE' }, { repository: 'docker.io/library/redis', ...gone }],
  ['images/redis:7', { method: 'DELETE' }, gone],
  [`blobs/${digest}`, { method: 'DELETE' }, gone],
  ['prefetch', post('{"images":["a","b"]}'), { images: ['a', 'b'], imageCount: 2, failed: 0, bytes: 5 }],
  [
    'prefetch',
    post('{"images":["a","b","c","d","e","f","g"],"allPlatforms":true}'),
    { images: ['a', 'b', 'c', 'd', 'e'], imageCount: 7, platforms: ['all'], failed: 0, bytes: 5 },
  ],
  [
    'prefetch',
    post('{"images":["a"],"platforms":["linux/arm64"]}'),
    { images: ['a'], imageCount: 1, platforms: ['linux/arm64'], failed: 0, bytes: 5 },
  ],
  ['verify', post('{"repair":true}'), { repair: true, damaged: 1, missing: 0, dropped: 0 }],
  ['verify', post(''), { repair: false, damaged: 1, missing: 0, dropped: 0 }],
  ['import?name=acme/app:1', post('tar'), { name: 'acme/app:1', images: ['acme/app:1'], imageCount: 1, bytes: 3 }],
  ['import', post('tar'), { images: ['docker.io/library/redis:7'], imageCount: 1, bytes: 3 }],
])('it tells what was asked for beyond the path, and what it came to: %s %j', async (path, asking, about) => {
  await using admin = await startAdmin();
  expect((await admin.ask(`/api/v1/${path}`, asking)).status).toBe(200);
  expect(admin.audit()).toEqual([expect.objectContaining({ about })]);
});

test('it tells what was asked for where it then failed, and nothing that was refused unread', async () => {
  const fail = () => Promise.reject(new Error('the disk is gone'));
  const prefetcher = { run: fail, status: () => [] };
  await using admin = await startAdmin({ purge: { run: fail }, verify: fail, importArchive: fail, prefetcher });
  const ask = (path: string, method: string, body = '') => admin.ask(`/api/v1/${path}`, { method, body });
  await ask('images?match=a/**', 'DELETE');
  await ask('prefetch', 'POST', '{"images":["a"]}');
  await ask('verify', 'POST', '{"repair":true}');
  await ask('import?name=a', 'POST');
  await ask('images?match=', 'DELETE');
  await ask('images?match=**', 'PATCH');
  await ask('prefetch', 'POST', '{"images":["a:"]}');
  expect(admin.audit().map(({ about }) => about)).toEqual([
    { match: 'a/**' },
    { images: ['a'], imageCount: 1 },
    { repair: true },
    { name: 'a' },
    undefined,
    undefined,
    undefined,
  ]);
});

test('it cannot be forged by what was asked for', async () => {
  await using admin = await startAdmin();
  const odd = `a\n\x1b[2J\u2028\u202e${'x'.repeat(400)}`;
  const query = encodeURIComponent(odd);
  await admin.ask(`/api/v1/images?match=${query}`, { method: 'DELETE' });
  await admin.ask(`/api/v1/import?name=${query}`, post('tar'));
  const shown = `a\\u{a}\\u{1b}[2J\\u{2028}\\u{202e}${'x'.repeat(400)}`;
  expect(admin.audit().map(({ about }) => about)).toEqual([
    { match: shown, ...gone },
    { name: shown, images: [shown], imageCount: 1, bytes: 3 },
  ]);
});
