// Transfers that go wrong: readers end short, nothing is committed, and the next request starts from nothing.
import { describe, expect, test } from 'vitest';
import type { BlobAnswer } from '../../src/mirror/mirror.ts';
import { manifestOf, mediaTypes } from '../support/fake-image.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import { committedFiles } from '../support/stored-files.ts';
import { tempDir } from '../support/temp-dir.ts';
import {
  digestFor,
  filled,
  patient,
  readAll,
  readUntilCut,
  type StartedMirror,
  type StartMirrorOptions,
  spoolFiles,
  startMirror,
} from './start-mirror.ts';

const name = 'library/app';
const size = 200_000;

interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  readonly blob: ServedContent;
  open(of?: ServedContent): Promise<BlobAnswer | undefined>;
}

async function scene(options: Partial<StartMirrorOptions> = {}): Promise<Scene> {
  const upstream = await startFakeUpstream();
  const blob = await upstream.addGeneratedBlob(name, { size, seed: 1 });
  const mirror = await startMirror({ upstreams: { 'docker.io': upstream }, ...options });
  return {
    upstream,
    mirror,
    blob,
    open: (of = blob) => mirror.mirror.openBlob(mirror.source(name), digestFor(of), patient),
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

async function reasonOfFailure({ metrics }: StartedMirror): Promise<unknown> {
  const { values } = await metrics.fillFailures.get();
  return values.map(({ labels, value }) => ({ reason: labels.reason, value }));
}

describe('a transfer that', () => {
  test.each<[string, FaultEffect, string]>([
    ['has one wrong byte at its head', { flipByteAt: 0 }, 'digest'],
    ['has one wrong byte at its end', { flipByteAt: size - 1 }, 'digest'],
    ['is dropped in the middle', { dropAfter: 100_000 }, 'unreachable'],
    ['is dropped one byte before its end', { dropAfter: size - 1 }, 'unreachable'],
    ['is reset', { resetAfter: 100_000 }, 'unreachable'],
  ])('%s ends every reader before the last byte', async (_what, effect, reason) => {
    await using at = await scene();
    const gate = new Gate();
    const fault = at.upstream.faults.add({ kind: 'blob' }, { ...effect, holdBody: { after: 50_000, gate } });
    const answers = [await at.open(), await at.open(), await at.open()];
    const fill = filled(at.mirror, digestFor(at.blob));
    const reads = answers.map((answer) => answer && readUntilCut(answer.content));
    gate.open();
    for (const read of await Promise.all(reads)) {
      expect(read?.received).toBeLessThan(size);
      expect(read?.failure).toBeInstanceOf(Error);
    }
    expect(await fill).toBeInstanceOf(Error);
    expect(await committedFiles(at.mirror.dir)).toEqual([]);
    expect(await spoolFiles(at.mirror)).toEqual([]);
    expect(at.mirror.records.totals).toEqual({ bytes: 0, blobs: 0 });
    expect(await reasonOfFailure(at.mirror)).toEqual([{ reason, value: 1 }]);
    expect(at.mirror.logLines).toContainEqual(expect.objectContaining({ msg: 'fill failed', reason }));

    fault.remove();
    const again = await at.open();
    expect(again?.outcome).toBe('miss');
    expect(again && (await readAll(again.content)).length).toBe(size);
    expect(await filled(at.mirror, digestFor(at.blob))).toBeUndefined();
  });

  test.each<[string, FaultEffect, string]>([
    ['is refused by a limit', refusals.pullLimit, 'limited'],
    ['is denied', refusals.denied, 'denied'],
    ['meets a broken server', refusals.unavailable, 'failing'],
    ['gets no answer', { hangUp: true }, 'unreachable'],
    ['is compressed on the way', { gzip: true }, 'protocol'],
  ])('%s is that error for everyone who waits', async (_what, effect, failure) => {
    await using at = await scene();
    const gate = new Gate();
    const fault = at.upstream.faults.add({ kind: 'blob' }, { ...effect, holdHeaders: gate });
    const asked = [at.open(), at.open()];
    await gate.reached;
    gate.open();
    for (const result of await Promise.allSettled(asked))
      expect(result).toMatchObject({ status: 'rejected', reason: { name: 'UpstreamError', failure } });
    expect(at.upstream.count()).toBe(1);
    expect(await spoolFiles(at.mirror)).toEqual([]);
    fault.remove();
    const again = await at.open();
    expect(again && (await readAll(again.content)).length).toBe(size);
  });
});

describe('a length', () => {
  function manifestThatSays(size: number, layer: ServedContent) {
    const config = { mediaType: mediaTypes.ociConfig, digest: contentOf('{}').digest, size: 2 };
    const layers = [{ mediaType: mediaTypes.ociLayer, digest: layer.digest, size }];
    return manifestOf(mediaTypes.ociManifest, { schemaVersion: 2, config, layers });
  }

  test('other than the manifest’s refuses the transfer', async () => {
    await using at = await scene();
    at.upstream.addManifest(name, 'latest', manifestThatSays(size + 1, at.blob));
    await at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, patient);
    await expect(at.open()).rejects.toMatchObject({ failure: 'protocol', message: expect.stringContaining('200001') });
    expect(await committedFiles(at.mirror.dir)).toHaveLength(1);
  });

  test('that the upstream does not tell is taken from the manifest', async () => {
    await using at = await scene();
    at.upstream.addManifest(name, 'latest', manifestThatSays(size, at.blob));
    at.upstream.faults.add({ kind: 'blob' }, { chunked: true });
    await at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, patient);
    const answer = await at.open();
    expect(answer && (await readAll(answer.content)).length).toBe(size);
  });

  test('that nobody tells refuses the transfer', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'blob' }, { chunked: true });
    await expect(at.open()).rejects.toMatchObject({ failure: 'protocol' });
  });

  test('that is passed by what arrives ends the transfer as the upstream’s fault', async () => {
    await using at = await scene();
    at.upstream.addManifest(name, 'latest', manifestThatSays(100_000, at.blob));
    at.upstream.faults.add({ kind: 'blob' }, { chunked: true });
    await at.mirror.mirror.getManifest(at.mirror.source(name), { tag: 'latest' }, patient);
    const answer = await at.open();
    const fill = filled(at.mirror, digestFor(at.blob));
    expect(answer && (await readUntilCut(answer.content)).received).toBeLessThan(100_000);
    expect(await fill).toBeInstanceOf(Error);
    expect(await committedFiles(at.mirror.dir)).toHaveLength(1);
  });
});

