// A digest is no key: whoever asks through another repository, its upstream must first say that it has the blob.
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import type { ServedContent } from '../support/served-content.ts';
import { digestFor, filled, patient, readAll, type StartedMirror, startMirror } from './start-mirror.ts';

const [first, other] = ['acme/first', 'acme/other'];
let upstream: FakeUpstream;
let mirror: StartedMirror;
let blob: ServedContent;
let gate: Gate;

beforeEach(async () => {
  upstream = await startFakeUpstream();
  mirror = await startMirror({ upstreams: { 'docker.io': upstream } });
  blob = upstream.addBlob(first, 'a private layer '.repeat(1000));
  gate = new Gate();
});

afterEach(async () => {
  gate.open();
  await mirror[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const open = (name: string) => mirror.mirror.openBlob(mirror.source(name), digestFor(blob), patient);

async function outcome(name: string): Promise<string | undefined> {
  const answer = await open(name);
  await answer?.content.close();
  return answer?.outcome;
}

async function store(): Promise<void> {
  await outcome(first);
  await filled(mirror, digestFor(blob));
}

function proofs(name: string) {
  return upstream.server.find({ kind: 'blob', path: `/v2/${name}/` }).map(({ headers }) => headers.range);
}

describe('a stored blob', () => {
  test('is proven by a GET of its first byte, once, and then a hit', async () => {
    await store();
    upstream.addBlob(other, blob);
    expect(await outcome(other)).toBe('hit');
    expect(await outcome(other)).toBe('hit');
    expect(proofs(other)).toEqual(['bytes=0-0']);
  });

  test('is not there when the upstream denies it', async () => {
    await store();
    upstream.repository(other);
    expect(await outcome(other)).toBeUndefined();
    expect(await mirror.mirror.statBlob(mirror.source(other), digestFor(blob), patient)).toBeUndefined();
    expect(proofs(other)).toEqual(['bytes=0-0', 'bytes=0-0']);
  });

  test('is an error, not an answer, while the upstream cannot be asked', async () => {
    await store();
    upstream.faults.add({ path: other }, refusals.unavailable);
    await expect(outcome(other)).rejects.toMatchObject({ failure: 'failing' });
  });

  test('is proven by an upstream that knows no ranges, without taking the whole', async () => {
    await store();
    upstream.addBlob(other, blob);
    upstream.faults.add({ path: other }, { noRanges: true });
    expect(await outcome(other)).toBe('hit');
  });

  test('of the same path on another registry is another repository', async () => {
    await using away = await startFakeUpstream();
    await using both = await startMirror({ upstreams: { 'docker.io': upstream, 'ghcr.io': away } });
    const ask = (name: string) => both.mirror.openBlob(both.source(name), digestFor(blob), patient);
    await (await ask(first))?.content.close();
    await filled(both, digestFor(blob));
    expect(await ask(`ghcr.io/${first}`)).toBeUndefined();
    expect(away.count({ kind: 'blob' })).toBe(1);
  });

  test('is proven to HEAD by the first byte too', async () => {
    await store();
    upstream.addBlob(other, blob);
    const stat = () => mirror.mirror.statBlob(mirror.source(other), digestFor(blob), patient);
    expect(await stat()).toEqual({ size: blob.size, outcome: 'miss' });
    expect(await stat()).toMatchObject({ size: blob.size, outcome: 'hit' });
    expect(proofs(other)).toEqual(['bytes=0-0']);
  });
});

describe('a blob that is arriving', () => {
  test('is joined after its proof', async () => {
    upstream.addBlob(other, blob);
    upstream.faults.add({ path: first }, { holdBody: { after: 100, gate } });
    const mine = await open(first);
    const theirs = await open(other);
    expect([mine?.outcome, theirs?.outcome]).toEqual(['miss', 'joined']);
    expect(proofs(other)).toEqual(['bytes=0-0']);
    gate.open();
    for (const answer of [mine, theirs]) expect(answer && (await readAll(answer.content)).length).toBe(blob.size);
  });

  test('is not there for a repository whose upstream denies it', async () => {
    upstream.repository(other);
    upstream.faults.add({ path: first }, { holdBody: { after: 100, gate } });
    const mine = await open(first);
    expect(await outcome(other)).toBeUndefined();
    gate.open();
    expect(mine && (await readAll(mine.content)).length).toBe(blob.size);
  });

  test('for another repository is told to HEAD only after the proof', async () => {
    upstream.repository(other);
    upstream.faults.add({ path: first }, { holdBody: { after: 100, gate } });
    const mine = await open(first);
    expect(await mirror.mirror.statBlob(mirror.source(other), digestFor(blob), patient)).toBeUndefined();
    expect(await mirror.mirror.statBlob(mirror.source(first), digestFor(blob), patient)).toMatchObject({
      size: blob.size,
      outcome: 'joined',
    });
    await mine?.content.close();
  });
});

describe('a transfer that another repository started', () => {
  /** The first repository asks and waits for its answer; the other comes and has been proven meanwhile. */
  async function whileFirstWaits() {
    upstream.addBlob(other, blob);
    upstream.faults.add({ path: first }, { holdHeaders: gate });
    const mine = open(first);
    mine.catch(() => {}); // awaited by the test
    await gate.reached;
    const theirs = open(other);
    theirs.catch(() => {});
    const link = () => mirror.records.link(mirror.source(other).repository, digestFor(blob));
    while (!link()) await new Promise((resolve) => setImmediate(resolve));
    gate.open();
    return { mine, theirs };
  }

  test('and that ends in 404 does not make the blob unknown to one that has it', async () => {
    upstream.repository(first).blobs.clear();
    const { mine, theirs } = await whileFirstWaits();
    expect(await mine).toBeUndefined();
    const answer = await theirs;
    expect(answer?.outcome).toBe('miss');
    expect(answer && (await readAll(answer.content)).length).toBe(blob.size);
  });

  test.each([
    ['is denied', refusals.denied],
    ['is unauthorized', refusals.unauthorized],
    ['fails', refusals.serverError],
  ])('and that %s is not the answer to one whose upstream has the blob', async (_what, refusal) => {
    upstream.faults.add({ path: first }, refusal);
    const { mine, theirs } = await whileFirstWaits();
    await expect(mine).rejects.toMatchObject({ name: 'UpstreamError' });
    const answer = await theirs;
    expect(answer && (await readAll(answer.content)).length).toBe(blob.size);
  });

  test('and that is denied is not what HEAD is told for one whose upstream has the blob', async () => {
    upstream.addBlob(other, blob);
    mirror.records.addLinks(mirror.source(other).repository, [
      { digest: digestFor(blob), size: blob.size, mediaType: 'application/octet-stream' },
    ]);
    upstream.faults.add({ path: first }, { ...refusals.denied, holdHeaders: gate });
    const mine = open(first);
    mine.catch(() => {}); // awaited below
    await gate.reached;
    const head = mirror.mirror.statBlob(mirror.source(other), digestFor(blob), patient);
    head.catch(() => {});
    gate.open();
    await expect(mine).rejects.toMatchObject({ failure: 'denied' });
    expect(await head).toEqual({ size: blob.size, outcome: 'miss' });
  });
});

test('a blob whose file is gone is asked for by HEAD without a transfer', async () => {
  await store();
  await rm(mirror.layout.blob(digestFor(blob)));
  const stat = await mirror.mirror.statBlob(mirror.source(first), digestFor(blob), patient);
  expect(stat).toEqual({ size: blob.size, outcome: 'miss' });
  expect(proofs(first)).toEqual(['bytes=0-8388607', 'bytes=0-0']);
});
