// The other blobs of an image, fetched before anybody asks for them, and never in the way of those who do.
import { describe, expect, test, vi } from 'vitest';
import type { BlobAnswer } from '../../src/mirror/blobs.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { generateContent, type ServedContent } from '../support/served-content.ts';
import {
  altered,
  digestFor,
  filled,
  patient,
  readAll,
  type StartedMirror,
  type StartMirrorOptions,
  startMirror,
} from './start-mirror.ts';

const name = 'library/app';
const size = 200_000;
/** Where a transfer is held that is to be left half-way. */
const heldAt = 100_000;

interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  readonly layers: readonly ServedContent[];
  readonly config: ServedContent;
  pullManifest(): Promise<void>;
  open(blob: ServedContent | undefined): Promise<BlobAnswer>;
  /** Paths of the blobs that were asked for, in order. */
  asked(): string[];
}

type Options = Partial<StartMirrorOptions> & { readonly layerSize?: number };

async function scene(layerCount: number, { layerSize = size, ...options }: Options = {}): Promise<Scene> {
  const upstream = await startFakeUpstream();
  const layers = await Promise.all(
    Array.from({ length: layerCount }, (_, index) => generateContent({ size: layerSize, seed: index + 1 })),
  );
  const { config } = upstream.addImage(name, { layers });
  const upstreams = { 'docker.io': upstream, 'ghcr.io': upstream };
  const mirror = await startMirror({ upstreams, siblings: true, ...options });
  return {
    upstream,
    mirror,
    layers,
    config,
    pullManifest: async () => {
      await mirror.mirror.getManifest(mirror.source(name), { tag: 'latest' }, patient);
    },
    open: async (blob) => {
      const answer = blob && (await mirror.mirror.openBlob(mirror.source(name), digestFor(blob), patient));
      if (!answer) throw new Error('there is no such blob');
      return answer;
    },
    asked: () => upstream.server.find({ kind: 'blob' }).map(({ path }) => path.split('/').at(-1) ?? ''),
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** All running fills of these. */
function allFilled(at: Scene, blobs: readonly ServedContent[]): Promise<unknown[]> {
  return Promise.all(blobs.map((blob) => filled(at.mirror, digestFor(blob))));
}

describe('the first layer that is asked for', () => {
  test('brings the others and the config, each once', async () => {
    await using at = await scene(3);
    await at.pullManifest();
    expect(at.asked()).toEqual([]);
    const [first] = at.layers;
    await readAll((await at.open(first)).content);
    await allFilled(at, [...at.layers, at.config]);
    for (const blob of [...at.layers, at.config]) expect(at.mirror.records.blob(digestFor(blob))?.proven).toBe(true);
    expect(at.asked().sort()).toEqual([...at.layers, at.config].map(({ digest }) => digest).sort());
    const { content, outcome } = await at.open(at.layers[2]);
    expect(outcome).toBe('hit');
    expect((await readAll(content)).length).toBe(size);
  });

  test('brings nothing that is here', async () => {
    await using at = await scene(2);
    await readAll((await at.open(at.layers[1])).content);
    await filled(at.mirror, digestFor(at.layers[1] as ServedContent));
    await at.pullManifest();
    await readAll((await at.open(at.layers[0])).content);
    await allFilled(at, [...at.layers, at.config]);
    expect(at.asked()).toHaveLength(3);
  });

  test('brings nothing when it is only asked about', async () => {
    await using at = await scene(2);
    await at.pullManifest();
    await at.mirror.mirror.statBlob(at.mirror.source(name), digestFor(at.config), patient);
    await at.mirror.stop();
    expect(at.asked()).toEqual([at.config.digest]);
  });

  test('brings nothing from an upstream that may not be asked now', async () => {
    await using at = await scene(3, { wrap: (upstream) => altered(upstream, { mayAsk: () => false }) });
    await at.pullManifest();
    const [first] = at.layers;
    await readAll((await at.open(first)).content);
    await allFilled(at, [...at.layers, at.config]);
    expect(at.asked()).toEqual([first?.digest]);
  });

  test('brings no more at once than there are places', async () => {
    await using at = await scene(5, { maxFills: 2 });
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 10, gate } });
    await at.pullManifest();
    const { content } = await at.open(at.layers[0]);
    await vi.waitUntil(() => gate.arrivals === 2);
    expect(at.asked()).toHaveLength(2);
    gate.open();
    await readAll(content);
    await allFilled(at, [...at.layers, at.config]);
    expect(at.asked()).toHaveLength(6);
  });
});

test('a sibling is one request at a time, until somebody waits for it', async () => {
  await using at = await scene(2, { layerSize: 20 * 1024 * 1024 });
  const [first, sibling] = at.layers as [ServedContent, ServedContent];
  const gate = new Gate();
  at.upstream.faults.add({ path: sibling.digest }, { holdBody: { after: 10, gate } });
  await at.pullManifest();
  await readAll((await at.open(first)).content);
  await gate.reached;
  expect(at.upstream.count({ path: sibling.digest })).toBe(1);
  const { content } = await at.open(sibling);
  await vi.waitUntil(() => gate.arrivals === 3);
  gate.open();
  expect((await readAll(content)).length).toBe(sibling.size);
  expect(at.upstream.server.bytesSent({ path: sibling.digest })).toBe(sibling.size);
});

