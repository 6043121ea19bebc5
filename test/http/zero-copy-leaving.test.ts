// Clients that leave, or take nothing, while bytes pass by our memory: nobody else gets them, and nothing stays open.
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bodyOf, cutBodyOf } from './body-client.ts';
import { type LargeFile, largeFile, largeSize } from './large-file.ts';
import { RawConnection } from './raw-connection.ts';
import { RecordedSendfile, realSendfile, startSending } from './sending-scene.ts';

let file: LargeFile;

beforeAll(async () => {
  file = await largeFile();
});
afterAll(() => file[Symbol.asyncDispose]());

/** A client that asked, and takes nothing of what it is sent. */
function idleClient(url: string): RawConnection {
  const connection = RawConnection.to(url).get();
  connection.socket.pause();
  return connection;
}

function descriptorOf(socket: Socket | null): number {
  return (socket as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
}

function openSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return /^socket:|\/blob/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false; // closed since it was listed
    }
  }).length;
}

/** A connection whose other end, in this process, gets that number, which nobody has. */
async function connectAs(descriptor: number, url: string): Promise<RawConnection> {
  const fillers: number[] = [];
  while (Math.max(0, ...fillers) <= descriptor) fillers.push(openSync('/dev/null', 'r'));
  expect(fillers).toContain(descriptor);
  const connection = RawConnection.to(url);
  // By then our own end has a number, and the other end gets the lowest that is free.
  await new Promise((resolve) => process.nextTick(resolve));
  closeSync(descriptor);
  await connection.get('/other').hears(`x-descriptor: ${descriptor}\r\n`);
  for (const filler of fillers) if (filler !== descriptor) closeSync(filler);
  return connection;
}

describe('a client that leaves', () => {
  test('is sent nothing under the number that another connection has got', async () => {
    const left = await file.open(1024 * 1024);
    // Does not hear that the client is gone, and goes on.
    const deaf = {
      size: largeSize,
      get fd() {
        return left.fd;
      },
      waitFor: (position: number) => left.waitFor(position, new AbortController().signal),
      read: left.read.bind(left),
      close: left.close.bind(left),
    };
    const sendfile = new RecordedSendfile();
    const sockets: Socket[] = [];
    await using at = await startSending((outgoing, { url }) => {
      if (url === '/left') {
        if (outgoing.socket) sockets.push(outgoing.socket);
        return { content: deaf, sendfile };
      }
      outgoing.writeHead(200, { 'x-descriptor': descriptorOf(outgoing.socket) });
      outgoing.flushHeaders();
      return undefined;
    });
    using first = RawConnection.to(at.url).get('/left');
    await left.waited;
    const [leaving] = sockets as [Socket];
    const descriptor = descriptorOf(leaving);
    const gone = new Promise((resolve) => leaving.once('close', resolve));
    first.socket.destroy();
    await gone;
    using second = await connectAs(descriptor, at.url);
    const before = second.heard;
    const calls = sendfile.calls.length;
    left.grow(largeSize);
    await at.over;
    expect(sendfile.calls.length).toBe(calls);
    second.socket.end();
    expect(await second.closed).toBe(before);
  });

  test.each([
    ['before the first byte', 0, 0],
    ['while more is waited for', 1, 3_000_000],
    ['in the middle', 5_000_000, largeSize],
    ['when nearly all is there', largeSize - 1000, largeSize],
  ])('%s ends the sending, and leaves nothing open', async (_when, heard, end) => {
    const before = openSockets();
    {
      const content = await file.open(end);
      await using at = await startSending(() => ({ content, sendfile: realSendfile() }));
      using client = RawConnection.to(at.url).get();
      if (end === 0) await content.waited;
      else await bodyOf(client, heard);
      client.socket.destroy();
      await at.over;
    }
    expect(openSockets()).toBe(before);
  });

  test('while there is no room for more of its bytes ends the sending, and few of them are in memory', async () => {
    const full = Promise.withResolvers<void>();
    let mostRead = 0;
    const sendfile = new RecordedSendfile({
      send: (socket, part) => {
        const sent = realSendfile().send(socket, part);
        if (sent === 0) full.resolve();
        return sent;
      },
      readCached: (fd, buffer, position) => {
        mostRead = Math.max(mostRead, buffer.length);
        return realSendfile().readCached(fd, buffer, position);
      },
    });
    const content = await file.open();
    await using at = await startSending(() => ({ content, sendfile }));
    using client = idleClient(at.url);
    await full.promise;
    client.socket.destroy();
    expect(await at.over).toBeLessThan(largeSize);
    expect(mostRead).toBe(16 * 1024);
  });

  test('by taking nothing for the idle limit is let go, even if nothing has been ordinarily written for longer', async () => {
    const content = await file.open(200_000);
    const sockets: Socket[] = [];
    await using at = await startSending(({ socket }) => {
      if (socket) sockets.push(socket);
      return { content, sendfile: realSendfile() };
    });
    at.server.timeout = 50;
    using client = idleClient(at.url);
    await content.waited;
    await once(sockets[0] as Socket, 'timeout');
    content.grow(largeSize);
    await at.over;
    client.socket.resume();
    expect((await cutBodyOf(client)).length).toBeLessThan(largeSize);
  });
});