test('no more than maxFills transfers run at once', async () => {
  await using at = await scene({ maxFills: 2 });
  const blobs = ['one', 'two', 'three'].map((text) => at.upstream.addBlob(name, text.repeat(1000)));
  const gate = new Gate();
  at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 10, gate } });
  const [one, two, three] = blobs.map((blob) => at.open(blob));
  const running = [await one, await two];
  expect(at.upstream.count()).toBe(2);
  gate.open();
  for (const answer of [...running, await three])
    expect(answer && (await readAll(answer.content)).length).toBeGreaterThan(0);
  expect(at.upstream.count()).toBe(3);
});

describe('a mirror that stops', () => {
  test('ends the fills and their readers, and leaves nothing behind', async () => {
    await using at = await scene();
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 100_000, gate } });
    const answer = await at.open();
    const read = answer && readUntilCut(answer.content);
    await gate.reached;
    const fill = filled(at.mirror, digestFor(at.blob));
    await at.mirror.stop();
    expect(await fill).toBeInstanceOf(Error);
    expect((await read)?.received).toBeLessThan(size);
    expect(await spoolFiles(at.mirror)).toEqual([]);
    expect(await reasonOfFailure(at.mirror)).toEqual([{ reason: 'stopped', value: 1 }]);
    gate.open();
  });

  test('starts again on its directory, with a hit for what was committed', async () => {
    await using dir = await tempDir('mirror');
    const upstream = await startFakeUpstream();
    await using _ = upstream;
    const blob = upstream.addBlob(name, 'kept');
    for (const outcome of ['miss', 'hit']) {
      await using mirror = await startMirror({ upstreams: { 'docker.io': upstream }, dir: dir.path });
      const answer = await mirror.mirror.openBlob(mirror.source(name), digestFor(blob), patient);
      expect(answer?.outcome).toBe(outcome);
      expect(answer && (await readAll(answer.content)).toString()).toBe('kept');
      await filled(mirror, digestFor(blob));
    }
    expect(upstream.count()).toBe(1);
  });
});
