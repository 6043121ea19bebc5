// What is answered from memory is never older than what it was taken from: tags that move or go, content that is evicted, upstreams that fail.
import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { refusals } from '../support/faults.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { committed } from '../support/pulled-image.ts';
import { type RawAnswer, RawClient, type RawRequest } from '../support/raw-client.ts';
import { isCommitted } from '../support/stored-files.ts';
import { until } from '../support/until.ts';

const repository = 'library/app';
const path = `/v2/${repository}/manifests/latest`;
const get: RawRequest = { path };
const head: RawRequest = { path, method: 'HEAD' };

type At = {
  readonly upstream: FakeUpstream;
  readonly mirror: MirrorProcess;
  readonly client: RawClient;
  /** Over the one connection that is kept. */
  readonly ask: (request?: RawRequest) => Promise<RawAnswer>;
};

async function withMirror(config: Record<string, unknown>, work: (at: At) => Promise<void>): Promise<void> {
  await using upstream = await startFakeUpstream();
  await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url }, config });
  using client = RawClient.to(mirror.url);
  const ask = (request: RawRequest = { path }) => client.ask(request).answer(request);
  await work({ upstream, mirror, client, ask });
}

const digestIn = ({ status, headers }: RawAnswer) => `${status} ${headers['docker-content-digest'] ?? ''}`;
const outcomeOf = ({ headers }: RawAnswer) => headers['cache-status'];

/** All of an image, until all of it is a hit. */
async function pullUntilHit({ ask, upstream }: At, tag = 'latest'): Promise<void> {
  const { tags, manifests, blobs } = upstream.repository(repository);
  const digest = tags.get(tag) ?? '';
  const json = JSON.parse(Buffer.concat([...(manifests.get(digest)?.content.read(0, 1e6) ?? [])]).toString());
  const paths = [`manifests/${tag}`, `manifests/${digest}`].concat(
    [json.config, ...json.layers].map((blob: { digest: string }) => `blobs/${blob.digest}`),
  );
  expect(paths.length).toBeLessThanOrEqual(blobs.size + 2);
  for (const one of paths)
    await until(`${one} is a hit`, async () => {
      const answer = await ask({ path: `/v2/${repository}/${one}` });
      expect(answer).toMatchObject({ status: 200, isComplete: true });
      return outcomeOf(answer)?.endsWith('; hit');
    });
}

