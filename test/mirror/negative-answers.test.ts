// "Not found" is remembered for a while, for that repository, and only where it was proven.
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import type { Reference } from '../../src/oci/reference.ts';
import { indexManifest } from '../support/fake-image.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import {
  aborted,
  digestFor,
  patient,
  type StartedMirror,
  type StartMirrorOptions,
  startMirror,
} from './start-mirror.ts';

const name = 'library/app';
const nothing = digestFor(contentOf('nothing'));

interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  /** Asks in each way there is to ask for it; whether it was there, and the requests it cost. */
  ask(what: What, from?: string): Promise<{ isThere: boolean; asked: number }>;
}

type What = { readonly manifest: Reference } | { readonly blob: Digest } | { readonly stat: Digest };

const ways: [string, What][] = [
  ['a tag', { manifest: { tag: 'nightly' } }],
  ['a manifest', { manifest: { digest: nothing } }],
  ['a blob', { blob: nothing }],
  ['a blob of which only the size is asked', { stat: nothing }],
];

async function scene(options: Partial<StartMirrorOptions> = {}): Promise<Scene> {
  const upstream = await startFakeUpstream();
  upstream.addImage(name);
  const mirror = await startMirror({ upstreams: { 'docker.io': upstream }, negativeTtlMs: 60_000, ...options });
  return {
    upstream,
    mirror,
    ask: async (what, from = name) => {
      const before = upstream.requests.length;
      const answer = await answerOf(mirror, what, from);
      return { isThere: answer !== undefined, asked: upstream.requests.length - before };
    },
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

async function answerOf({ mirror, source }: StartedMirror, what: What, from: string): Promise<unknown> {
  if ('manifest' in what) return mirror.getManifest(source(from), what.manifest, patient);
  if ('stat' in what) return mirror.statBlob(source(from), what.stat, patient);
  const answer = await mirror.openBlob(source(from), what.blob, patient);
  await answer?.content.close();
  return answer;
}

const absent = { isThere: false, asked: 1 };
const remembered = { isThere: false, asked: 0 };

describe.each(ways)('%s that is not there', (_what, what) => {
  test('costs one request, however often it is asked for', async () => {
    await using at = await scene();
    expect(await at.ask(what)).toEqual(absent);
    for (let again = 0; again < 5; again++) expect(await at.ask(what)).toEqual(remembered);
  });

  test('is asked for again after negativeTtl', async () => {
    await using at = await scene({ negativeTtlMs: 20 });
    await at.ask(what);
    await aborted(AbortSignal.timeout(30));
    expect(await at.ask(what)).toEqual(absent);
  });

  test('is asked for each time with a negativeTtl of 0, or one of a rule', async () => {
    await using never = await scene({ negativeTtlMs: 0 });
    await using ruled = await scene({ rules: [{ match: 'docker.io/library/*', negativeTtlMs: 0 }] });
    for (const at of [never, ruled]) {
      await at.ask(what);
      expect(await at.ask(what)).toEqual(absent);
    }
  });

  test('may be there in another repository', async () => {
    await using at = await scene();
    await at.ask(what);
    expect(await at.ask(what, 'library/other')).toEqual(absent);
  });
});

describe.each(ways)('%s is not remembered as absent', (_what, what) => {
  test.each<[string, FaultEffect]>([
    ['401', refusals.unauthorized],
    ['403', refusals.denied],
    ['429', refusals.pullLimit],
    ['500', refusals.serverError],
    ['no answer', { hangUp: true }],
  ])('for %s', async (_how, effect) => {
    await using at = await scene();
    at.upstream.faults.add({}, effect);
    for (let again = 0; again < 2; again++) await expect(at.ask(what)).rejects.toMatchObject({ name: 'UpstreamError' });
  });
});

test('a blob that is not there is remembered while the disk takes nothing, too', async () => {
  await using at = await scene();
  at.mirror.disk.report(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
  expect(await at.ask({ blob: nothing })).toEqual(absent);
  expect(await at.ask({ blob: nothing })).toEqual(remembered);
});

describe('what was absent is there at once', () => {
  test('as a manifest and as a blob, when a tag brings them', async () => {
    await using at = await scene();
    const image = at.upstream.addImage(name, { tag: 'nightly', layers: ['a layer'] });
    const repository = at.upstream.repository(name);
    const manifest = repository.manifest('nightly');
    const digest = digestFor(image);
    const layer = digestFor(image.layers[0] ?? contentOf(''));
    repository.manifests.delete(digest);
    repository.blobs.delete(layer);
    repository.tags.delete('nightly');
    expect(await at.ask({ manifest: { digest } })).toEqual(absent);
    expect(await at.ask({ blob: layer })).toEqual(absent);
    // Now it is pushed.
    if (manifest) at.upstream.addManifest(name, 'nightly', manifest);
    at.upstream.addBlob(name, 'a layer');
    expect(await at.ask({ manifest: { tag: 'nightly' } })).toMatchObject({ isThere: true });
    expect(await at.ask({ manifest: { digest } })).toMatchObject({ isThere: true });
    expect(await at.ask({ blob: layer })).toMatchObject({ isThere: true });
    // It is so for good: it may be evicted and asked for again at once.
    at.mirror.records.deleteBlob(digest);
    expect(await at.ask({ manifest: { digest } })).toMatchObject({ isThere: true });
  });

  test('as an image, when an index brings it', async () => {
    await using at = await scene();
    const { manifest, digest: text } = at.upstream.addImage(name, { tag: 'nightly' });
    const digest = digestFor(manifest.content);
    at.upstream.repository(name).manifests.delete(text);
    expect(await at.ask({ manifest: { digest } })).toEqual(absent);
    at.upstream.addManifest(name, 'nightly', manifest);
    at.upstream.addManifest(
      name,
      'all',
      indexManifest([{ manifest, platform: { architecture: 'amd64', os: 'linux' } }]),
    );
    expect(await at.ask({ manifest: { tag: 'all' } })).toMatchObject({ isThere: true });
    expect(await at.ask({ manifest: { digest } })).toMatchObject({ isThere: true });
  });
});

describe('a 404 that comes after a manifest has named what it is about', () => {
  test.each<[string, (digest: Digest) => What]>([
    ['a blob', (blob) => ({ blob })],
    ['the size of a blob', (stat) => ({ stat })],
  ])('(%s) hides nothing', async (_what, of) => {
    await using at = await scene();
    const image = at.upstream.addImage(name, { layers: ['a layer'] });
    const layer = digestFor(image.layers[0] ?? contentOf(''));
    const gate = new Gate();
    at.upstream.faults.add({ path: layer, times: 1 }, { ...refusals.notFound, holdHeaders: gate });
    const early = at.ask(of(layer));
    await gate.reached;
    expect(await at.ask({ manifest: { tag: 'latest' } })).toMatchObject({ isThere: true });
    gate.open();
    expect(await early).toMatchObject({ isThere: false });
    expect(await at.ask(of(layer))).toMatchObject({ isThere: true });
  });

  test('(an image of an index) hides nothing', async () => {
    await using at = await scene();
    const { manifest } = at.upstream.addImage(name, { tag: 'nightly' });
    const digest = digestFor(manifest.content);
    const platform = { architecture: 'amd64', os: 'linux' };
    at.upstream.addManifest(name, 'all', indexManifest([{ manifest, platform }]));
    const gate = new Gate();
    at.upstream.faults.add({ path: digest, times: 1 }, { ...refusals.notFound, holdHeaders: gate });
    const early = at.ask({ manifest: { digest } });
    await gate.reached;
    expect(await at.ask({ manifest: { tag: 'all' } })).toMatchObject({ isThere: true });
    gate.open();
    expect(await early).toMatchObject({ isThere: false });
    expect(await at.ask({ manifest: { digest } })).toMatchObject({ isThere: true });
  });
});
