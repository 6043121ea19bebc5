// Memory that bodies arrive in: used again once all of it came back, and never before.

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Client } from 'undici';
import { describe, expect, test, vi } from 'vitest';
import { giveBack, joined, slabConnector } from '../../src/upstream/slabs.ts';

const KiB = 1024;

/** A server that writes what it is told to, and the pieces as they come out of undici. */
async function scene(total: number) {
  const sockets: Socket[] = [];
  const server: Server = createServer((socket) => {
    sockets.push(socket);
    socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`));
    socket.on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const port = (server.address() as { port: number }).port;
  const client = new Client(`http://127.0.0.1:${port}`, { connect: slabConnector({ allowH2: false }) });
  const pieces: Uint8Array[] = [];
  let received = 0;
  let onPiece: (piece: Uint8Array) => void = () => {};
  client.dispatch(
    { path: '/', method: 'GET' },
    {
      onRequestStart() {},
      onResponseStart() {},
      onResponseData(_controller, piece) {
        received += piece.length;
        pieces.push(piece);
        onPiece(piece);
      },
      onResponseEnd() {},
      onResponseError() {},
    },
  );
  await vi.waitUntil(() => sockets.length === 1);
  return {
    pieces,
    onPiece: (hear: typeof onPiece) => {
      onPiece = hear;
    },
    /** Resolves when all of it has come out again. */
    send: async (bytes: Uint8Array) => {
      const before = received;
      sockets[0]?.write(bytes);
      await vi.waitUntil(() => received === before + bytes.length, { interval: 1 });
    },
    async [Symbol.asyncDispose]() {
      await client.destroy();
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const memoriesOf = (pieces: readonly Uint8Array[]) => new Set(pieces.map(({ buffer }) => buffer));
const filledWith = (letter: string, length: number) => Buffer.alloc(length, letter);

describe('a slab', () => {
  test('holds what came one after the other, side by side', async () => {
    await using at = await scene(9000);
    for (const letter of ['a', 'b', 'c']) await at.send(filledWith(letter, 1000));
    expect(memoriesOf(at.pieces).size).toBe(1);
    const [first, second] = at.pieces;
    expect((first?.byteOffset ?? 0) + 1000).toBe(second?.byteOffset);
    expect(at.pieces.map((piece) => String.fromCharCode(piece[999] ?? 0))).toEqual(['a', 'b', 'c']);
  });

  test('is used again by whoever needs one, once everything in it came back', async () => {
    await using at = await scene(64 * 1024 * KiB);
    at.onPiece(giveBack);
    for (let turn = 0; turn < 64; turn++) await at.send(filledWith('a', 256 * KiB));
    // The head of the answer never comes back.
    expect(memoriesOf(at.pieces).size).toBeLessThan(8);
  });

  test('is never used again while a byte of it may be looked at', async () => {
    await using at = await scene(64 * 1024 * KiB);
    const held: { piece: Uint8Array; letter: number }[] = [];
    let count = 0;
    at.onPiece((piece) => {
      // Every third is kept; of another third only a part comes back.
      if (count % 3 === 0) held.push({ piece, letter: piece[0] ?? 0 });
      else giveBack(count % 3 === 1 ? piece.subarray(1) : piece);
      count++;
    });
    for (let turn = 0; turn < 48; turn++) await at.send(filledWith(String.fromCharCode(65 + turn), 100 * KiB));
    expect(held.length).toBeGreaterThan(16);
    for (const { piece, letter } of held) expect(piece.every((byte) => byte === letter)).toBe(true);
  });

  test('that came back while its connection still fills it is not given to another', async () => {
    await using one = await scene(1024 * KiB);
    await using other = await scene(1024 * KiB);
    one.onPiece(giveBack);
    other.onPiece(giveBack);
    await one.send(filledWith('a', 1000));
    await other.send(filledWith('b', 1000));
    expect(memoriesOf([...one.pieces, ...other.pieces]).size).toBe(2);
  });
});

test('many connections fill smaller ones, and those that come when they have closed large ones again', async () => {
  await using crowd = new AsyncDisposableStack();
  for (let count = 0; count < 64; count++) crowd.use(await scene(1));
  {
    await using late = await scene(1);
    await late.send(filledWith('a', 1));
    expect(late.pieces[0]?.buffer.byteLength).toBe(32 * KiB);
    // And what does not fit a smaller one stays two.
    expect(joined(filledWith('a', 20 * KiB), filledWith('b', 12 * KiB + 1))).toBeUndefined();
    expect(joined(filledWith('a', 20 * KiB), filledWith('b', 12 * KiB))?.length).toBe(32 * KiB);
  }
  await crowd.disposeAsync();
  await using after = await scene(1);
  await after.send(filledWith('a', 1));
  expect(after.pieces[0]?.buffer.byteLength).toBe(128 * KiB);
});

describe('pieces that are joined', () => {
  test('stay where they are when they adjoin, however long', () => {
    const memory = Buffer.alloc(200 * KiB, 'abcdefg');
    const one = joined(memory.subarray(10, 90 * KiB), memory.subarray(90 * KiB));
    expect([one?.buffer, one?.byteOffset, one?.length]).toEqual([memory.buffer, 10, 200 * KiB - 10]);
  });

  test('are copied when they lie apart, and more is copied behind them', () => {
    const two = joined(Buffer.from('one '), Buffer.from('two ')) as Uint8Array;
    const three = joined(two, Buffer.from('three')) as Uint8Array;
    expect(Buffer.from(three).toString()).toBe('one two three');
    expect(three.buffer).toBe(two.buffer);
    giveBack(three);
  });

  test('are small, and together no more than a slab', () => {
    const [most, tooMuch] = [filledWith('a', 32 * KiB), filledWith('b', 32 * KiB + 1)];
    expect(joined(most, tooMuch)).toBeUndefined();
    expect(joined(tooMuch, most)).toBeUndefined();
    let all = joined(most, most) as Uint8Array;
    for (const piece of [most, most]) all = joined(all, piece) as Uint8Array;
    expect(all.length).toBe(128 * KiB);
    expect(joined(all, filledWith('c', 1))).toBeUndefined();
    expect(all.every((byte) => byte === 97)).toBe(true);
    giveBack(all);
  });

  test('never overwrite what a connection is filling, not even in memory that was joined before', async () => {
    const earlier = joined(Buffer.from('a'), Buffer.from('b')) as Uint8Array;
    giveBack(earlier);
    await using at = await scene(9000);
    for (const letter of ['a', 'b', 'c']) await at.send(filledWith(letter, 1000));
    const [first, second, third] = at.pieces as [Uint8Array, Uint8Array, Uint8Array];
    expect(first.buffer).toBe(earlier.buffer);
    const one = joined(first, third) as Uint8Array;
    expect(one.buffer).not.toBe(first.buffer);
    expect([one[999], one[1000], second[0]]).toEqual([97, 99, 98]);
    const { buffer } = joined(second, Buffer.from('d')) as Uint8Array;
    expect([first.buffer, one.buffer]).not.toContain(buffer);
  });

  test('are in memory that is used again when they came back, and not before', () => {
    const one = () => joined(Buffer.from('a'), Buffer.from('b')) as Uint8Array;
    const [held, other] = [one(), one()];
    expect(held.buffer).not.toBe(other.buffer);
    giveBack(other);
    expect(one().buffer).toBe(other.buffer);
  });

  test('give back what they were copied from', async () => {
    await using at = await scene(64 * 1024 * KiB);
    let gathered: Uint8Array = Buffer.alloc(0);
    at.onPiece((piece) => {
      const small = piece.subarray(0, 1000);
      giveBack(piece.subarray(1000));
      const more = joined(gathered, small);
      if (!more) giveBack(gathered);
      gathered = more ?? small;
    });
    for (let turn = 0; turn < 64; turn++) await at.send(filledWith('a', 256 * KiB));
    expect(memoriesOf(at.pieces).size).toBeLessThan(8);
  });
});

test('bytes that are in no slab may be given back', () => {
  giveBack(Buffer.from('abc'));
});