describe('a tag', { timeout: 60_000 }, () => {
  test('with a ttl of nothing is asked about at every request', async () => {
    await withMirror({ tags: { ttl: '0s' } }, async ({ upstream, ask }) => {
      const first = upstream.addImage(repository).digest;
      for (let pull = 0; pull < 5; pull++) expect(digestIn(await ask())).toBe(`200 ${first}`);
      for (let pull = 0; pull < 5; pull++) {
        const asked = upstream.count({ kind: 'manifest' });
        const request = pull % 2 === 0 ? get : head;
        expect(digestIn(await ask(request))).toBe(`200 ${first}`);
        expect(upstream.count({ kind: 'manifest' })).toBeGreaterThan(asked);
      }
      const second = upstream.addImage(repository, { layers: ['another layer'] }).digest;
      for (const request of [head, get, head, get]) expect(digestIn(await ask(request))).toBe(`200 ${second}`);
      const unchanged = { path, headers: { 'If-None-Match': `"${first}"` } };
      expect(digestIn(await ask(unchanged))).toBe(`200 ${second}`);
      upstream.repository(repository).tags.delete('latest');
      for (const request of [get, head, unchanged]) expect((await ask(request)).status).toBe(404);
    });
  });

  test('that moved is the old one for its ttl, asking nobody, and never again after it', async () => {
    await withMirror({ tags: { ttl: '2s' } }, async (at) => {
      const { upstream, ask, mirror } = at;
      const first = upstream.addImage(repository).digest;
      await pullUntilHit(at);
      const asked = upstream.count({ kind: 'manifest' });
      const second = upstream.addImage(repository, { layers: ['another layer'] }).digest;
      const seen: string[] = [];
      const startedAt = performance.now();
      await until('it is the new one', async () => {
        const request = seen.length % 2 === 0 ? get : head;
        seen.push(digestIn(await ask(request)));
        return seen.at(-1) === `200 ${second}`;
      });
      expect(performance.now() - startedAt).toBeLessThan(4000);
      expect(new Set(seen)).toEqual(new Set([`200 ${first}`, `200 ${second}`]));
      // One question, and the new manifest.
      expect(upstream.count({ kind: 'manifest' }) - asked).toBeLessThanOrEqual(2);
      using other = RawClient.to(mirror.url);
      for (let pull = 0; pull < 100; pull++) {
        expect(digestIn(await ask(pull % 2 === 0 ? get : head))).toBe(`200 ${second}`);
        expect(digestIn(await other.ask({ path }).answer())).toBe(`200 ${second}`);
      }
      const kept = { path: `/v2/${repository}/manifests/${first}` };
      expect(digestIn(await ask(kept))).toBe(`200 ${first}`);
    });
  });

  test('that is gone upstream is gone here after its ttl, and comes back', async () => {
    await withMirror({ tags: { ttl: '1s', negativeTtl: '1s' } }, async (at) => {
      const { upstream, ask } = at;
      const { digest } = upstream.addImage(repository);
      await pullUntilHit(at);
      upstream.repository(repository).tags.delete('latest');
      await until('it is gone', async () => (await ask()).status === 404);
      for (const request of [get, head]) expect((await ask(request)).status).toBe(404);
      upstream.repository(repository).tags.set('latest', digest);
      await until('it is back', async () => (await ask(head)).status === 200);
      for (const request of [get, head]) expect(digestIn(await ask(request))).toBe(`200 ${digest}`);
    });
  });

  test('whose upstream fails is stale and says so, fails when it may not be any more, and mends', async () => {
    const tags = { ttl: '1s', staleIfError: '2s', revalidateTimeout: '1s' };
    await withMirror({ tags }, async (at) => {
      const { upstream, ask } = at;
      const first = upstream.addImage(repository).digest;
      await pullUntilHit(at);
      const fault = upstream.faults.add({}, refusals.serverError);
      const seen: string[] = [];
      await until('it is not believed any more', async () => {
        const answer = await ask(seen.length % 2 === 0 ? get : head);
        if (answer.status === 200) {
          expect(digestIn(answer)).toBe(`200 ${first}`);
          expect(answer.headers.warning !== undefined).toBe(outcomeOf(answer)?.includes('stale') === true);
        }
        seen.push(answer.status === 200 ? (outcomeOf(answer) ?? '') : 'failed');
        return answer.status >= 500;
      });
      expect(seen.some((outcome) => outcome.includes('stale'))).toBe(true);
      // In this order and never back: a hit, then stale, then a failure.
      const order = seen.map((outcome) => (outcome === 'failed' ? 2 : outcome.includes('stale') ? 1 : 0));
      expect(order).toEqual(order.toSorted());
      const second = upstream.addImage(repository, { layers: ['another layer'] }).digest;
      fault.remove();
      await until('it is mended', async () => digestIn(await ask()) === `200 ${second}`);
      expect(digestIn(await ask(head))).toBe(`200 ${second}`);
    });
  });

  test('is what it was, for ever, once the mirror is offline', async () => {
    await withMirror({ tags: { ttl: '0s' } }, async (at) => {
      const { upstream, mirror } = at;
      const { digest } = upstream.addImage(repository);
      for (let pull = 0; pull < 3; pull++) expect(digestIn(await at.ask())).toBe(`200 ${digest}`);
      const json = JSON.parse((await at.ask()).body.toString());
      for (const blob of [json.config, ...json.layers]) {
        expect((await at.ask({ path: `/v2/${repository}/blobs/${blob.digest}` })).status).toBe(200);
        await committed(mirror, blob.digest);
      }
      await mirror.stop();
      await upstream.close();
      const config = JSON.parse(await readFile(mirror.configFile, 'utf8'));
      await writeFile(mirror.configFile, JSON.stringify({ ...config, offline: true }));
      await mirror.restart();
      using client = RawClient.to(mirror.url);
      for (let pull = 0; pull < 10; pull++) expect(digestIn(await client.ask({ path }).answer())).toBe(`200 ${digest}`);
    });
  });
});

test('what was evicted is fetched anew, and never given from memory', async () => {
  await withMirror({ cache: { maxSize: '4MiB', minFree: '1MiB', siblings: false } }, async (at) => {
    const { upstream, mirror, ask } = at;
    const layers = [Buffer.alloc(3000, 'a'), Buffer.alloc(60_000, 'b'), Buffer.alloc(300_000, 'c')];
    const image = upstream.addImage(repository, { layers });
    await pullUntilHit(at);
    const blobs = [image.config, ...image.layers];
    for (let seed = 0; seed < 40; seed++) {
      const other = await upstream.addGeneratedBlob('library/other', { size: 500_000, seed });
      await ask({ path: `/v2/library/other/blobs/${other.digest}` });
    }
    for (const { digest } of [...blobs, image.manifest.content])
      await until('it is evicted', async () => !(await isCommitted(mirror.cacheDir, digest)));
    for (const content of blobs) {
      const asked = upstream.count({ method: 'GET', path: content.digest });
      const request = { path: `/v2/${repository}/blobs/${content.digest}` };
      const answer = await at.client.ask(request).answer({ content });
      expect(answer).toMatchObject({ status: 200, received: content.size, isTrue: true, isComplete: true });
      expect(outcomeOf(answer)).not.toMatch(/; hit$/);
      expect(upstream.count({ method: 'GET', path: content.digest })).toBe(asked + 1);
    }
    const asked = upstream.count({ method: 'GET', kind: 'manifest' });
    const manifest = await ask();
    expect(digestIn(manifest)).toBe(`200 ${image.digest}`);
    expect(outcomeOf(manifest)).not.toMatch(/; hit$/);
    expect(upstream.count({ method: 'GET', kind: 'manifest' })).toBe(asked + 1);
  });
}, 60_000);
