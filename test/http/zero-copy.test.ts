// Bytes that pass by our memory, on real sockets and files: their order, their endings, and a system that refuses.
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { duplexPair } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FilePart, Sendfile } from '../../src/http/sendfile.ts';
import { bodyOf, cutBodyOf } from './body-client.ts';
import { GrowingContent } from './growing-content.ts';
import { type LargeFile, largeFile, largeSize } from './large-file.ts';
import { RawConnection } from './raw-connection.ts';
import { RecordedSendfile, realSendfile, startSending } from './sending-scene.ts';

let file: LargeFile;

beforeAll(async () => {
  file = await largeFile();
});
afterAll(() => file[Symbol.asyncDispose]());

describe('a body from a file', () => {
  test('arrives whole, nearly all of it past our memory, and is counted once', async () => {
    const sendfile = new RecordedSendfile();
    const content = await file.open();
    await using at = await startSending(() => ({ content, sendfile }));
    using client = RawConnection.to(at.url).get();
    expect((await bodyOf(client, largeSize)).equals(file.bytes)).toBe(true);
    expect(sendfile.bytes).toBeGreaterThan(largeSize * 0.9);
    expect(await at.over).toBe(largeSize);
  });

  test('leaves the connection fit for what follows', async () => {
    const content = await file.open();
    const sendfile = realSendfile();
    await using at = await startSending((outgoing, { method, url }) => {
      if (url === '/blob') return { content, sendfile };
      outgoing.setHeader('x-answers', `${method} ${url}`);
      if (url !== '/same') outgoing.setHeader('content-length', 5);
      outgoing.writeHead(url === '/same' ? 304 : 200).end(url);
      return undefined;
    });
    using client = RawConnection.to(at.url).get('/blob');
    expect((await bodyOf(client, largeSize)).equals(file.bytes)).toBe(true);
    const before = client.bytes.length;
    client.say('HEAD /head HTTP/1.1\r\nHost: mirror\r\n\r\n');
    await client.hears('HEAD /head');
    client.get('/same');
    await client.hears('GET /same');
    client.get('/last', 'Connection: close');
    await client.closed;
    const [, ...answers] = client.bytes.subarray(before).toString('latin1').split('HTTP/1.1 ');
    expect(answers.map((answer) => answer.slice(0, 3))).toEqual(['200', '304', '200']);
    expect(answers.map((answer) => answer.split('\r\n\r\n')[1])).toEqual(['', '', '/last']);
  });

  test('waits behind an earlier answer of its connection', async () => {
    const first = await file.open(0);
    const second = await file.open();
    const sendfile = new RecordedSendfile();
    const contents = [first, second];
    await using at = await startSending(() => {
      const content = contents.shift();
      return content && { content, sendfile };
    });
    using client = RawConnection.to(at.url).get('/1').get('/2', 'Connection: close');
    await first.waited;
    expect(sendfile.bytes).toBe(0);
    first.grow(largeSize);
    const heard = await cutBodyOf(client);
    expect(heard.subarray(0, largeSize).equals(file.bytes)).toBe(true);
    const rest = heard.subarray(largeSize);
    expect(rest.subarray(0, 15).toString()).toBe('HTTP/1.1 200 OK');
    expect(rest.subarray(rest.indexOf('\r\n\r\n') + 4).equals(file.bytes)).toBe(true);
    expect(sendfile.bytes).toBeGreaterThan(largeSize * 1.8);
  });

  test('waits behind what node has not given to the kernel', async () => {
    const content = await file.open();
    const sendfile = new RecordedSendfile();
    await using at = await startSending(({ socket }) => {
      socket?.cork();
      setImmediate(() => socket?.uncork());
      return { content, sendfile };
    });
    using client = RawConnection.to(at.url).get();
    expect((await bodyOf(client, largeSize)).equals(file.bytes)).toBe(true);
    expect(sendfile.bytes).toBeGreaterThan(largeSize * 0.9);
  });

  test('goes through memory to a connection that is no socket of the system, which is not asked', async () => {
    const content = await file.open();
    let asked = 0;
    const sendfile = new RecordedSendfile({ readCached: () => ++asked });
    await using at = await startSending(() => ({ content, sendfile }));
    const [ours, theirs] = duplexPair();
    at.server.emit('connection', ours);
    theirs.write('GET / HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n');
    const parts: Buffer[] = [];
    theirs.on('data', (part: Buffer) => parts.push(Buffer.from(part)));
    await once(theirs, 'end');
    const heard = Buffer.concat(parts);
    expect(heard.subarray(heard.indexOf('\r\n\r\n') + 4).equals(file.bytes)).toBe(true);
    expect([asked, sendfile.calls]).toEqual([0, []]);
  });

  test('gives the others their turn after each half mebibyte', async () => {
    let turn = 0;
    const turns = new Map<number, number>();
    const sendfile = new RecordedSendfile({
      send: (socket, part) => {
        const sent = realSendfile().send(socket, part);
        turns.set(turn, (turns.get(turn) ?? 0) + (sent ?? 0));
        return sent;
      },
    });
    const content = await file.open();
    await using at = await startSending(() => ({ content, sendfile }));
    let isOver = false;
    const nextTurn = () => {
      turn++;
      if (!isOver) setImmediate(nextTurn);
    };
    nextTurn();
    using client = RawConnection.to(at.url).get();
    await bodyOf(client, largeSize);
    isOver = true;
    expect(Math.max(...turns.values())).toBeLessThanOrEqual(512 * 1024);
  });
});

