// Whoever may push to one repository of a registry can name what another one of it has: a name alone opens nothing.
import { describe, expect, test, vi } from 'vitest';
import { type WantedRange, wantedRange } from '../../src/oci/byte-range.ts';
import type { Source } from '../../src/upstream/upstreams.ts';
import { imageManifest, indexManifest } from '../support/fake-image.ts';
import { Gate } from '../support/gate.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import { altered, digestFor, filled, patient, readAll } from './start-mirror.ts';
import { forged, path, size, type Theft, theft } from './theft-scene.ts';

const thiefPath = 'mallory/app';
const platform = { architecture: 'amd64', os: 'linux' };

interface Case {
  readonly mayShare: boolean;
  /** Whether only some may see the image; whether only some may see the repository that names it. */
  readonly isPrivate: boolean;
  readonly isThiefPrivate: boolean;
}

/** Wherever what one repository of a registry shows is not everybody's. */
const guarded: [string, Case][] = [
  ['rules say who may pull', { mayShare: false, isPrivate: false, isThiefPrivate: false }],
  ['rules say who may pull, by who sees more', { mayShare: false, isPrivate: false, isThiefPrivate: true }],
  ['rules say who may pull, of what is private', { mayShare: false, isPrivate: true, isThiefPrivate: true }],
  ['rules say who may pull, of what is private, by all', { mayShare: false, isPrivate: true, isThiefPrivate: false }],
  ['all may pull, of what is private', { mayShare: true, isPrivate: true, isThiefPrivate: true }],
  ['all may pull, of what is private, by all', { mayShare: true, isPrivate: true, isThiefPrivate: false }],
];

interface Naming extends Omit<Theft, 'name'> {
  readonly thief: Source;
  /** The image and the layer, by the thief's manifests, and what those bring into the index. */
  name(): Promise<void>;
  asked(): string[];
  away(): Promise<void>;
}

