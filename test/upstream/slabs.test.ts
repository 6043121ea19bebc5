// Memory that bodies arrive in: used again once all of it came back, and never before.

import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { Client } from 'undici';
import { describe, expect, test, vi } from 'vitest';
import { giveBack, slabConnector } from '../../src/upstream/slabs.ts';

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
  }
  await crowd.disposeAsync();
  await using after = await scene(1);
  await after.send(filledWith('a', 1));
  expect(after.pieces[0]?.buffer.byteLength).toBe(128 * KiB);
});

test('bytes that are in no slab may be given back', () => {
  giveBack(Buffer.from('abc'));
});