describe('a file', () => {
  test('that grows is sent as it does, however long that takes', async () => {
    const content = await file.open(0);
    const sendfile = new RecordedSendfile();
    const sockets: Socket[] = [];
    await using at = await startSending(({ socket }) => {
      if (socket) sockets.push(socket);
      return { content, sendfile };
    });
    using client = RawConnection.to(at.url).get();
    for (const end of [1, 100_000, 5_000_000, largeSize]) {
      await content.waited;
      // The idle limit is the client's alone.
      sockets[0]?.emit('timeout');
      content.grow(end);
      expect((await bodyOf(client, end)).equals(file.bytes.subarray(0, end))).toBe(true);
    }
    expect(sendfile.bytes).toBeGreaterThan(largeSize * 0.9);
  });

  test('that fails on the way ends the connection short, at once', async () => {
    const content = await file.open(3_000_000);
    await using at = await startSending(() => ({ content, sendfile: realSendfile() }));
    using client = RawConnection.to(at.url).get();
    await bodyOf(client, 3_000_000);
    content.fail(new Error('the upstream is gone'));
    expect((await cutBodyOf(client)).equals(file.bytes.subarray(0, 3_000_000))).toBe(true);
    await at.over;
  });

  test('that is cut short while it is sent ends the connection where the file ends', async () => {
    const cut = join(file.dir, 'cut');
    await writeFile(cut, file.bytes);
    const content = await GrowingContent.open(cut, 3_000_000);
    await using at = await startSending(() => ({ content, sendfile: realSendfile() }));
    using client = RawConnection.to(at.url).get();
    await bodyOf(client, 3_000_000);
    await content.truncate(5_000_000);
    content.grow(largeSize);
    expect((await cutBodyOf(client)).equals(file.bytes.subarray(0, 5_000_000))).toBe(true);
    await at.over;
    await rm(cut);
  });

  test('whose bytes are not in memory is read without holding up anybody', async () => {
    const content = await file.open();
    const warm = (position: number) => Math.floor(position / 1_000_000) % 3 !== 1;
    const sendfile = new RecordedSendfile({
      readCached: (fd, buffer, position) => (warm(position) ? realSendfile().readCached(fd, buffer, position) : 0),
    });
    await using at = await startSending(() => ({ content, sendfile }));
    using client = RawConnection.to(at.url).get();
    expect((await bodyOf(client, largeSize)).equals(file.bytes)).toBe(true);
    for (const { part } of sendfile.calls)
      expect([warm(part.position), warm(part.position + part.length - 1)]).toEqual([true, true]);
    expect(sendfile.bytes).toBeGreaterThan(largeSize / 2);
  });

  test('that is none any more goes on through memory', async () => {
    const content = await file.open(3_000_000);
    const sendfile = new RecordedSendfile();
    await using at = await startSending(() => ({ content, sendfile }));
    using client = RawConnection.to(at.url).get();
    await bodyOf(client, 3_000_000);
    content.isFile = false;
    content.grow(largeSize);
    expect((await bodyOf(client, largeSize)).equals(file.bytes)).toBe(true);
    expect(sendfile.bytes).toBeLessThanOrEqual(3_000_000);
  });
});

describe('a system that refuses', () => {
  const after = (calls: number, refuse: Sendfile['send']) => {
    let left = calls;
    return (socket: number, part: FilePart) => (left-- > 0 ? realSendfile().send(socket, part) : refuse(socket, part));
  };

  test.each([0, 1, 5])('to send from the file after %d calls is not asked again', async (calls) => {
    const sendfile = new RecordedSendfile({ send: after(calls, () => undefined) });
    const content = await file.open();
    await using at = await startSending(() => ({ content, sendfile }));
    using client = RawConnection.to(at.url).get();
    expect((await bodyOf(client, largeSize)).equals(file.bytes)).toBe(true);
    expect(sendfile.calls.length).toBe(calls + 1);
  });

  test('to tell what is in memory is not asked to send', async () => {
    let asked = 0;
    const sendfile = new RecordedSendfile({ readCached: () => void asked++ });
    const content = await file.open();
    await using at = await startSending(() => ({ content, sendfile }));
    using client = RawConnection.to(at.url).get();
    expect((await bodyOf(client, largeSize)).equals(file.bytes)).toBe(true);
    expect([asked, sendfile.calls]).toEqual([1, []]);
  });

  test('everything for a while, and takes little at other times, loses nothing', async () => {
    let call = 0;
    const sendfile = new RecordedSendfile({
      send: (socket, part) =>
        call++ % 3 === 0 ? 0 : realSendfile().send(socket, { ...part, length: Math.min(part.length, 77_777) }),
    });
    const content = await file.open();
    await using at = await startSending(() => ({ content, sendfile }));
    using client = RawConnection.to(at.url).get();
    expect((await bodyOf(client, largeSize)).equals(file.bytes)).toBe(true);
    expect(await at.over).toBe(largeSize);
  });
});