async function naming({ isThiefPrivate, ...options }: Case): Promise<Naming> {
  const changes: Theft['changes'] = {};
  const at = await theft({ ...options, wrap: (upstream) => altered(upstream, changes) });
  const thief = at.mirror.source(thiefPath, { isPrivate: isThiefPrivate });
  const own = at.home.addBlob(thiefPath, contentOf('{}'));
  return {
    ...at,
    thief,
    [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
    name: async () => {
      at.home.addManifest(thiefPath, 'latest', imageManifest(own, [at.layer]));
      at.home.addManifest(thiefPath, 'multi', indexManifest([{ manifest: at.image.manifest, platform }]));
      for (const tag of ['latest', 'multi']) await at.mirror.mirror.getManifest(thief, { tag }, patient);
      const answer = await at.open(thief, own);
      await answer?.content.close();
      await filled(at.mirror, digestFor(own));
      at.home.server.forget();
    },
    asked: () =>
      at.home.requests
        .filter(({ path: asked }) => asked.includes(thiefPath))
        .map(({ method, kind, headers }) => [method, kind, headers.range].join(' ').trim()),
    away: async () => {
      changes.lastAnswerAt = Number.NEGATIVE_INFINITY;
      await at.home.close();
    },
  };
}

const ways: [string, WantedRange][] = [
  ['whole', wantedRange(undefined)],
  ['by its first byte', { start: 0, end: 1 }],
  ['by a range in its middle', { start: 1000, end: 200_000 }],
  ['by its tail', { start: size - 1000, end: undefined }],
];

const image = (at: Naming) => at.mirror.mirror.getManifest(at.thief, { digest: digestFor(at.image) }, patient);
const stat = (at: Naming, blob: ServedContent) => at.mirror.mirror.statBlob(at.thief, digestFor(blob), patient);

async function outcome(at: Naming, source: Source, blob: ServedContent): Promise<string | undefined> {
  const answer = await at.open(source, blob);
  await answer?.content.close();
  return answer?.outcome;
}

describe.each(guarded)('where %s, what another repository of the registry brought', (_where, options) => {
  test.each(ways)('is no blob to be had %s by a manifest that names it', async (_way, wanted) => {
    await using at = await naming(options);
    await at.pull();
    await at.name();
    for (let times = 0; times < 2; times++) expect(await at.open(at.thief, at.layer, wanted)).toBeUndefined();
    expect(at.asked()).toEqual(['GET blob bytes=0-0', 'GET blob bytes=0-0']);
  });

  test('is no blob to HEAD', async () => {
    await using at = await naming(options);
    await at.pull();
    await at.name();
    expect(await stat(at, at.layer)).toBeUndefined();
    expect(at.asked()).toEqual(['GET blob bytes=0-0']);
  });

  test('is no manifest to be had by an index that names it', async () => {
    await using at = await naming(options);
    await at.pull();
    await at.name();
    expect(at.mirror.records.link(at.thief.repository, digestFor(at.image))).toMatchObject({ proven: false });
    for (let times = 0; times < 2; times++) expect(await image(at)).toBeUndefined();
  });

  test('is nothing at all while the registry is away', async () => {
    await using at = await naming(options);
    await at.pull();
    await at.name();
    await at.away();
    await expect(at.open(at.thief, at.layer)).rejects.toMatchObject({ name: 'UpstreamError' });
    await expect(stat(at, at.layer)).rejects.toMatchObject({ name: 'UpstreamError' });
    await expect(image(at)).rejects.toMatchObject({ name: 'UpstreamError' });
  });

  test('makes nothing whole that names it', async () => {
    await using at = await naming(options);
    await at.pull();
    await at.name();
    await at.away();
    for (const [tag, missing] of [
      ['latest', at.layer],
      ['multi', at.image],
    ] as const)
      await expect(at.mirror.mirror.getManifest(at.thief, { tag }, patient)).rejects.toThrow(
        `${missing.digest} is missing`,
      );
  });

  test('is its own for one question, and then a hit and part of what is whole', async () => {
    await using at = await naming(options);
    await at.pull();
    await at.name();
    const latest = () => at.mirror.mirror.getManifest(at.thief, { tag: 'latest' }, patient);
    // So that it is known to lack something.
    expect((await latest())?.outcome).toBe('hit');
    at.home.addBlob(thiefPath, at.layer);
    expect(await outcome(at, at.thief, at.layer)).toBe('hit');
    expect(at.asked()).toEqual(['GET blob bytes=0-0']);
    await at.away();
    expect(await outcome(at, at.thief, at.layer)).toBe('hit');
    expect(await stat(at, at.layer)).toMatchObject({ size, outcome: 'hit' });
    expect((await latest())?.outcome).toBe('hit');
  });

  test('is its own manifest once its registry says so, and part of what is whole', async () => {
    await using at = await naming(options);
    await at.pull();
    await at.name();
    for (const blob of [at.layer, at.image.config]) at.home.addBlob(thiefPath, blob);
    at.home.repository(thiefPath).addManifest(at.image.manifest);
    expect((await image(at))?.outcome).toBe(options.isPrivate && !options.isThiefPrivate ? 'miss' : 'revalidated');
    expect(at.asked()).toHaveLength(1);
    for (const blob of [at.layer, at.image.config]) expect(await outcome(at, at.thief, blob)).toBe('hit');
    await at.away();
    expect((await image(at))?.outcome).toBe('hit');
    expect((await at.mirror.mirror.getManifest(at.thief, { tag: 'multi' }, patient))?.outcome).toBe('hit');
  });

  test('is not joined while it arrives', async () => {
    await using at = await naming(options);
    await at.name();
    const gate = new Gate();
    at.home.faults.add({ kind: 'blob', path, times: 1 }, { holdBody: { after: 100_000, gate } });
    const theirs = await at.open(at.victim, at.layer);
    const spool = await at.mirror.fills.find(digestFor(at.layer))?.opened;
    await vi.waitUntil(() => spool?.prefix === 100_000);
    expect(await at.open(at.thief, at.layer)).toBeUndefined();
    expect(await stat(at, at.layer)).toBeUndefined();
    expect(at.asked()).toEqual(['GET blob bytes=0-0', 'GET blob bytes=0-0']);
    at.home.addBlob(thiefPath, at.layer);
    const joined = await at.open(at.thief, at.layer);
    expect(joined?.outcome).toBe('joined');
    gate.open();
    for (const answer of [theirs, joined]) expect(answer && (await readAll(answer.content)).length).toBe(size);
  });

  test('is not proven by a transfer that failed', async () => {
    await using at = await naming(options);
    at.home.addBlob(thiefPath, forged(at.layer));
    const answer = await at.open(at.thief, at.layer);
    await answer?.content.close();
    await at.mirror.fills.drained();
    at.home.repository(thiefPath).blobs.delete(at.layer.digest);
    await at.pull();
    expect(await at.open(at.thief, at.layer)).toBeUndefined();
  });

  test('is not to be had by a fill that begins while it is put away', async () => {
    await using at = await naming(options);
    await at.name();
    const gate = new Gate();
    vi.spyOn(at.mirror.store, 'commit').mockImplementationOnce(async (...file) => {
      await gate.pass();
      await at.mirror.store.commit(...file);
    });
    const theirs = await at.open(at.victim, at.layer);
    await gate.reached;
    at.mirror.fills.find(digestFor(at.layer))?.yield();
    const ours = at.open(at.thief, at.layer);
    await vi.waitUntil(() => at.mirror.fills.find(digestFor(at.layer))?.hasSlot);
    gate.open();
    expect(await ours).toBeUndefined();
    await theirs?.content.close();
  });

  test('makes nothing whole by its last byte', async () => {
    await using at = await naming(options);
    await at.name();
    const gate = new Gate();
    vi.spyOn(at.mirror.store, 'commit').mockImplementationOnce(() => gate.pass());
    const theirs = await at.open(at.victim, at.layer);
    await gate.reached;
    await at.away();
    const latest = at.mirror.mirror.getManifest(at.thief, { tag: 'latest' }, patient);
    await expect(latest).rejects.toThrow(`${at.layer.digest} is missing`);
    gate.open();
    await theirs?.content.close();
  });

  test('stays a hit for who brought it, whatever its manifests name since', async () => {
    await using at = await naming(options);
    await at.pull();
    const { repository } = at.victim;
    for (const { digest } of [at.layer, at.image.config, at.image])
      at.mirror.records.addLinks(repository, [{ digest: digestFor({ digest }), size: 1, mediaType: 'named' }]);
    await at.away();
    for (const blob of [at.layer, at.image.config]) expect(await outcome(at, at.victim, blob)).toBe('hit');
    const latest = await at.mirror.mirror.getManifest(at.victim, { tag: 'latest' }, patient);
    expect(latest?.outcome).toBe('hit');
  });
});

describe('where all may pull what is public', () => {
  const open = { mayShare: true, isPrivate: false, isThiefPrivate: false };

  test('a name is enough for what a repository of the registry brought', async () => {
    await using at = await naming(open);
    await at.pull();
    await at.name();
    await at.away();
    expect(await outcome(at, at.thief, at.layer)).toBe('hit');
    expect(await stat(at, at.layer)).toMatchObject({ size, outcome: 'hit' });
    expect((await image(at))?.outcome).toBe('hit');
    for (const tag of ['latest', 'multi'])
      expect((await at.mirror.mirror.getManifest(at.thief, { tag }, patient))?.outcome).toBe('hit');
  });

  test('a name is enough for what is arriving', async () => {
    await using at = await naming(open);
    await at.name();
    const gate = new Gate();
    at.home.faults.add({ kind: 'blob', path, times: 1 }, { holdBody: { after: 100_000, gate } });
    const theirs = await at.open(at.victim, at.layer);
    const joined = await at.open(at.thief, at.layer);
    expect([joined?.outcome, at.asked()]).toEqual(['joined', []]);
    gate.open();
    for (const answer of [theirs, joined]) expect(answer && (await readAll(answer.content)).length).toBe(size);
  });
});
