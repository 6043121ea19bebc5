// Content onto a connection whose client leaves at the worst moments.
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { sendContent } from '../../src/http/send-content.ts';
import type { Content } from '../../src/store/content.ts';

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
  return { size, waitFor: async () => size, read, close: async () => {} };
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
