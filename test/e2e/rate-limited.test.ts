// Two Docker Engines pull what is cached from a mirror whose upstream has stopped giving out manifests.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Dockerd } from '../support/dockerd.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { refusals } from '../support/faults.ts';
import { type MirrorProcess, startMirror } from '../support/mirror-process.ts';
import { tell } from '../support/tell.ts';
import { requireRoot, requireTools } from '../support/tool.ts';
import { addUnpackable } from '../support/unpackable-image.ts';
import { until } from '../support/until.ts';

const isPossible = requireTools('dockerd', 'docker', 'containerd', 'runc') && requireRoot();
const tags = Array.from({ length: 20 }, (_, index) => `v${index}`);
const pullsPerDaemon = 50;

describe.skipIf(!isPossible)('two dockerds behind a mirror at its pull limit', { timeout: 120_000 }, () => {
  let upstream: FakeUpstream;
  let mirror: MirrorProcess;
  let daemons: readonly Dockerd[] = [];

  beforeAll(async () => {
    upstream = await startFakeUpstream({ auth: {} });
    for (const [index, tag] of tags.entries())
      await addUnpackable(upstream, { repository: 'library/app', tag, seed: 500 + index });
    // No tag is believed for longer than a moment: every pull below has to ask.
    mirror = await startMirror({ upstreams: { 'docker.io': upstream.url }, config: { tags: { ttl: '1ms' } } });
    daemons = await Promise.all([0, 1].map(() => Dockerd.start({ mirrors: [mirror.url] })));
  });

  afterAll(async () => {
    await Promise.all(daemons.map((daemon) => daemon[Symbol.asyncDispose]()));
    await mirror?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
  });

  test('100 pulls of 20 cached tags: none fails, no manifest is fetched, at most 20 HEADs', async () => {
    const [first] = daemons;
    for (const tag of tags) await first?.docker('pull', '--quiet', `app:${tag}`);
    await first?.forget(...tags.map((tag) => `app:${tag}`));
    // A manifest, a configuration and a layer each; whoever has the last byte is a moment ahead of the index.
    await until('all is recorded', async () => (await mirror.metric('stillwater_cache_blobs')) === 3 * tags.length);
    const blobsBefore = await mirror.metric('stillwater_requests_total', 'kind="blob"');
    upstream.server.forget();
    const limit = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '0;w=21600' };
    upstream.faults.add({ kind: 'manifest' }, { ...refusals.pullLimit, headers: limit });

    const failures: string[] = [];
    const startedAt = performance.now();
    await Promise.all(
      daemons.map(async (daemon, place) => {
        for (let pull = 0; pull < pullsPerDaemon; pull++) {
          // The second runs through the tags backwards, so that the two seldom ask for the same one at a time.
          const tag = tags.at(place === 0 ? pull % tags.length : -1 - (pull % tags.length));
          try {
            await daemon.docker('pull', '--quiet', `app:${tag}`);
            await daemon.forget(`app:${tag}`);
          } catch (error) {
            failures.push(`daemon ${place}, pull ${pull}, app:${tag}: ${String(error)}`);
          }
        }
      }),
    );
    const heads = upstream.count({ method: 'HEAD', kind: 'manifest' });
    const gets = upstream.count({ method: 'GET', kind: 'manifest' });
    tell({ pulls: 2 * pullsPerDaemon, failures: failures.length, heads, gets, ms: performance.now() - startedAt });
    expect(failures.slice(0, 5)).toEqual([]);
    expect(gets).toBe(0);
    // One at least, or the limit was never met and all of this proved nothing.
    expect(heads).toBeGreaterThanOrEqual(1);
    expect(heads).toBeLessThanOrEqual(20);
    // Every one of them was a whole pull: its configuration and its layer came through the mirror.
    const blobs = (await mirror.metric('stillwater_requests_total', 'kind="blob"')) ?? 0;
    expect(blobs - (blobsBefore ?? 0)).toBeGreaterThanOrEqual(2 * 2 * pullsPerDaemon);
  });
});
