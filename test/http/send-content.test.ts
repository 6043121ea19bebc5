// Content onto a connection, by both ways: the same bytes, and the same endings.
import { writeFile } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sendContent } from '../../src/http/send-content.ts';
import type { Content } from '../../src/store/content.ts';
import { unhashedContent } from '../support/served-content.ts';
import { type TempDir, tempDir } from '../support/temp-dir.ts';
import { bodyOf } from './body-client.ts';
import { Authority } from './certificates.ts';
import { GrowingContent } from './growing-content.ts';
import { largeSize } from './large-file.ts';
import { RawConnection } from './raw-connection.ts';
import { RecordedSendfile, realSendfile, startSending } from './sending-scene.ts';

const size = 1_000_000;

/** Sends the content to one client and resolves once `sendContent` has. */
async function send(content: Content, clientGone: AbortSignal): Promise<number> {
  let sent = 0;
  const done = Promise.withResolvers<void>();
  const server = createServer((_request, outgoing) => {
    outgoing.writeHead(200, { 'content-length': size });
    sendContent(outgoing, content, { start: 0, end: size - 1 }, clientGone, (bytes) => {
      sent += bytes;
    }).then(done.resolve, done.reject);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const request = get(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, (response) => {
    response.on('error', () => {}).resume();
  });
  request.on('error', () => {});
  await done.promise;
  server.closeAllConnections();
  server.close();
  return sent;
}

function contentOf(read: Content['read']): Content {
  return { size, fd: undefined, waitFor: async () => size, read, close: async () => {} };
}

test('a client that leaves while its bytes are read from disk is sent none of them, and nothing waits for ever', async () => {
  const leaving = new AbortController();
  let reads = 0;
  const content = contentOf(async (buffer) => {
    reads++;
    leaving.abort(new Error('the client is gone'));
    return buffer.length;
  });
  await send(content, leaving.signal);
  expect(reads).toBeLessThanOrEqual(2);
});

test('a file that ends before its length closes the connection short', async () => {
  expect(
    await send(
      contentOf(async () => 0),
      new AbortController().signal,
    ),
  ).toBe(0);
});

test('a client that stays gets all of it', async () => {
  expect(
    await send(
      contentOf(async (buffer) => buffer.length),
      new AbortController().signal,
    ),
  ).toBe(size);
});

const fileSize = 3_000_000;
let dir: TempDir;
let path: string;
let bytes: Buffer;

beforeAll(async () => {
  dir = await tempDir('send-content');
  path = join(dir.path, 'blob');
  bytes = Buffer.concat([...unhashedContent({ size: fileSize, seed: 2 }).read(0, fileSize)]);
  await writeFile(path, bytes);
});
afterAll(() => dir.remove());

async function heardBy(connection: RawConnection): Promise<{ readonly head: string; readonly body: Buffer }> {
  await connection.closed;
  const split = connection.bytes.indexOf('\r\n\r\n') + 4;
  return { head: connection.bytes.toString('latin1', 0, split), body: connection.bytes.subarray(split) };
}

describe.each([
  ['copied', undefined],
  ['past our memory', realSendfile()],
] as const)('content that goes %s', (_way, sendfile) => {
  test.each([
    ['the whole', 0, fileSize - 1],
    ['nothing', 0, -1],
    ['the first byte', 0, 0],
    ['the last byte', fileSize - 1, fileSize - 1],
    ['a few bytes', 1000, 1999],
    ['as much as is sent at once', 5, 5 + 64 * 1024 - 1],
    ['one byte more than that', 5, 5 + 64 * 1024],
    ['a middle', 999_999, 2_000_001],
  ])('gives %s', async (_what, start, end) => {
    const content = await GrowingContent.open(path);
    await using at = await startSending(() => ({ content, range: { start, end }, sendfile }));
    using client = RawConnection.to(at.url).get('/', 'Connection: close');
    const { head, body } = await heardBy(client);
    expect(head).toContain(`content-length: ${end - start + 1}\r\n`);
    expect(body.equals(bytes.subarray(start, end + 1))).toBe(true);
    expect(await at.over).toBe(end - start + 1);
  });

  test.each([
    ['a few bytes', 999],
    ['many bytes', fileSize - 1],
  ])('sends its head before %s that are waited for', async (_what, end) => {
    const content = await GrowingContent.open(path, 0);
    await using at = await startSending(() => ({ content, range: { start: 0, end }, sendfile }));
    using client = RawConnection.to(at.url).get('/', 'Connection: close');
    await client.hears('\r\n\r\n');
    content.grow(fileSize);
    expect((await heardBy(client)).body.equals(bytes.subarray(0, end + 1))).toBe(true);
  });

  test.each([
    ['a few bytes', 999],
    ['many bytes', fileSize - 1],
  ])('whose %s never come ends the connection', async (_what, end) => {
    const content = await GrowingContent.open(path, 0);
    await using at = await startSending(() => ({ content, range: { start: 0, end }, sendfile }));
    using client = RawConnection.to(at.url).get();
    await client.hears('\r\n\r\n');
    content.fail(new Error('the upstream is gone'));
    expect((await heardBy(client)).body.length).toBe(0);
    expect(await at.over).toBe(0);
  });

  test.each([
    ['a few bytes', 1000],
    ['many bytes', 1_000_000],
  ])('whose file lacks the last of %s ends the connection short', async (_what, wanted) => {
    const short = join(dir.path, 'short');
    await writeFile(short, bytes.subarray(0, wanted - 1));
    const content = await GrowingContent.open(short, wanted);
    await using at = await startSending(() => ({ content, range: { start: 0, end: wanted - 1 }, sendfile }));
    using client = RawConnection.to(at.url).get();
    expect((await heardBy(client)).body.length).toBeLessThan(wanted);
    expect(await at.over).toBeLessThan(wanted);
  });

  test('is no stall of the client while it is waited for', async () => {
    const content = await GrowingContent.open(path, 0);
    const sockets: Socket[] = [];
    await using at = await startSending(({ socket }) => {
      if (socket) sockets.push(socket);
      return { content, sendfile };
    });
    using client = RawConnection.to(at.url).get('/', 'Connection: close');
    for (const end of [1, 1_000_000, fileSize]) {
      await content.waited;
      sockets[0]?.emit('timeout');
      content.grow(end);
      expect((await bodyOf(client, end)).equals(bytes.subarray(0, end))).toBe(true);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });

  test('lets a client go that does not even take a few bytes', async () => {
    const content = await GrowingContent.open(path);
    const sockets: Socket[] = [];
    await using at = await startSending(({ socket }) => {
      if (socket) sockets.push(socket);
      socket?.write(Buffer.alloc(largeSize));
      return { content, range: { start: 0, end: 999 }, sendfile };
    });
    using client = RawConnection.to(at.url).get();
    client.socket.pause();
    await at.over;
    sockets[0]?.emit('timeout');
    client.socket.resume();
    await client.closed;
    expect(client.bytes.length).toBeLessThan(largeSize);
  });

  test('is the same bytes for every range, however it grows', async () => {
    const ends = fc.array(fc.integer({ min: 1, max: fileSize }), { maxLength: 12 });
    const range = fc.tuple(fc.nat(fileSize - 1), fc.nat(fileSize - 1));
    await fc.assert(
      fc.asyncProperty(ends, range, fc.boolean(), async (growth, [one, other], staysFile) => {
        const [start, end] = [Math.min(one, other), Math.max(one, other)];
        const content = await GrowingContent.open(path, 0);
        await using at = await startSending(() => ({ content, range: { start, end }, sendfile }));
        using client = RawConnection.to(at.url).get('/', 'Connection: close');
        const all = heardBy(client);
        for (const grown of growth.filter((to) => to <= end).sort((a, b) => a - b)) {
          await content.waited;
          content.isFile = staysFile || grown < fileSize / 2;
          content.grow(grown);
        }
        await content.waited;
        content.grow(fileSize);
        expect((await all).body.equals(bytes.subarray(start, end + 1))).toBe(true);
        expect(await at.over).toBe(end - start + 1);
      }),
      { numRuns: 40 },
    );
  });
});

test('what is encrypted goes through memory', async () => {
  await using authority = await Authority.create();
  const { cert, key } = await authority.server();
  const sendfile = new RecordedSendfile();
  const content = await GrowingContent.open(path);
  await using at = await startSending(() => ({ content, sendfile }), createTlsServer({ cert, key }));
  const { port } = new URL(at.url);
  const socket = connectTls({ host: '127.0.0.1', port: Number(port), ca: authority.certificate });
  using client = new RawConnection(socket).get('/', 'Connection: close');
  expect((await heardBy(client)).body.equals(bytes)).toBe(true);
  expect(sendfile.calls).toEqual([]);
});
