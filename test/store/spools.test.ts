// A spool that a broken fill, or a killed process, left: what is believed of it, and what the next fill finds.
import { appendFile, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { describe, expect, test, vi } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { checkpointBytes } from '../../src/store/journal.ts';
import type { Spool } from '../../src/store/spool.ts';
import { Spools } from '../../src/store/spools.ts';
import { generateContent } from '../support/served-content.ts';
import { until } from '../support/until.ts';
import { isPending, never, readFrom, ScratchStore } from './scratch-store.ts';

const content = await generateContent({ size: 3 * checkpointBytes + 1000, seed: 3 });
const bytes = Buffer.concat([...content.read(0, content.size)]);
const digest = digestOf(bytes);
const half = 2 * checkpointBytes + 500;
const gone = new Error('the upstream is gone');

/** A spool of which the first `length` bytes have arrived, put away in order. */
async function leave(scratch: ScratchStore, length = half): Promise<void> {
  await using spools = disposable(await Spools.open(scratch.layout));
  const spool = await spools.open(digest, bytes.length);
  await spool.write(bytes.subarray(0, length), 0);
  await spools.suspend(spool, gone);
  await spool.close();
}

/** The next fill of it: writes what is missing and commits. Resolves to how much of the old one was believed. */
async function finish(scratch: ScratchStore): Promise<number> {
  await using spools = disposable(await Spools.open(scratch.layout));
  const spool = await spools.open(digest, bytes.length);
  const believed = await spool.recovered;
  expect(spool.prefix).toBe(believed);
  if (believed < bytes.length) await spool.write(bytes.subarray(believed), believed);
  await spool.verify();
  await spools.commit(spool, scratch.store);
  await spool.close();
  expect(spools.leftovers.bytes).toBe(0);
  expect(await scratch.spoolFiles()).toEqual([]);
  expect(bytes.equals((await scratch.store.readAll(digest, bytes.length)) ?? Buffer.alloc(0))).toBe(true);
  return believed;
}

function disposable(spools: Spools): Spools & AsyncDisposable {
  return Object.assign(spools, { [Symbol.asyncDispose]: () => spools.close() });
}

async function flip(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, position);
  await file.write(Buffer.of((buffer[0] ?? 0) ^ 0xff), 0, 1, position);
  await file.close();
}

describe('what a broken fill left', () => {
  test('is believed to the last byte that was hashed, and finished', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    expect(await finish(scratch)).toBe(half);
  });

  test('counts for what it takes of the disk until a fill goes on with it', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    await using spools = disposable(await Spools.open(scratch.layout));
    expect(spools.leftovers.bytes).toBeGreaterThanOrEqual(half);
    const spool = await spools.open(digest, bytes.length);
    expect(spools.leftovers.bytes).toBe(0);
    await spools.discard(spool, gone);
    await spool.close();
    expect(await scratch.spoolFiles()).toEqual([]);
  });

  test.each([
    ['the first byte', 0, 0],
    ['a byte between the checkpoints', checkpointBytes + 7, checkpointBytes],
    ['the last byte', half - 1, 2 * checkpointBytes],
  ])('is believed up to the checkpoint before a wrong byte: %s', async (_, position, believed) => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    await flip(scratch.layout.spool(digest), position);
    expect(await finish(scratch)).toBe(believed);
  });

  test('is believed as far as the file goes', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    await truncate(scratch.layout.spool(digest), checkpointBytes + 9);
    expect(await finish(scratch)).toBe(checkpointBytes);
  });

  test.each([
    ['a torn line', '12582912 0123'],
    ['a line that goes back', `1000 ${'0'.repeat(64)}\n`],
    ['rubbish', '\0\0\0\n\0\n'],
    ['a checkpoint behind the end', `${bytes.length + 1} ${'0'.repeat(64)}\n`],
  ])('is believed as far as its journal makes sense: %s', async (_, tail) => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    await appendFile(scratch.layout.journal(digest), tail);
    expect(await finish(scratch)).toBe(half);
  });

  test('is not believed where the journal claims more than was written', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch, checkpointBytes);
    const file = await open(scratch.layout.spool(digest), 'r+');
    await file.truncate(2 * checkpointBytes);
    await file.close();
    await appendFile(scratch.layout.journal(digest), `${2 * checkpointBytes} ${'a'.repeat(64)}\n`);
    expect(await finish(scratch)).toBe(checkpointBytes);
  });

  test('is dropped when the blob has another size', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    await using spools = disposable(await Spools.open(scratch.layout));
    const spool = await spools.open(digest, bytes.length + 1);
    expect(spool.claimed).toBe(0);
    await spools.discard(spool, gone);
    await spool.close();
  });

  test('is dropped when it is of another origin than what comes now, and believed where it is the same', async () => {
    await using scratch = await ScratchStore.open();
    const origins = ['one.example', undefined, 'one.example', 'two.example', 'two.example'];
    const claimed: number[] = [];
    for (const origin of origins) {
      await using spools = disposable(await Spools.open(scratch.layout));
      const spool = await spools.open(digest, bytes.length, origin);
      claimed.push(spool.claimed);
      if ((await spool.recovered) === 0) await spool.write(bytes.subarray(0, half), 0);
      await spools.suspend(spool, gone);
      await spool.close();
    }
    expect(claimed).toEqual([0, 0, 0, 0, half]);
  });

  test('goes when room is needed, the oldest first', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    await using spools = disposable(await Spools.open(scratch.layout));
    const other = await spools.open(digestOf(Buffer.from('b')), 100);
    await other.write(Buffer.alloc(50), 0);
    await spools.suspend(other, gone);
    await other.close();
    expect(await spools.leftovers.drop(1)).toBeGreaterThanOrEqual(half);
    expect((await scratch.spoolFiles()).length).toBe(2);
    await spools.leftovers.drop(Number.POSITIVE_INFINITY);
    expect(await scratch.spoolFiles()).toEqual([]);
    expect(spools.leftovers.bytes).toBe(0);
  });
});

