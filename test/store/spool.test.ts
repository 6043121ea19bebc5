// A blob while it arrives: what its readers may have, and when.
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { isPending, never, readFrom, ScratchStore } from './scratch-store.ts';

const text = Buffer.from('0123456789');

describe('a reader of a spool', () => {
  test('has what is written, without a gap, from its own position', async () => {
    await using scratch = await ScratchStore.open();
    const spool = await scratch.spool(text);
    const reader = spool.read();
    await spool.write(text.subarray(0, 3), 0);
    await spool.write(text.subarray(5, 8), 5);
    expect(await reader?.waitFor(0, never)).toBe(3);
    expect(await reader?.waitFor(2, never)).toBe(3);
    expect(await reader?.waitFor(6, never)).toBe(8);
    expect(spool.prefix).toBe(3);
    await spool.write(text.subarray(3, 5), 3);
    expect(await reader?.waitFor(0, never)).toBe(8);
    expect(spool.prefix).toBe(8);
    await Promise.all([reader?.close(), spool.close()]);
  });

  test('waits for bytes that are not written yet, and only for its own', async () => {
    await using scratch = await ScratchStore.open();
    const spool = await scratch.spool(text);
    const [early, late] = [spool.read(), spool.read()];
    const first = early?.waitFor(0, never) ?? Promise.reject();
    const later = late?.waitFor(6, never) ?? Promise.reject();
    expect(await isPending(first)).toBe(true);
    await spool.write(text.subarray(0, 3), 0);
    expect(await first).toBe(3);
    expect(await isPending(later)).toBe(true);
    await spool.write(text.subarray(6, 8), 6);
    expect(await later).toBe(8);
    await Promise.all([early?.close(), late?.close(), spool.close()]);
  });

  test('gets large pieces at once', async () => {
    await using scratch = await ScratchStore.open();
    const bytes = randomBytes(2 * 1024 * 1024);
    const spool = await scratch.spool(bytes);
    const reader = spool.read();
    const waiting = reader?.waitFor(0, never) ?? Promise.reject();
    await spool.write(bytes.subarray(0, 1024 * 1024), 0);
    expect(await isPending(waiting)).toBe(false);
    expect(await waiting).toBe(1024 * 1024);
    await Promise.all([reader?.close(), spool.close()]);
  });

  test('knows the whole size from the first moment', async () => {
    await using scratch = await ScratchStore.open();
    const spool = await scratch.spool(text);
    const reader = spool.read();
    expect(reader?.size).toBe(10);
    expect(await reader?.waitFor(10, never)).toBe(10);
    await Promise.all([reader?.close(), spool.close()]);
  });

  test('stops waiting when its signal says so, with the signal’s reason', async () => {
    await using scratch = await ScratchStore.open();
    const spool = await scratch.spool(text);
    const [leaving, staying] = [spool.read(), spool.read()];
    const controller = new AbortController();
    const left = expect(leaving?.waitFor(0, controller.signal)).rejects.toThrow('the client left');
    const stayed = staying?.waitFor(0, never) ?? Promise.reject();
    controller.abort(new Error('the client left'));
    await left;
    await expect(leaving?.waitFor(0, controller.signal)).rejects.toThrow('the client left');
    expect(await isPending(stayed)).toBe(true);
    await spool.write(text.subarray(0, 1), 0);
    expect(await stayed).toBe(1);
    await Promise.all([leaving?.close(), staying?.close(), spool.close()]);
  });

  test('may come with another signal for every wait', async () => {
    await using scratch = await ScratchStore.open();
    const spool = await scratch.spool(text);
    const reader = spool.read();
    const [old, current] = [new AbortController(), new AbortController()];
    await expect(reader?.waitFor(0, AbortSignal.abort(new Error('already')))).rejects.toThrow('already');
    await spool.write(text.subarray(0, 1), 0);
    expect(await reader?.waitFor(0, old.signal)).toBe(1);
    const waiting = reader?.waitFor(1, current.signal) ?? Promise.reject();
    old.abort();
    expect(await isPending(waiting)).toBe(true);
    current.abort(new Error('now'));
    await expect(waiting).rejects.toThrow('now');
    await Promise.all([reader?.close(), spool.close()]);
  });
});

describe('many readers of a spool', () => {
  test('each get every byte from where they began, however the pieces arrive', async () => {
    await using scratch = await ScratchStore.open();
    const cuts = fc.uniqueArray(fc.nat({ max: 3000 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 3000 }),
        cuts,
        fc.array(fc.nat({ max: 2999 }), { maxLength: 6 }),
        fc.infiniteStream(fc.nat()),
        async (size, cutsAnywhere, positions, random) => {
          const bytes = randomBytes(size);
          const spool = await scratch.spool(bytes);
          const starts = positions.map((position) => Math.min(position, size - 1));
          const reads = starts.map(async (start) => {
            const reader = spool.read();
            if (!reader) throw new Error('no reader');
            const got = await readFrom(reader, start);
            await reader.close();
            return got.equals(bytes.subarray(start));
          });
          const edges = [0, ...cutsAnywhere.filter((cut) => cut > 0 && cut < size).sort((a, b) => a - b), size];
          const pieces = edges
            .slice(1)
            .map((end, index) => ({ start: edges[index] ?? 0, end, rank: random.next().value }));
          for (const { start, end } of pieces.sort((a, b) => a.rank - b.rank))
            await spool.write(bytes.subarray(start, end), start);
          await spool.verify();
          expect(await Promise.all(reads)).toEqual(starts.map(() => true));
          await spool.commit(scratch.store);
          await spool.close();
          expect(await scratch.store.has(digestOf(bytes), size)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
    expect(await scratch.openFiles()).toEqual([]);
    expect(await scratch.spoolFiles()).toEqual([]);
  });
});

describe('the writer of a spool', () => {
  test('cannot write past the size that was announced', async () => {
    await using scratch = await ScratchStore.open();
    const spool = await scratch.spool(text);
    const reader = spool.read();
    await expect(spool.write(Buffer.alloc(11), 0)).rejects.toThrow('more bytes arrived than the 10 announced');
    await spool.write(text.subarray(0, 8), 0);
    await expect(spool.write(Buffer.alloc(3), 8)).rejects.toThrow('more bytes arrived than the 10 announced');
    expect(await reader?.waitFor(0, never)).toBe(8);
    expect(spool.prefix).toBe(8);
    await Promise.all([reader?.close(), spool.close()]);
  });

  test('may write nothing', async () => {
    await using scratch = await ScratchStore.open();
    const spool = await scratch.spool(text);
    await spool.write(Buffer.alloc(0), 0);
    expect(spool.prefix).toBe(0);
    await spool.close();
  });
});
