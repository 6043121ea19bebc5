// One blob for many: one transfer, every reader at its own place and pace, and nobody's leaving changes anything.
import { rm, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { BlobAnswer } from '../../src/mirror/blobs.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import { isCommitted, lyingFiles } from '../support/stored-files.ts';
import { digestFor, filled, patient, readAll, type StartedMirror, spoolFiles, startMirror } from './start-mirror.ts';

const name = 'library/app';
const size = 300_000;

interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  readonly blob: ServedContent;
  readonly bytes: Buffer;
  /** Holds the body of the transfer where the gate was put. */
  readonly gate: Gate;
  open(signal?: AbortSignal): Promise<BlobAnswer>;
  /** Opens it and reads nothing. */
  outcome(): Promise<string>;
}

async function scene({ holdAfter }: { holdAfter?: number } = {}): Promise<Scene> {
  const upstream = await startFakeUpstream();
  const blob = await upstream.addGeneratedBlob(name, { size, seed: 1 });
  const gate = new Gate();
  if (holdAfter !== undefined) upstream.faults.add({ kind: 'blob' }, { holdBody: { after: holdAfter, gate } });
  const mirror = await startMirror({ upstreams: { 'docker.io': upstream } });
  const open = async (signal = patient) => {
    const answer = await mirror.mirror.openBlob(mirror.source(name), digestFor(blob), signal);
    if (!answer) throw new Error('there is no such blob');
    return answer;
  };
  return {
    upstream,
    mirror,
    blob,
    bytes: Buffer.concat([...blob.read(0, size)]),
    gate,
    open,
    outcome: async () => {
      const { outcome, content } = await open();
      await content.close();
      return outcome;
    },
    [Symbol.asyncDispose]: async () => {
      gate.open();
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('a blob that is not here', () => {
  test('is transferred once for all who ask, and arrives whole', async () => {
    await using at = await scene();
    const answers = await Promise.all(Array.from({ length: 20 }, () => at.open()));
    const outcomes = answers.map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'miss').length).toBeGreaterThan(0);
    for (const read of await Promise.all(answers.map(({ content }) => readAll(content))))
      expect(read.equals(at.bytes)).toBe(true);
    expect(at.upstream.count()).toBe(1);
    expect(at.upstream.bytesSent('blob')).toBe(size);
  });

  test('is joined while it arrives, and a hit afterwards', async () => {
    await using at = await scene({ holdAfter: 100_000 });
    const first = await at.open();
    await at.gate.reached;
    const second = await at.open();
    expect([first.outcome, second.outcome]).toEqual(['miss', 'joined']);
    at.gate.open();
    for (const { content } of [first, second]) expect((await readAll(content)).equals(at.bytes)).toBe(true);
    await filled(at.mirror, digestFor(at.blob));
    const third = await at.open();
    expect(third.outcome).toBe('hit');
    expect((await readAll(third.content)).equals(at.bytes)).toBe(true);
    expect(at.upstream.count()).toBe(1);
  });

  test('is committed under its digest, with no spool left', async () => {
    await using at = await scene();
    const { content } = await at.open();
    await readAll(content);
    await filled(at.mirror, digestFor(at.blob));
    expect(await isCommitted(at.mirror.dir, at.blob.digest)).toBe(true);
    expect(await lyingFiles(at.mirror.dir)).toEqual([]);
    expect(await spoolFiles(at.mirror)).toEqual([]);
    expect(at.mirror.records.totals).toEqual({ bytes: size, blobs: 1 });
  });

  test('gives what has arrived before the rest has', async () => {
    await using at = await scene({ holdAfter: 100_000 });
    const { content } = await at.open();
    await at.gate.reached;
    let end = 0;
    while (end < 100_000) end = await content.waitFor(end, patient);
    expect(end).toBe(100_000);
    at.gate.open();
    await readAll(content);
  });

  test('holds the last byte back until the digest is verified', async () => {
    await using at = await scene({ holdAfter: size });
    const { content } = await at.open();
    await at.gate.reached;
    let end = 0;
    while (end < size - 1) end = await content.waitFor(end, patient);
    expect(end).toBe(size - 1);
    at.gate.open();
    expect((await readAll(content)).length).toBe(size);
  });

  test('serves a reader of its end as soon as that has arrived', async () => {
    await using at = await scene({ holdAfter: 250_000 });
    const { content } = await at.open();
    const tail = readAll(content, 240_000);
    await at.gate.reached;
    at.gate.open();
    expect((await tail).equals(at.bytes.subarray(240_000))).toBe(true);
  });

  test('arrives although its only client stops waiting before it begins', async () => {
    await using at = await scene();
    const headers = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdHeaders: headers });
    const leaving = new AbortController();
    const asked = at.open(leaving.signal);
    await headers.reached;
    leaving.abort(new Error('gone'));
    await expect(asked).rejects.toThrow('gone');
    const fill = filled(at.mirror, digestFor(at.blob));
    headers.open();
    expect(await fill).toBeUndefined();
    expect(await at.outcome()).toBe('hit');
    expect(at.upstream.count()).toBe(1);
  });

  test('arrives although all of its readers leave in the middle', async () => {
    await using at = await scene({ holdAfter: 100_000 });
    const answers = [await at.open(), await at.open()];
    await at.gate.reached;
    for (const { content } of answers) await content.close();
    const fill = filled(at.mirror, digestFor(at.blob));
    at.gate.open();
    expect(await fill).toBeUndefined();
    expect(await isCommitted(at.mirror.dir, at.blob.digest)).toBe(true);
    expect(await at.outcome()).toBe('hit');
  });

  test('leaves a reader that stays undisturbed by one that goes', async () => {
    await using at = await scene({ holdAfter: 100_000 });
    const [stays, goes] = [await at.open(), await at.open()];
    const leaving = new AbortController();
    const wait = goes.content.waitFor(200_000, leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(wait).rejects.toThrow('gone');
    await goes.content.close();
    at.gate.open();
    expect((await readAll(stays.content)).equals(at.bytes)).toBe(true);
  });

  test('is undefined for everyone when the upstream has none', async () => {
    await using at = await scene();
    const digest = digestFor(contentOf('nothing'));
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdHeaders: gate });
    const ask = () => at.mirror.mirror.openBlob(at.mirror.source(name), digest, patient);
    const asked = [ask(), ask(), ask()];
    await gate.reached;
    gate.open();
    expect(await Promise.all(asked)).toEqual([undefined, undefined, undefined]);
    expect(at.upstream.count()).toBe(1);
    expect(await spoolFiles(at.mirror)).toEqual([]);
  });
});