describe('a killed process', () => {
  test('loses what came after its last checkpoint', async () => {
    await using scratch = await ScratchStore.open();
    {
      await using spools = disposable(await Spools.open(scratch.layout));
      const spool = await spools.open(digest, bytes.length);
      await spool.write(bytes.subarray(0, half), 0);
      const journal = () => readFile(scratch.layout.journal(digest), 'utf8');
      await until('two checkpoints', async () => (await journal()).split('\n').length === 4);
      await spool.close(); // neither suspended nor discarded
    }
    expect(await finish(scratch)).toBe(2 * checkpointBytes);
  });

  test('leaves rubbish that the next one clears away: all but a spool with its journal', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    const { layout } = scratch;
    const lonely = digestOf(Buffer.from('lonely'));
    const orphan = digestOf(Buffer.from('orphan'));
    for (const path of [layout.spool(lonely), layout.journal(orphan), layout.arrival(digest, 'x'), layout.trash('y')])
      await writeFile(path, 'left');
    await using spools = disposable(await Spools.open(layout));
    expect((await scratch.spoolFiles()).map((name) => name.slice(-8)).sort()).toEqual(
      [digest.slice(-8), '.journal'].sort(),
    );
    expect(spools.leftovers.bytes).toBeGreaterThan(0);
  });
});

describe('a spool that goes on', () => {
  test('believes nothing when its file cannot be hashed, instead of waiting for ever', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    await using spools = disposable(await Spools.open(scratch.layout));
    const follow = spools.verifier.follow.bind(spools.verifier);
    spools.verifier.follow = (path, ...rest) => follow(`${path}.nowhere`, ...rest);
    const spool = await spools.open(digest, bytes.length);
    expect(await spool.recovered).toBe(0);
    await spool.write(bytes, 0);
    await expect(spool.verify()).rejects.toThrow('ENOENT');
    await spools.discard(spool, gone);
    await spool.close();
  });

  test('is put away again at once, however much of it is unproven', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    {
      await using spools = disposable(await Spools.open(scratch.layout));
      const spool = await spools.open(digest, bytes.length);
      await spool.write(bytes.subarray(half, half + 10), half);
      await spools.suspend(spool, gone);
      await spool.close();
    }
    expect(await finish(scratch)).toBe(half);
  });

  test('gives its readers what has proven true, while the rest is still being proven', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    await using spools = disposable(await Spools.open(scratch.layout));
    const spool = await spools.open(digest, bytes.length);
    expect(spool.claimed).toBe(half);
    const reader = spool.read();
    if (!reader) throw new Error('no reader');
    const all = readFrom(reader);
    await spool.write(bytes.subarray(half), half);
    expect(await spool.recovered).toBe(half);
    await spool.verify();
    expect((await all).equals(bytes)).toBe(true);
    await spools.commit(spool, scratch.store);
    await Promise.all([reader.close(), spool.close()]);
  });

  test('refuses a byte that it has', async () => {
    await using scratch = await ScratchStore.open();
    await leave(scratch);
    await using spools = disposable(await Spools.open(scratch.layout));
    const spool = await spools.open(digest, bytes.length);
    await spool.recovered;
    await expect(spool.write(bytes.subarray(0, 10), 0)).rejects.toThrow('arrived twice');
    await spools.suspend(spool, gone);
    await spool.close();
  });
});

test('a spool that was committed leaves no count of the next one’s file', async () => {
  await using scratch = await ScratchStore.open();
  await using spools = disposable(await Spools.open(scratch.layout));
  const one = await spools.open(digest, bytes.length);
  await one.write(bytes, 0);
  await one.verify();
  await spools.commit(one, scratch.store);
  const other = await spools.open(digest, bytes.length);
  await other.write(bytes.subarray(0, half), 0);
  await spools.suspend(one, gone);
  expect(spools.leftovers.bytes).toBe(0);
  await spools.discard(other, gone);
  await Promise.all([one.close(), other.close()]);
});

