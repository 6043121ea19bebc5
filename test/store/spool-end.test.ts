// How a spool ends: verified and committed, or discarded, and what its readers and its file become.
import { readFile, rm } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { DigestMismatchError } from '../../src/oci/errors.ts';
import { isPending, never, readFrom, ScratchStore } from './scratch-store.ts';

const text = Buffer.from('0123456789');
const otherDigest = digestOf(Buffer.from('other'));

async function arrived(scratch: ScratchStore, bytes: Buffer = text, digest: Digest = digestOf(bytes)) {
  const spool = await scratch.spool(bytes, digest);
  const reader = spool.read();
  if (!reader) throw new Error('no reader');
  await spool.write(bytes, 0);
  return { spool, reader };
}

describe('the last byte', () => {
  test('is withheld until the digest is verified', async () => {
    await using scratch = await ScratchStore.open();
    const { spool, reader } = await arrived(scratch);
    expect(await reader.waitFor(0, never)).toBe(9);
    const waiting = reader.waitFor(9, never);
    expect(await isPending(waiting)).toBe(true);
    await spool.verify();
    expect(await waiting).toBe(10);
    expect(await readFrom(reader)).toEqual(text);
    await Promise.all([reader.close(), spool.close()]);
  });

  test('is withheld where it is the only one', async () => {
    await using scratch = await ScratchStore.open();
    const { spool, reader } = await arrived(scratch, Buffer.from('x'));
    const waiting = reader.waitFor(0, never);
    expect(await isPending(waiting)).toBe(true);
    await spool.verify();
    expect(await waiting).toBe(1);
    await Promise.all([reader.close(), spool.close()]);
  });

  test('is withheld when it is written first', async () => {
    await using scratch = await ScratchStore.open();
    const spool = await scratch.spool(text);
    const reader = spool.read();
    await spool.write(text.subarray(8), 8);
    expect(await reader?.waitFor(8, never)).toBe(9);
    expect(await isPending(reader?.waitFor(9, never) ?? Promise.resolve())).toBe(true);
    await Promise.all([reader?.close(), spool.close()]);
  });

  test('is never given of bytes with another digest', async () => {
    await using scratch = await ScratchStore.open();
    const { spool, reader } = await arrived(scratch, text, otherDigest);
    const waiting = expect(reader.waitFor(9, never)).rejects.toBeInstanceOf(DigestMismatchError);
    const mismatch = await spool.verify().then(
      () => undefined,
      (error: Error) => error,
    );
    expect(mismatch).toBeInstanceOf(DigestMismatchError);
    expect(mismatch?.message).toContain(otherDigest);
    expect(mismatch?.message).toContain(digestOf(text));
    expect(await isPending(reader.waitFor(9, AbortSignal.any([never])))).toBe(true);
    await spool.discard(mismatch ?? new Error());
    await waiting;
    expect(await reader.waitFor(0, never)).toBe(9);
    await expect(reader.waitFor(9, never)).rejects.toBe(mismatch);
    await Promise.all([reader.close(), spool.close()]);
    expect(await scratch.isStored(otherDigest)).toBe(false);
  });

  test('is never given of bytes that are not all there', async () => {
    await using scratch = await ScratchStore.open();
    const spool = await scratch.spool(text);
    await spool.write(text.subarray(0, 4), 0);
    await spool.write(text.subarray(5), 5);
    await expect(spool.verify()).rejects.toBeInstanceOf(DigestMismatchError);
    await spool.close();
  });

  test('is checked under the algorithm of its digest', async () => {
    await using scratch = await ScratchStore.open();
    const { spool, reader } = await arrived(scratch, text, digestOf(text, 'sha512'));
    await spool.verify();
    expect(await readFrom(reader)).toEqual(text);
    await Promise.all([reader.close(), spool.close()]);
  });
});

test('a spool of no bytes is verified and committed like any other', async () => {
  await using scratch = await ScratchStore.open();
  const { spool, reader } = await arrived(scratch, Buffer.alloc(0));
  expect(await reader.waitFor(0, never)).toBe(0);
  await spool.verify();
  await spool.commit(scratch.store);
  await Promise.all([reader.close(), spool.close()]);
  expect(await scratch.store.has(digestOf(Buffer.alloc(0)), 0)).toBe(true);

  const wrong = await scratch.spool(Buffer.alloc(0), otherDigest);
  await expect(wrong.verify()).rejects.toBeInstanceOf(DigestMismatchError);
  await wrong.close();
});

