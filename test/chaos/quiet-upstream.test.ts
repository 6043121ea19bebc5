// However many clients pull, an upstream hears of a tag once in its TTL, and of a scope once in a token's life.
import { describe, expect, test } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { startMirror } from '../support/mirror-process.ts';
import { tell } from '../support/tell.ts';
import { pullWhole, type WholePull } from '../support/whole-pull.ts';

const crowd = 100;

/** `atOnce` pulls at a time, `count` in all. */
async function pulls(count: number, atOnce: number, pull: (index: number) => Promise<WholePull>): Promise<WholePull[]> {
  const done: WholePull[] = [];
  let begun = 0;
  const client = async () => {
    while (begun < count) done.push(await pull(begun++));
  };
  await Promise.all(Array.from({ length: atOnce }, client));
  return done;
}

function scopesAsked(upstream: FakeUpstream): string[] {
  const requests = upstream.tokens?.requests ?? [];
  return requests.map(({ path }) => new URL(path, upstream.url).searchParams.getAll('scope').join(' ')).sort();
}

describe('a quiet upstream', { timeout: 90_000 }, () => {
  test('hears once of a tag that is pulled 1,000 times within its TTL', async () => {
    await using upstream = await startFakeUpstream();
    const image = upstream.addImage('library/app', { tag: '1.0' });
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    const startedAt = performance.now();
    const done = await pulls(1000, 50, () => pullWhole(mirror.url, 'library/app:1.0'));
    tell({ pulls: done.length, ms: performance.now() - startedAt, 'upstream requests': upstream.count() });
    expect(done.map(({ digest }) => digest)).toEqual(Array.from({ length: 1000 }, () => image.digest));
    expect(upstream.count({ path: '/manifests/1.0' })).toBe(1);
    // Its manifest, if HEAD told no more than its digest, its configuration and its layer: each once.
    expect(upstream.count({ path: image.digest })).toBeLessThanOrEqual(1);
    for (const blob of [image.config, ...image.layers]) expect(upstream.count({ path: blob.digest })).toBe(1);
  });

  test('hears once of a tag past its TTL that 100 clients pull at once', async () => {
    await using upstream = await startFakeUpstream();
    upstream.addImage('library/app', { tag: '1.0' });
    const config = { tags: { rules: [{ match: 'docker.io/library/app:1.*', ttl: '1ms' }] } };
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url }, config });
    await pullWhole(mirror.url, 'library/app:1.0');
    upstream.server.forget();
    const late = upstream.faults.add({ kind: 'manifest' }, { delayMs: 300 });
    const url = `${mirror.url}/v2/library/app/manifests/1.0`;
    const answers = await Promise.all(Array.from({ length: crowd }, () => fetch(url)));
    late.remove();
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(upstream.count({ method: 'HEAD', path: '/manifests/1.0' })).toBe(upstream.count({ kind: 'manifest' }));
    // All of them within the 300 ms, or the machine was slower than that: still never one a client.
    expect(upstream.count({ kind: 'manifest' })).toBeGreaterThanOrEqual(1);
    expect(upstream.count({ kind: 'manifest' })).toBeLessThanOrEqual(5);
  });

  test('gives one token a scope and lifetime to 100 cold pulls at once of one image', async () => {
    await using upstream = await startFakeUpstream({ auth: { expiresInSeconds: 300 } });
    for (const tag of ['first', 'second'])
      upstream.addImage('library/app', { tag, layers: [`${tag} layer`, `${tag} other`] });
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    await pulls(crowd, crowd, () => pullWhole(mirror.url, 'library/app:first'));
    expect(scopesAsked(upstream)).toEqual(['repository:library/app:pull']);
    expect(upstream.count({ path: '/manifests/first', method: 'GET' })).toBeLessThanOrEqual(1);

    // The end of a lifetime, before its time: what the registry refuses is asked for anew, once for everybody.
    upstream.tokens?.revokeAll();
    await pulls(crowd, crowd, () => pullWhole(mirror.url, 'library/app:second'));
    expect(scopesAsked(upstream)).toEqual(['repository:library/app:pull', 'repository:library/app:pull']);
  });

  test('gives 10 tokens to 100 cold pulls at once of 10 repositories', async () => {
    await using upstream = await startFakeUpstream({ auth: { expiresInSeconds: 300 } });
    for (let repository = 0; repository < 10; repository++)
      for (let tag = 0; tag < 10; tag++) upstream.addImage(`acme/app-${repository}`, { tag: `v${tag}` });
    await using mirror = await startMirror({ upstreams: { 'docker.io': upstream.url } });
    await pulls(crowd, crowd, (index) => pullWhole(mirror.url, `acme/app-${index % 10}:v${Math.floor(index / 10)}`));
    const scopes = Array.from({ length: 10 }, (_, index) => `repository:acme/app-${index}:pull`);
    expect(scopesAsked(upstream)).toEqual(scopes);
  });
});