describe('siblings of an upstream with few connections', () => {
  /** The client has the first layer of six blobs; the others are held at their first byte. In the manifest's order. */
  async function held(connections: number) {
    const at = await scene(5, { connections });
    const [first, ...layers] = at.layers as [ServedContent, ...ServedContent[]];
    const siblings = [at.config, ...layers];
    const gates = siblings.map(({ digest }) => {
      const gate = new Gate();
      at.upstream.faults.add({ path: digest }, { holdBody: { after: 1, gate } });
      return gate;
    });
    await at.pullManifest();
    await readAll((await at.open(first)).content);
    await filled(at.mirror, digestFor(first));
    const fillOf = (index: number) => at.mirror.fills.find(digestFor(siblings[index] as ServedContent));
    return {
      ...at,
      siblings,
      fillOf,
      /** Those that are on their way, by their place. */
      begun: () => [...siblings.keys()].filter((index) => fillOf(index)?.hasSlot),
      release: (...indices: readonly number[]) => {
        for (const index of indices) gates[index]?.open();
      },
    };
  }

  test('leave most of them free, and begin as others end', async () => {
    await using at = await held(8);
    expect(at.begun()).toEqual([0, 1]);
    const ended = at.fillOf(0)?.ended;
    at.release(0);
    await ended;
    expect(at.begun()).toEqual([1, 2]);
    at.release(1, 2, 3, 4);
    await allFilled(at, at.siblings);
    expect(at.asked().sort()).toEqual([...at.layers, at.config].map(({ digest }) => digest).sort());
  });

  test('begin at once when somebody waits for them', async () => {
    await using at = await held(8);
    const { content, outcome } = await at.open(at.siblings[4]);
    expect(outcome).toBe('joined');
    expect(at.begun()).toEqual([0, 1, 4]);
    at.release(0, 1, 2, 3, 4);
    await content.close();
  });

  test('count no longer when somebody waits for them', async () => {
    await using at = await held(8);
    const { content } = await at.open(at.siblings[0]);
    expect(at.begun()).toEqual([0, 1, 2]);
    at.release(0, 1, 2, 3, 4);
    await content.close();
  });

  test('leave those of another upstream alone', async () => {
    await using at = await held(8);
    const { layers, config } = at.upstream.addImage('library/other', { layers: ['one', 'two'] });
    const source = at.mirror.source('ghcr.io/library/other');
    await at.mirror.mirror.getManifest(source, { tag: 'latest' }, patient);
    const [one] = layers as [ServedContent];
    const answer = await at.mirror.mirror.openBlob(source, digestFor(one), patient);
    await allFilled(at, [...layers, config]);
    for (const blob of [...layers, config]) expect(at.mirror.records.blob(digestFor(blob))?.proven).toBe(true);
    expect(at.begun()).toEqual([0, 1]);
    await answer?.content.close();
    at.release(0, 1, 2, 3, 4);
  });

  test('have none to begin with when there are hardly any, and are fetched when they are asked for', async () => {
    await using at = await held(3);
    expect(at.begun()).toEqual([]);
    at.release(2);
    const { content, outcome } = await at.open(at.siblings[2]);
    expect(outcome).toBe('miss');
    expect(at.siblings.some((_, index) => at.fillOf(index)?.isWanted === false)).toBe(false);
    expect((await readAll(content)).length).toBe(size);
    const other = await at.upstream.addGeneratedBlob(name, { size, seed: 99 });
    expect((await readAll((await at.open(other)).content)).length).toBe(size);
    expect(at.asked()).toEqual([at.layers[0], at.siblings[2], other].map((blob) => blob?.digest));
  });
});

test('HEAD does not wait for a sibling that nobody waits for', async () => {
  await using at = await scene(2);
  const [first, sibling] = at.layers as [ServedContent, ServedContent];
  const gate = new Gate();
  at.upstream.faults.add({ path: sibling.digest, times: 1 }, { holdHeaders: gate });
  await at.pullManifest();
  await readAll((await at.open(first)).content);
  await gate.reached;
  const stat = await at.mirror.mirror.statBlob(at.mirror.source(name), digestFor(sibling), patient);
  expect(stat).toEqual({ size, outcome: 'miss' });
  expect(at.upstream.server.find({ path: sibling.digest }).map(({ headers }) => headers.range)).toEqual([
    undefined,
    'bytes=0-0',
  ]);
  gate.open();
});

