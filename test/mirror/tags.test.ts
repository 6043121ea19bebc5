// What a tag means: believed for its ttl, then confirmed by HEAD, moved by a GET of the digest, gone by a proven 404.
import { rm } from 'node:fs/promises';
import { describe, expect, test, vi } from 'vitest';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import {
  altered,
  digestFor,
  patient,
  type StartedMirror,
  type StartMirrorOptions,
  startMirror,
} from './start-mirror.ts';

interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  readonly image: AddedImage;
  /** Pulls the tag; the requests it cost upstream are in `asked`. */
  pull(): Promise<{ digest: string | undefined; outcome: string | undefined; asked: string[] }>;
  record(): { digest: string; checkedAt: number } | undefined;
  /** Makes the last confirmation of the tag as old as this. */
  age(ms: number): void;
}

const hour = 3_600_000;

async function scene(options: Partial<StartMirrorOptions> = {}): Promise<Scene> {
  const upstream = await startFakeUpstream();
  const image = upstream.addImage('library/app');
  const mirror = await startMirror({ upstreams: { 'docker.io': upstream }, ttlMs: hour, ...options });
  const source = mirror.source('library/app');
  return {
    upstream,
    mirror,
    image,
    pull: async () => {
      const before = upstream.requests.length;
      const answer = await mirror.tags.get(source, 'latest', patient);
      const asked = upstream.requests.slice(before).map(({ method, path }) => `${method} ${path.split('/').at(-1)}`);
      return { digest: answer?.manifest.descriptor.digest, outcome: answer?.outcome, asked };
    },
    record: () => mirror.records.tag(source.repository, 'latest'),
    age: (ms) => {
      const record = mirror.records.tag(source.repository, 'latest');
      if (!record) throw new Error('there is no record to age');
      mirror.records.putTag(source.repository, 'latest', { ...record, checkedAt: Date.now() - ms });
    },
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('a tag', () => {
  test('nobody has asked for costs a HEAD and a GET by digest', async () => {
    await using at = await scene();
    const { digest } = at.image;
    expect(await at.pull()).toEqual({ digest, outcome: 'miss', asked: ['HEAD latest', `GET ${digest}`] });
  });

  test('that is fresh costs no request', async () => {
    await using at = await scene();
    await at.pull();
    expect(await at.pull()).toEqual({ digest: at.image.digest, outcome: 'hit', asked: [] });
  });

  test('past its ttl costs one HEAD, and is fresh again', async () => {
    await using at = await scene();
    await at.pull();
    at.age(2 * hour);
    expect(await at.pull()).toEqual({ digest: at.image.digest, outcome: 'revalidated', asked: ['HEAD latest'] });
    expect(await at.pull()).toMatchObject({ outcome: 'hit', asked: [] });
  });

  test('that moved costs a HEAD and a GET by digest', async () => {
    await using at = await scene();
    await at.pull();
    at.age(2 * hour);
    const { digest } = at.upstream.addImage('library/app', { layers: ['another layer'] });
    expect(await at.pull()).toEqual({ digest, outcome: 'miss', asked: ['HEAD latest', `GET ${digest}`] });
    expect(at.record()?.digest).toBe(digest);
  });

  test('that moved to a manifest that is here already costs a HEAD only', async () => {
    await using at = await scene();
    const other = at.upstream.addImage('library/app', { tag: 'other', layers: ['another layer'] });
    await at.pull();
    await at.mirror.tags.get(at.mirror.source('library/app'), 'other', patient);
    at.upstream.repository('library/app').tags.set('latest', other.digest);
    at.age(2 * hour);
    expect(await at.pull()).toEqual({ digest: other.digest, outcome: 'revalidated', asked: ['HEAD latest'] });
  });

  test('is deleted by a proven 404', async () => {
    await using at = await scene();
    await at.pull();
    at.age(2 * hour);
    at.upstream.repository('library/app').tags.clear();
    expect(await at.pull()).toEqual({ digest: undefined, outcome: undefined, asked: ['HEAD latest'] });
    expect(at.record()).toBeUndefined();
    await at.upstream.close();
    await expect(at.pull()).rejects.toMatchObject({ failure: 'unreachable' });
  });

  test('with a record from the future is not believed: the clock jumped back', async () => {
    await using at = await scene();
    await at.pull();
    at.age(-2 * hour);
    expect(await at.pull()).toMatchObject({ outcome: 'revalidated', asked: ['HEAD latest'] });
    expect(at.record()?.checkedAt).toBeLessThanOrEqual(Date.now());
  });

  test('with a record from the future stands in for the upstream from now on, as long as any other', async () => {
    await using at = await scene({ staleIfErrorMs: hour });
    await at.pull();
    at.age(-1000 * hour);
    await at.upstream.close();
    expect(await at.pull()).toMatchObject({ digest: at.image.digest, outcome: 'stale' });
    const { checkedAt = 0 } = at.record() ?? {};
    expect(Date.now() - checkedAt).toBeGreaterThanOrEqual(hour);
    expect(Date.now() - checkedAt).toBeLessThan(hour + 60_000);
    at.age(2 * hour);
    await expect(at.pull()).rejects.toMatchObject({ name: 'UpstreamError' });
  });

  test('that is believed for ever is not asked for again, whatever the clock says', async () => {
    const rules = [{ match: 'docker.io/library/app:latest', ttlMs: Number.POSITIVE_INFINITY }];
    await using at = await scene({ ttlMs: 0, rules });
    await at.pull();
    for (const age of [1e6 * hour, -1e6 * hour]) {
      at.age(age);
      expect(await at.pull()).toMatchObject({ outcome: 'hit', asked: [] });
    }
  });

  test('goes by the times of its rule', async () => {
    await using at = await scene({ rules: [{ match: 'docker.io/library/*:latest', ttlMs: 3 * hour }] });
    await at.pull();
    at.age(2 * hour);
    expect(await at.pull()).toMatchObject({ outcome: 'hit', asked: [] });
    at.age(4 * hour);
    expect(await at.pull()).toMatchObject({ outcome: 'revalidated' });
  });

  test('is believed longer as the pull limit of its registry is used up', async () => {
    const changes = { thrift: 12 };
    await using at = await scene({ wrap: (upstream) => altered(upstream, changes) });
    await at.pull();
    at.age(11 * hour);
    expect(await at.pull()).toMatchObject({ outcome: 'hit', asked: [] });
    at.age(-hour);
    expect(await at.pull()).toMatchObject({ outcome: 'revalidated', asked: ['HEAD latest'] });
    at.age(2 * hour);
    changes.thrift = 1;
    expect(await at.pull()).toMatchObject({ outcome: 'revalidated', asked: ['HEAD latest'] });
  });

  test('whose manifest file is gone from the disk is fetched again', async () => {
    await using at = await scene();
    await at.pull();
    const { digest } = at.image;
    await rm(at.mirror.layout.blob(digestFor(at.image)));
    expect(await at.pull()).toEqual({ digest, outcome: 'miss', asked: ['HEAD latest', `GET ${digest}`] });
    expect(await at.pull()).toMatchObject({ outcome: 'hit', asked: [] });
  });

  test('of an upstream that hides the digest on HEAD is fetched by GET', async () => {
    await using at = await scene();
    at.upstream.faults.add({ method: 'HEAD' }, { dockerContentDigest: null });
    const { digest } = at.image;
    expect(await at.pull()).toEqual({ digest, outcome: 'miss', asked: ['HEAD latest', 'GET latest'] });
  });
});

describe('a tag within staleWhileRevalidate', () => {
  test('goes out at once, and is checked behind', async () => {
    await using at = await scene({ staleWhileRevalidateMs: 2 * hour });
    await at.pull();
    at.age(2 * hour);
    const { digest: moved } = at.upstream.addImage('library/app', { layers: ['another layer'] });
    const gate = new Gate();
    at.upstream.faults.add({ method: 'HEAD' }, { holdHeaders: gate });
    expect(await at.pull()).toMatchObject({ digest: at.image.digest, outcome: 'hit' });
    gate.open();
    await vi.waitUntil(() => at.record()?.digest === moved);
    expect(await at.pull()).toEqual({ digest: moved, outcome: 'hit', asked: [] });
  });

  test('goes out while its upstream is down, and past it as stale', async () => {
    await using at = await scene({ staleWhileRevalidateMs: hour, staleIfErrorMs: 2 * hour });
    await at.pull();
    await at.upstream.close();
    at.age(1.5 * hour);
    expect(await at.pull()).toMatchObject({ outcome: 'hit' });
    at.age(2.5 * hour);
    expect(await at.pull()).toMatchObject({ outcome: 'stale' });
  });

  test('is gone after a proven 404', async () => {
    await using at = await scene({ staleWhileRevalidateMs: hour });
    await at.pull();
    at.age(1.5 * hour);
    at.upstream.repository('library/app').tags.clear();
    expect(await at.pull()).toMatchObject({ outcome: 'hit' });
    await vi.waitUntil(() => at.record() === undefined);
    expect(await at.pull()).toMatchObject({ digest: undefined });
  });
});

describe('many who ask for one tag at once', () => {
  test('cost one HEAD and one GET when it is not cached', async () => {
    await using at = await scene();
    const gate = new Gate();
    at.upstream.faults.add({ method: 'HEAD' }, { holdHeaders: gate });
    const source = at.mirror.source('library/app');
    const asked = Array.from({ length: 50 }, () => at.mirror.tags.get(source, 'latest', patient));
    await gate.reached;
    gate.open();
    const outcomes = (await Promise.all(asked)).map((answer) => answer?.outcome);
    expect(outcomes.filter((outcome) => outcome === 'miss')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'joined')).toHaveLength(49);
    expect(at.upstream.count()).toBe(2);
  });

  test('cost one HEAD when it has expired', async () => {
    await using at = await scene();
    await at.pull();
    at.age(2 * hour);
    const gate = new Gate();
    at.upstream.faults.add({ method: 'HEAD' }, { holdHeaders: gate });
    const before = at.upstream.count();
    const looks = vi.spyOn(at.mirror.manifests, 'stored');
    const asked = Array.from({ length: 50 }, () => at.pull());
    await gate.reached;
    await Promise.all(looks.mock.results.map(({ value }) => value));
    gate.open();
    for (const { outcome } of await Promise.all(asked)) expect(outcome).toBe('revalidated');
    expect(looks.mock.results).toHaveLength(50);
    expect(at.upstream.count() - before).toBe(1);
  });

  test('cost one HEAD, too, when it is answered before the last of them has read the manifest', async () => {
    await using at = await scene();
    await at.pull();
    at.age(2 * hour);
    const reading = new Gate();
    const stored = at.mirror.manifests.stored.bind(at.mirror.manifests);
    vi.spyOn(at.mirror.manifests, 'stored').mockImplementationOnce(async (...asked) => {
      await reading.pass();
      return stored(...asked);
    });
    const slow = at.pull();
    await reading.reached;
    expect(await at.pull()).toMatchObject({ outcome: 'revalidated', asked: ['HEAD latest'] });
    const before = at.upstream.count();
    reading.open();
    expect(await slow).toMatchObject({ digest: at.image.digest, outcome: 'hit' });
    expect(at.upstream.count()).toBe(before);
  });

  test('a refusal reaches all of them after one request', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'manifest' }, refusals.pullLimit);
    const asked = Array.from({ length: 10 }, () => at.pull());
    for (const result of await Promise.allSettled(asked))
      expect(result).toMatchObject({ status: 'rejected', reason: { failure: 'limited' } });
    expect(at.upstream.count()).toBe(1);
  });
});
