// What goes to the disk at the same time: one piece a spool, two in all, one large commit, so that files can be read meanwhile.
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { Spool } from '../../src/store/spool.ts';
import { Gate } from '../support/gate.ts';
import { isPending, never, ScratchStore } from './scratch-store.ts';

const text = Buffer.from('0123456789');

/** A spool whose writes wait at a gate each. */
async function heldSpool(scratch: ScratchStore, name: string) {
  const path = join(scratch.layout.spools, name);
  const file = await open(path, 'wx+');
  const gates: Gate[] = [];
  const real = file.write.bind(file) as (...args: unknown[]) => ReturnType<FileHandle['write']>;
  vi.spyOn(file, 'write').mockImplementation(async (...args: unknown[]) => {
    const gate = new Gate();
    gates.push(gate);
    await gate.pass();
    return real(...args);
  });
  const spool = new Spool(scratch.verifier, {
    digest: digestOf(text),
    size: text.length,
    path,
    file,
    journal: undefined,
  });
  return { spool, gates, file, write: (at: number) => spool.write(text.subarray(at, at + 1), at) };
}

test('the pieces of one spool are written one after the other, and can be read from then on', async () => {
  await using scratch = await ScratchStore.open();
  const { spool, gates, write } = await heldSpool(scratch, 'a');
  const reader = spool.read();
  const readable = reader?.waitFor(0, never) ?? Promise.reject();
  const writes = [write(0), write(1), write(5)];
  await vi.waitUntil(() => gates.length === 1);
  expect(await isPending(readable)).toBe(true);
  gates[0]?.open();
  await writes[0];
  await vi.waitUntil(() => gates.length === 2);
  expect(await readable).toBe(1);
  expect(await isPending(writes[1] as Promise<void>)).toBe(true);
  expect(gates).toHaveLength(2);
  gates[1]?.open();
  await vi.waitUntil(() => gates.length === 3);
  gates[2]?.open();
  await Promise.all(writes);
  expect(spool.prefix).toBe(2);
  await Promise.all([reader?.close(), spool.close()]);
});

test('two spools are written at once, and a third waits for one of them', async () => {
  await using scratch = await ScratchStore.open();
  const spools = await Promise.all(['a', 'b', 'c'].map((name) => heldSpool(scratch, name)));
  const writes = spools.map(({ write }) => write(0));
  const begun = () => spools.map(({ gates }) => gates.length);
  await vi.waitUntil(() => begun().join() === '1,1,0');
  const more = spools[0]?.write(1);
  expect(await isPending(writes[2] as Promise<void>)).toBe(true);
  spools[0]?.gates[0]?.open();
  await writes[0];
  // The one that waited goes before the next piece of the first.
  await vi.waitUntil(() => begun()[2] === 1);
  expect(begun()).toEqual([1, 1, 1]);
  for (const { gates } of spools) gates[0]?.open();
  await Promise.all(writes);
  await vi.waitUntil(() => begun()[0] === 2);
  spools[0]?.gates[1]?.open();
  await more;
  await Promise.all(spools.map(({ spool }) => spool.close()));
});

test('one large blob is committed at a time, small ones beside it, and one that fails makes place', async () => {
  await using scratch = await ScratchStore.open();
  const large = await Promise.all(['a', 'b'].map((letter) => scratch.spool(Buffer.alloc(8 * 1024 * 1024, letter))));
  const small = await scratch.spool(text);
  const spools = [...large, small];
  const gate = new Gate();
  const begun: number[] = [];
  vi.spyOn(scratch.store, 'commit').mockImplementation(async (digest) => {
    const index = spools.findIndex((spool) => spool.digest === digest);
    begun.push(index);
    if (index !== 0) return;
    await gate.pass();
    throw new Error('the disk is gone');
  });
  const [first, second] = large.map((spool) => spool.commit(scratch.store));
  const failed = expect(first).rejects.toThrow('the disk is gone');
  await small.commit(scratch.store);
  expect(begun).toEqual([0, 2]);
  gate.open();
  await Promise.all([failed, second]);
  expect(begun).toEqual([0, 2, 1]);
  await Promise.all(spools.map((spool) => spool.close()));
});

test('a write that fails makes place for the next, of its spool and of others', async () => {
  await using scratch = await ScratchStore.open();
  const spools = await Promise.all(['a', 'b'].map((name) => heldSpool(scratch, name)));
  const full = Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  for (const { file } of spools) vi.spyOn(file, 'write').mockRejectedValue(full);
  for (let turn = 0; turn < 3; turn++) for (const { write } of spools) await expect(write(0)).rejects.toBe(full);
  expect(spools.map(({ spool }) => spool.prefix)).toEqual([0, 0]);
  await Promise.all(spools.map(({ spool }) => spool.close()));
});

test('the same byte is refused even when it came while the first was still being written', async () => {
  await using scratch = await ScratchStore.open();
  const { spool, gates, write } = await heldSpool(scratch, 'a');
  const [first, again] = [write(0), write(0)];
  const refused = expect(again).rejects.toThrow('byte 0 arrived twice');
  await vi.waitUntil(() => gates.length === 1);
  gates[0]?.open();
  await Promise.all([first, refused]);
  expect(gates).toHaveLength(1);
  await spool.close();
});

test('a disk that takes less than it is given gets the rest, each byte at its own place', async () => {
  await using scratch = await ScratchStore.open();
  const { spool, file } = await heldSpool(scratch, 'a');
  const lengths: unknown[] = [];
  vi.mocked(file.write).mockRestore();
  const real = file.write.bind(file);
  vi.spyOn(file, 'write').mockImplementation(((chunk: Buffer, offset: number, length: number, position: number) => {
    lengths.push(length);
    return real(chunk, offset, Math.min(length, 3), position);
  }) as never);
  await spool.write(text.subarray(0, 2), 0);
  await spool.write(text.subarray(2), 2);
  expect(lengths).toEqual([2, 8, 5, 2]);
  await spool.verify();
  const reader = spool.read();
  const read = Buffer.alloc(text.length);
  await reader?.read(read, 0);
  expect(read.equals(text)).toBe(true);
  await Promise.all([reader?.close(), spool.close()]);
});

test('a disk that takes nothing at all fails the write', async () => {
  await using scratch = await ScratchStore.open();
  const { spool, file } = await heldSpool(scratch, 'a');
  vi.spyOn(file, 'write').mockResolvedValue({ bytesWritten: 0, buffer: text } as never);
  await expect(spool.write(text, 0)).rejects.toThrow('the disk took nothing at byte 0 of');
  await spool.close();
});
