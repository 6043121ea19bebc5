// What is given again ahead of the app: the same as the app says, to the client, in the log and in the figures.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { allOf, blob, type HotScene, hotScene, manifest } from './hot-scene.ts';
import type { StartedRegistry } from './start-registry.ts';

let at: HotScene;

beforeAll(async () => {
  at = await hotScene();
});
afterAll(() => at[Symbol.asyncDispose]());

const doors = {
  'a manifest by tag': () => manifest('latest'),
  'a manifest by digest': () => manifest(at.image.digest),
  'a manifest of a named registry': () => `${manifest('latest')}?ns=docker.io`,
  'a small blob': () => blob(at.small.digest),
  'a large blob': () => blob(at.large.digest),
};

const askings = [
  ['as it is', {}],
  ['from a client with a name', { 'user-agent': 'docker/20 "\\(x\\)"' }],
  ['that the client has', { 'if-none-match': '*' }],
  ['of which the client has another', { 'if-none-match': `"sha256:${'0'.repeat(64)}"` }],
  ['in its first bytes', { range: 'bytes=0-3' }],
  ['in its last bytes', { range: 'bytes=-3' }],
  ['from its third byte on', { range: 'bytes=2-' }],
  ['behind its end', { range: 'bytes=999999999-' }],
  ['in two ranges', { range: 'bytes=0-1,3-4' }],
  ['in a range that the client has', { range: 'bytes=0-3', 'if-none-match': '*' }],
  ['through a proxy that nobody trusts', { 'x-forwarded-for': '192.0.2.1' }],
  ['over a connection that ends', { connection: 'close' }],
  ['from a host by another name', { host: 'mirror.example:5000' }],
] as const;

test('each counts as a use where the app would count one', async () => {
  const lastUsed = ({ mirror }: StartedRegistry) => mirror.records.oldest(100).at(-1)?.digest;
  for (const path of [
    doors['a large blob'](),
    doors['a manifest by tag'](),
    doors['a small blob'](),
    doors['a manifest by digest'](),
  ])
    for (const method of ['GET', 'HEAD']) {
      for (const registry of [at.hot, at.ordinary]) await registry.ask(path);
      for (const registry of [at.hot, at.ordinary]) await registry.ask(blob(at.image.config.digest));
      const before = at.hot.answeredBefore;
      for (const registry of [at.hot, at.ordinary]) await registry.ask(path, { method });
      expect(at.hot.answeredBefore).toBe(before + 1);
      expect([path, method, lastUsed(at.hot)]).toEqual([path, method, lastUsed(at.ordinary)]);
    }
});

test('a HEAD of a stored blob is enough for the next one and for a GET, which ask the store for nothing more', async () => {
  await using fresh = await hotScene();
  const { store } = fresh.hot.mirror;
  for (const { digest } of [fresh.small, fresh.large]) {
    const path = `${blob(digest)}?ns=docker.io`;
    await fresh.hot.ask(path, { method: 'HEAD' });
    const before = fresh.hot.answeredBefore;
    const opened = vi.spyOn(store, 'open');
    const looked = vi.spyOn(store, 'has');
    for (const method of ['HEAD', 'GET', 'HEAD']) expect((await fresh.hot.ask(path, { method })).status).toBe(200);
    expect([opened.mock.calls, looked.mock.calls]).toEqual([[], []]);
    expect(fresh.hot.answeredBefore).toBe(before + 3);
    vi.restoreAllMocks();
  }
});

describe.each(Object.keys(doors) as (keyof typeof doors)[])('%s', (door) => {
  describe.each(['GET', 'HEAD'])('by %s', (method) => {
    test.each(askings)('%s', async (_how, headers) => {
      const path = doors[door]();
      // Nobody has asked for it by this target yet, or it is kept in memory no longer.
      for (const registry of [at.hot, at.ordinary]) await registry.ask(path);
      const before = at.hot.answeredBefore;
      const [hot, ordinary] = [
        await allOf(at.hot, path, { method, headers }),
        await allOf(at.ordinary, path, { method, headers }),
      ];
      expect(at.hot.answeredBefore).toBe(before + 1);
      // Both were asked the same all along.
      expect(hot).toEqual(ordinary);
      expect(hot.line).toMatchObject({ outcome: 'hit', complete: true, isHeadSlow: false, isSlow: true });
    });
  });
});
