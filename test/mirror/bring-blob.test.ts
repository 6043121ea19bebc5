// A blob brought here for nobody in particular: what is waited for, what is proven, and how it fails.
import { rm } from 'node:fs/promises';
import { describe, expect, test, vi } from 'vitest';
import type { Source } from '../../src/upstream/upstreams.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { generateContent, type ServedContent } from '../support/served-content.ts';
import { digestFor, filled, patient, readAll, type StartMirrorOptions, startMirror } from './start-mirror.ts';

const name = 'library/app';
/** However busy the machine is. */
const soon = { timeout: 10_000 };

async function scene(options: Partial<StartMirrorOptions> = {}) {
  const upstream = await startFakeUpstream();
  const other = await startFakeUpstream();
  const mirror = await startMirror({ upstreams: { 'docker.io': upstream, 'ghcr.io': other }, ...options });
  const source = mirror.source(name);
  const content = await generateContent({ size: 200_000, seed: 1 });
  upstream.addBlob(name, content);
  return {
    ...{ upstream, other, mirror, source, content },
    bring: (blob: ServedContent = content, from: Source = source, signal = patient) =>
      mirror.mirror.bringBlob(from, { digest: digestFor(blob), size: blob.size }, { signal }),
    open: (from: Source, blob: ServedContent = content) => mirror.mirror.openBlob(from, digestFor(blob), patient),
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await Promise.all([upstream, other].map((one) => one[Symbol.asyncDispose]()));
    },
  };
}