describe('a stored blob whose file', () => {
  test.each<[string, (path: string) => Promise<void>]>([
    ['is cut short', (path) => truncate(path, size - 1)],
    ['is gone', (path) => rm(path)],
    ['has grown', (path) => writeFile(path, 'x', { flag: 'a' })],
  ])('%s is transferred again', async (_what, damage) => {
    await using at = await scene();
    await readAll((await at.open()).content);
    await filled(at.mirror, digestFor(at.blob));
    await damage(at.mirror.layout.blob(digestFor(at.blob)));
    const again = await at.open();
    expect(again.outcome).toBe('miss');
    expect((await readAll(again.content)).equals(at.bytes)).toBe(true);
    await filled(at.mirror, digestFor(at.blob));
    expect(await lyingFiles(at.mirror.dir)).toEqual([]);
    expect(at.mirror.records.totals).toEqual({ bytes: size, blobs: 1 });
  });
});

test('a manifest is no blob', async () => {
  await using at = await scene();
  const digest = digestFor(at.upstream.addImage(name));
  const source = at.mirror.source(name);
  await at.mirror.mirror.getManifest(source, { digest }, patient);
  const asked = at.upstream.count();
  expect(await at.mirror.mirror.openBlob(source, digest, patient)).toBeUndefined();
  expect(await at.mirror.mirror.statBlob(source, digest, patient)).toBeUndefined();
  expect(at.upstream.count()).toBe(asked);
});