describe('siblings that take every place', () => {
  /** One place, which a sibling has that is held at its first byte; the client has its layer already. */
  async function crowded(): Promise<Scene & { readonly gate: Gate; readonly sibling: ServedContent }> {
    const at = await scene(1, { maxFills: 1 });
    const gate = new Gate();
    await at.pullManifest();
    at.upstream.faults.add({ path: at.config.digest }, { holdBody: { after: 1, gate } });
    const other = await at.upstream.addGeneratedBlob(name, { size, seed: 99 });
    const [first] = at.layers;
    await readAll((await at.open(first)).content);
    await filled(at.mirror, digestFor(first as ServedContent));
    await gate.reached;
    return { ...at, gate, layers: [other], sibling: at.config };
  }

  test('make place at once for one that somebody waits for, and that is no failure', async () => {
    await using at = await crowded();
    const { content, outcome } = await at.open(at.layers[0]);
    expect(outcome).toBe('miss');
    expect((await readAll(content)).length).toBe(size);
    expect(at.mirror.fills.find(digestFor(at.sibling))).toBeUndefined();
    expect(at.mirror.logLines.filter(({ level }) => Number(level) > 30)).toEqual([]);
    expect((await at.mirror.metrics.fillFailures.get()).values).toEqual([]);
    at.gate.open();
  });

  test('keep it once somebody waits for them', async () => {
    await using at = await crowded();
    const joined = await at.open(at.sibling);
    expect(joined.outcome).toBe('joined');
    const opening = at.open(at.layers[0]);
    at.gate.open();
    expect((await readAll(joined.content)).length).toBe(at.sibling.size);
    expect((await readAll((await opening).content)).length).toBe(size);
    expect(at.upstream.count({ path: at.sibling.digest })).toBe(1);
  });
});

describe('a sibling that made place', () => {
  /** Two siblings held half-way in both places; a client waits for neither. */
  async function halfWay() {
    const at = await scene(3, { maxFills: 2 });
    const gate = new Gate();
    const [first, ...siblings] = at.layers as [ServedContent, ServedContent, ServedContent];
    await at.pullManifest();
    // The config goes through; the two layers are held.
    const held = siblings.map(({ digest }) =>
      at.upstream.faults.add({ path: digest }, { holdBody: { after: heldAt, gate } }),
    );
    await readAll((await at.open(first)).content);
    await vi.waitUntil(() => gate.arrivals === 2);
    for (const sibling of siblings) {
      const spool = await at.mirror.fills.find(digestFor(sibling))?.opened;
      await vi.waitUntil(() => spool?.prefix === heldAt);
    }
    for (const fault of held) fault.remove();
    return { ...at, gate, siblings };
  }

  test('goes on with its bytes when it is asked for', async () => {
    await using at = await halfWay();
    const other = await at.upstream.addGeneratedBlob(name, { size, seed: 99 });
    await readAll((await at.open(other)).content);
    const [left] = at.siblings.filter((sibling) => !at.mirror.fills.find(digestFor(sibling)));
    const { content, outcome } = await at.open(left);
    expect(outcome).toBe('miss');
    expect((await readAll(content)).length).toBe(size);
    const requests = at.upstream.server.find({ path: left?.digest ?? '' });
    expect(requests.map(({ headers }) => headers.range)).toEqual([undefined, `bytes=${heldAt}-${size - 1}`]);
    at.gate.open();
  });

  test('is one for one that waits, however many wait for that one', async () => {
    await using at = await halfWay();
    const other = await at.upstream.addGeneratedBlob(name, { size, seed: 99 });
    const crowd = await Promise.all(Array.from({ length: 10 }, () => at.open(other)));
    expect(at.siblings.filter((sibling) => at.mirror.fills.find(digestFor(sibling)))).toHaveLength(1);
    await Promise.all(crowd.map(({ content }) => readAll(content)));
    at.gate.open();
  });

  test('is not fetched again when it was as good as done', async () => {
    await using at = await scene(2, { maxFills: 2 });
    const [first, sibling] = at.layers as [ServedContent, ServedContent];
    const gate = new Gate();
    const { store } = at.mirror;
    const commit = store.commit.bind(store);
    vi.spyOn(store, 'commit').mockImplementation(async (digest, ...file) => {
      if (digest === sibling.digest) await gate.pass();
      await commit(digest, ...file);
    });
    await at.pullManifest();
    await readAll((await at.open(first)).content);
    await gate.reached;
    await allFilled(at, [first, at.config]);
    const others = ['one', 'two'].map((text) => at.upstream.addBlob(name, text));
    const opening = others.map((other) => at.open(other));
    await vi.waitUntil(() => !at.mirror.fills.find(digestFor(sibling)));
    for (const answer of await Promise.all(opening)) await readAll(answer.content);
    const again = at.open(sibling);
    await vi.waitUntil(() => at.mirror.fills.find(digestFor(sibling))?.hasSlot);
    gate.open();
    expect((await readAll((await again).content)).length).toBe(size);
    expect(at.upstream.count({ path: sibling.digest })).toBe(1);
  });
});