/** For a promise that must not have settled yet. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const none = Symbol('none');
  await new Promise((resolve) => setImmediate(resolve));
  return (await Promise.race([promise, none])) === none;
}

describe('a blob that is brought', () => {
  test('is fetched once, and is there for the client who comes', async () => {
    await using at = await scene();
    expect(await at.bring()).toBe('fetched');
    expect(await at.bring()).toBe('present');
    const answer = await at.open(at.source);
    expect(answer?.outcome).toBe('hit');
    expect((await readAll(answer?.content as never)).length).toBe(at.content.size);
    expect(at.upstream.count({ kind: 'blob' })).toBe(1);
  });

  test('is proven by a byte where another repository of its registry has it, or is filling it', async () => {
    await using at = await scene({ mayShare: false });
    at.upstream.addBlob('library/second', at.content);
    at.upstream.addBlob('library/third', at.content);
    const gate = new Gate();
    const held = at.upstream.faults.add({ times: 1, kind: 'blob' }, { holdBody: { after: 100_000, gate } });
    const first = at.bring();
    await gate.reached;
    const second = at.bring(at.content, at.mirror.source('library/second'));
    gate.open();
    expect([await first, await second]).toEqual(['fetched', 'joined']);
    held.remove();
    expect(await at.bring(at.content, at.mirror.source('library/third'))).toBe('present');
    const ranges = at.upstream.server.find({ kind: 'blob' }).map(({ headers }) => headers.range);
    expect(ranges.filter((range) => range === 'bytes=0-0')).toHaveLength(2);
    await at.upstream.close();
    for (const repository of [name, 'library/second', 'library/third']) {
      const answer = await at.open(at.mirror.source(repository));
      expect(answer?.outcome).toBe('hit');
      await answer?.content.close();
    }
  });

  test('is not there where its own registry says so, whoever else has it', async () => {
    await using at = await scene({ mayShare: false });
    await at.bring();
    at.upstream.repository('library/other');
    expect(await at.bring(at.content, at.mirror.source('library/other'))).toBeUndefined();
    const none = await generateContent({ size: 10, seed: 9 });
    expect(await at.bring(none)).toBeUndefined();
  });

  test.each([403, 404])('is asked for in its own name when another repository is told %i', async (status) => {
    await using at = await scene();
    at.upstream.addBlob('library/second', at.content);
    const second = at.mirror.source('library/second');
    const gate = new Gate();
    const denied = { when: ({ path }: { path: string }) => path.includes('second'), kind: 'blob' } as const;
    at.upstream.faults.add(denied, { holdHeaders: gate, status, body: '{}' });
    const refused = at.open(second).catch(() => undefined);
    await gate.reached;
    const bringing = at.bring();
    const { records } = at.mirror;
    await vi.waitUntil(() => records.link(at.source.repository, digestFor(at.content))?.proven, soon);
    expect(await isPending(bringing)).toBe(true);
    gate.open();
    expect(await refused).toBeUndefined();
    expect(await bringing).toBe('fetched');
  });

  test('and was not there a moment ago is asked for no more', async () => {
    await using at = await scene({ negativeTtlMs: 60_000 });
    const none = await generateContent({ size: 10, seed: 9 });
    expect([await at.bring(none), await at.bring(none)]).toEqual([undefined, undefined]);
    expect(at.upstream.count({ kind: 'blob' })).toBe(1);
  });

  test('and arrives from another registry is waited for, and fetched from its own where it may not be shared', async () => {
    await using at = await scene({ mayShare: false });
    at.other.addBlob('acme/app', at.content);
    const gate = new Gate();
    at.other.faults.add({ kind: 'blob' }, { holdBody: { after: 100_000, gate } });
    const elsewhere = at.mirror.source('ghcr.io/acme/app');
    const answer = await at.open(elsewhere);
    await gate.reached;
    const bringing = at.bring();
    expect(await isPending(bringing)).toBe(true);
    expect(at.upstream.requests).toEqual([]);
    gate.open();
    expect((await readAll(answer?.content as never)).length).toBe(at.content.size);
    expect(await bringing).toMatch(/fetched|joined|present/);
    expect(at.upstream.count({ kind: 'blob' })).toBeGreaterThan(0);
    const own = await at.open(at.source);
    expect(own?.outcome).toBe('hit');
    await own?.content.close();
  });

  test('and is a file that is gone is fetched again', async () => {
    await using at = await scene();
    await at.bring();
    await rm(at.mirror.layout.blob(digestFor(at.content)));
    expect(await at.bring()).toBe('fetched');
    expect(await at.mirror.store.has(digestFor(at.content), at.content.size)).toBe(true);
  });

  test('counts as used then', async () => {
    await using at = await scene();
    const later = await generateContent({ size: 10, seed: 2 });
    at.upstream.addBlob(name, later);
    await at.bring();
    await at.bring(later);
    await at.bring();
    expect(at.mirror.records.oldest(10).map(({ digest }) => digest)).toEqual([later.digest, at.content.digest]);
  });
});

describe('it fails', () => {
  test('with what the upstream said', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'blob' }, { status: 403, body: '{}' });
    await expect(at.bring()).rejects.toMatchObject({ failure: 'denied' });
  });

  test('when the bytes are wrong, and wrong again', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'blob' }, { flipByteAt: 50 });
    await expect(at.bring()).rejects.toMatchObject({ name: 'DigestMismatchError' });
    expect(at.mirror.records.blob(digestFor(at.content))).toBeUndefined();
  });

  test('not when they are right the second time', async () => {
    await using at = await scene();
    at.upstream.faults.add({ kind: 'blob', times: 1 }, { flipByteAt: 50 });
    expect(await at.bring()).toBe('joined');
    expect(at.mirror.records.blob(digestFor(at.content))?.proven).toBe(true);
  });

  test('where it does not fit', async () => {
    await using at = await scene({ maxSize: { bytes: 100_000 } });
    await expect(at.bring()).rejects.toMatchObject({ name: 'NoRoomError' });
  });

  test('where it does not fit, with so few connections that it takes a place as any other', async () => {
    await using at = await scene({ maxSize: { bytes: 100_000 }, connections: 2 });
    await expect(at.bring()).rejects.toMatchObject({ name: 'NoRoomError' });
    expect(at.upstream.count({ kind: 'blob' })).toBe(1);
  });

  test('at once while the disk takes nothing', async () => {
    await using at = await scene();
    at.mirror.disk.report(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
    await expect(at.bring()).rejects.toThrow('nothing can be stored');
    expect(at.upstream.requests).toEqual([]);
  });

  test('with the reason of who leaves, and what a client has joined goes on', async () => {
    await using at = await scene();
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 100_000, gate } });
    const leaving = new AbortController();
    const bringing = at.bring(at.content, at.source, leaving.signal);
    await gate.reached;
    const answer = await at.open(at.source);
    await answer?.content.close();
    leaving.abort(new Error('nobody waits'));
    await expect(bringing).rejects.toThrow('nobody waits');
    gate.open();
    await filled(at.mirror, digestFor(at.content));
    expect(at.mirror.records.blob(digestFor(at.content))?.proven).toBe(true);
  });
});