test('the next spool of a digest waits until the one before is put away', async () => {
  await using scratch = await ScratchStore.open();
  await using spools = disposable(await Spools.open(scratch.layout));
  const one = await spools.open(digest, bytes.length);
  await one.write(bytes.subarray(0, half), 0);
  const opening = spools.open(digest, bytes.length);
  expect(await isPending(opening)).toBe(true);
  await spools.suspend(one, gone);
  await one.close();
  const other = await opening;
  expect(await other.recovered).toBe(half);
  await spools.discard(other, gone);
  await other.close();
});

describe('a commit', () => {
  /** A spool with all of its bytes, proven. */
  async function proven(spools: Spools): Promise<Spool> {
    const spool = await spools.open(digest, bytes.length);
    await spool.write(bytes, 0);
    await spool.verify();
    return spool;
  }

  /** The first thing that a spool does whose turn it is. */
  const begun = (spools: Spools) => vi.spyOn(spools.leftovers, 'journal');

  test.each(['suspend', 'discard'] as const)(
    'that fails keeps the next spool of its digest waiting until %s',
    async (end) => {
      await using scratch = await ScratchStore.open();
      await using spools = disposable(await Spools.open(scratch.layout));
      const one = await proven(spools);
      vi.spyOn(scratch.store, 'commit').mockRejectedValueOnce(gone);
      await expect(spools.commit(one, scratch.store)).rejects.toBe(gone);
      const next = begun(spools);
      const opening = spools.open(digest, bytes.length);
      expect(await isPending(opening)).toBe(true);
      expect(next).not.toHaveBeenCalled();
      await spools[end](one, gone);
      await one.close();
      const other = await opening;
      if (end === 'suspend') expect(await other.recovered).toBe(3 * checkpointBytes);
      await spools.discard(other, gone);
      await other.close();
    },
  );

  test.each(['suspend', 'discard'] as const)(
    'that succeeded leaves its %s nothing of the next spool of its digest',
    async (end) => {
      await using scratch = await ScratchStore.open();
      await using spools = disposable(await Spools.open(scratch.layout));
      const one = await proven(spools);
      await spools.commit(one, scratch.store);
      const two = await spools.open(digest, bytes.length);
      const before = await scratch.spoolFiles();
      await spools[end](one, gone);
      await one.close();
      expect(before).toHaveLength(2);
      expect(await scratch.spoolFiles()).toEqual(before);
      const next = begun(spools);
      const opening = spools.open(digest, bytes.length);
      expect(await isPending(opening)).toBe(true);
      expect(next).not.toHaveBeenCalled();
      await two.write(bytes, 0);
      await two.verify();
      await spools.commit(two, scratch.store);
      await two.close();
      const three = await opening;
      await spools.discard(three);
      await three.close();
      expect(await scratch.isStored(digest)).toBe(true);
    },
  );
});

describe('a file in the store that nobody vouches for', () => {
  test('is read at once and committed when it proves true', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    await using spools = disposable(await Spools.open(scratch.layout));
    const spool = await spools.adopt(digest, bytes.length);
    await spool.verify();
    await spools.commit(spool, scratch.store);
    await spool.close();
    expect(await scratch.store.has(digest, bytes.length)).toBe(true);
  });

  test('is removed when it lies', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    await flip(scratch.layout.blob(digest), 99);
    await using spools = disposable(await Spools.open(scratch.layout));
    const spool = await spools.adopt(digest, bytes.length);
    await expect(spool.verify()).rejects.toThrow('its bytes hash to');
    await spools.discard(spool, gone);
    await spool.close();
    expect(await scratch.isStored(digest)).toBe(false);
  });

  test('stays where it is when its proof is broken off', async () => {
    await using scratch = await ScratchStore.open();
    await scratch.store.put(digest, bytes);
    await using spools = disposable(await Spools.open(scratch.layout));
    const spool = await spools.adopt(digest, bytes.length);
    const reader = spool.read();
    await spools.suspend(spool, gone);
    await expect(reader?.waitFor(bytes.length - 1, never)).rejects.toBe(gone);
    await Promise.all([reader?.close(), spool.close()]);
    expect(await scratch.store.has(digest, bytes.length)).toBe(true);
    expect(await scratch.spoolFiles()).toEqual([]);
    expect(spools.leftovers.bytes).toBe(0);
  });

  test('is refused when it is gone', async () => {
    await using scratch = await ScratchStore.open();
    await using spools = disposable(await Spools.open(scratch.layout));
    await expect(spools.adopt(digest, bytes.length)).rejects.toThrow('ENOENT');
  });
});

test('a folder that was removed under the mirror is made again', async () => {
  await using scratch = await ScratchStore.open();
  await using spools = disposable(await Spools.open(scratch.layout));
  await rm(scratch.layout.spools, { recursive: true });
  const spool = await spools.open(digest, bytes.length);
  await spool.write(bytes, 0);
  await spool.verify();
  await spools.commit(spool, scratch.store);
  await spool.close();
  expect(await scratch.isStored(digest)).toBe(true);
});