describe('a committed spool', () => {
  test('is in the store, and nowhere before', async () => {
    await using scratch = await ScratchStore.open();
    const { spool, reader } = await arrived(scratch);
    expect(await scratch.isStored(spool.digest)).toBe(false);
    await spool.verify();
    expect(await scratch.isStored(spool.digest)).toBe(false);
    await spool.commit(scratch.store);
    expect(await readFile(scratch.layout.blob(spool.digest))).toEqual(text);
    expect(await scratch.spoolFiles()).toEqual([]);
    await Promise.all([reader.close(), spool.close()]);
  });

  test('is read on by those who read it, even after the blob was removed', async () => {
    await using scratch = await ScratchStore.open();
    const { spool, reader } = await arrived(scratch);
    await spool.verify();
    await spool.commit(scratch.store);
    await spool.close();
    const late = spool.read();
    await rm(scratch.layout.blob(spool.digest));
    expect(await readFrom(reader)).toEqual(text);
    expect(late && (await readFrom(late, 3))).toEqual(text.subarray(3));
    await Promise.all([reader.close(), late?.close()]);
  });
});

describe('a discarded spool', () => {
  test('ends its readers where they are, gives no new ones, and leaves no file', async () => {
    await using scratch = await ScratchStore.open();
    const spool = await scratch.spool(text);
    const [behind, waiting] = [spool.read(), spool.read()];
    await spool.write(text.subarray(0, 5), 0);
    const failure = new Error('the upstream went away');
    const ended = expect(waiting?.waitFor(5, never)).rejects.toBe(failure);
    await spool.discard(failure);
    await ended;
    expect(await behind?.waitFor(0, never)).toBe(5);
    const buffer = Buffer.alloc(5);
    expect(await behind?.read(buffer, 0)).toBe(5);
    expect(buffer).toEqual(text.subarray(0, 5));
    await expect(behind?.waitFor(5, never)).rejects.toBe(failure);
    expect(spool.read()).toBeUndefined();
    expect(await scratch.spoolFiles()).toEqual([]);
    await Promise.all([behind?.close(), waiting?.close(), spool.close()]);
    expect(await scratch.openFiles()).toEqual([]);
  });

  test('may have been committed already: its verified bytes stay', async () => {
    await using scratch = await ScratchStore.open();
    const { spool, reader } = await arrived(scratch);
    await spool.verify();
    await spool.commit(scratch.store);
    await spool.discard(new Error('the index is full'));
    expect(await readFrom(reader)).toEqual(text);
    expect(await scratch.isStored(spool.digest)).toBe(true);
    await Promise.all([reader.close(), spool.close()]);
  });
});

describe('the file of a spool', () => {
  test('closes with the last of the writer and the readers', async () => {
    await using scratch = await ScratchStore.open();
    const { spool, reader } = await arrived(scratch);
    const other = spool.read();
    await spool.verify();
    await spool.commit(scratch.store);
    await spool.close();
    await other?.close();
    expect(await scratch.openFiles()).toHaveLength(1);
    expect(await readFrom(reader)).toEqual(text);
    await reader.close();
    expect(await scratch.openFiles()).toEqual([]);
    expect(spool.read()).toBeUndefined();
  });

  test('stays open for the others when one closes twice', async () => {
    await using scratch = await ScratchStore.open();
    const { spool, reader } = await arrived(scratch);
    const hasty = spool.read();
    await spool.verify();
    await Promise.all([hasty?.close(), hasty?.close()]);
    await hasty?.close();
    await spool.close();
    expect(await readFrom(reader)).toEqual(text);
    await reader.close();
    expect(await scratch.openFiles()).toEqual([]);
  });

  test('cannot be made where its folder is gone', async () => {
    await using scratch = await ScratchStore.open();
    await rm(scratch.layout.spools, { recursive: true });
    await expect(scratch.spool(text)).rejects.toThrow('ENOENT');
    expect(await scratch.openFiles()).toEqual([]);
  });
});
