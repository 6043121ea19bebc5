// The client of the admin API: streams, uploads, downloads and their bounds.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { AdminClient } from '../../src/cli/admin-client.ts';
import { Gate } from '../support/gate.ts';

let client: AdminClient;
let handle: (question: IncomingMessage, answer: ServerResponse) => void;
let close = () => {};

beforeEach(async () => {
  const server = createServer((question, answer) => handle(question, answer));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  client = new AdminClient({ url, advice: () => 'start one' });
  close = () => {
    server.closeAllConnections();
    server.close();
  };
});

afterEach(() => {
  close();
  vi.useRealTimers();
});

const lines = { 'content-type': 'application/x-ndjson' };

describe('a stream', () => {
  test('gives each line as it comes, without the heartbeats, wherever its pieces end', async () => {
    const gate = new Gate();
    handle = async (question, answer) => {
      expect(await text(question)).toBe('{"repair":true}');
      const said = Buffer.from('{"a":1}\n{"type":"heartbeat"}\n\n{"ä":2}');
      // In the middle of a character.
      const middle = said.indexOf('ä') + 1;
      answer.writeHead(200, lines).write(said.subarray(0, middle));
      await gate.pass();
      answer.end(said.subarray(middle));
    };
    const got: unknown[] = [];
    for await (const line of client.stream('/verify', { body: { repair: true } })) {
      got.push(line);
      gate.open();
    }
    expect(got).toEqual([{ a: 1 }, { ä: 2 }]);
  });

  test('that says what failed throws it', async () => {
    handle = (_question, answer) =>
      answer.writeHead(200, lines).end('{"a":1}\n{"type":"error","error":"the disk is full"}\n');
    const stream = client.stream('/verify');
    expect(await stream.next()).toEqual({ value: { a: 1 }, done: false });
    await expect(stream.next()).rejects.toThrow('the disk is full');
  });

  test.each([
    ['no lines', { 'content-type': 'text/html' }, 'x', /is no admin listener of a mirror: it answered 200/],
    ['a line that is not JSON', lines, '{"a"\n', 'the mirror sent a line that is not JSON: "{\\"a\\""'],
    ['a line without an end', lines, 'x'.repeat(1_100_000), 'the mirror sent a line of more than 1048576 bytes'],
  ])('of %s throws', async (_what, headers, body, message) => {
    handle = (_question, answer) => answer.writeHead(200, headers).end(body);
    await expect(Array.fromAsync(client.stream('/verify'))).rejects.toThrow(message);
  });

  test('that the caller leaves closes the connection', async () => {
    const closed = new Gate();
    handle = (_question, answer) => {
      answer.once('close', () => closed.open());
      answer.writeHead(200, lines).write('{"a":1}\n');
    };
    for await (const _line of client.stream('/prefetch')) break;
    await closed.pass();
  });

  test('ends with its signal', async () => {
    const stopping = new AbortController();
    handle = (_question, answer) => answer.writeHead(200, lines).write('{"a":1}\n');
    const stream = client.stream('/prefetch', { signal: stopping.signal });
    await stream.next();
    stopping.abort();
    await expect(stream.next()).rejects.toThrow('broke off');
  });
});

describe('an upload', () => {
  test('sends every byte, also where the answer begins before its end', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const begun = new Gate();
    handle = async (question, answer) => {
      answer.writeHead(200, lines).write('{"begun":true}\n');
      const got = await buffer(question);
      answer.end(`{"bytes":${got.length},"type":"${question.headers['content-type']}"}\n`);
    };
    const upload = Readable.from(
      (async function* () {
        yield Buffer.alloc(1_000_000);
        await begun.pass();
        yield Buffer.alloc(2_000_000);
      })(),
    );
    const got: unknown[] = [];
    for await (const line of client.stream('/import', { upload: { body: upload } })) {
      got.push(line);
      begun.open();
    }
    expect(got).toEqual([{ begun: true }, { bytes: 3_000_000, type: 'application/x-tar' }]);
    // One that is left would keep the process alive.
    expect(vi.getTimerCount()).toBe(0);
  });

  test('that is refused before its end says why', async () => {
    handle = (_question, answer) => answer.writeHead(409).end('{"error":"2 imports are running already"}');
    const endless = Readable.from(
      (async function* () {
        for (;;) yield Buffer.alloc(65_536);
      })(),
    );
    await expect(Array.fromAsync(client.stream('/import', { upload: { body: endless } }))).rejects.toThrow(
      '2 imports are running already',
    );
    endless.destroy();
  });
});

describe('a download', () => {
  test('gives every byte', async () => {
    handle = (_question, answer) => answer.writeHead(200).end(Buffer.alloc(500_000, 'x'));
    const chunks = await Array.fromAsync(await client.download('/export?image=x'));
    expect(Buffer.concat(chunks)).toHaveLength(500_000);
  });

  test('that ends early throws', async () => {
    handle = (_question, answer) => {
      answer.writeHead(200).write('x');
      setImmediate(() => answer.destroy());
    };
    await expect(Array.fromAsync(await client.download('/export'))).rejects.toThrow(/ broke off: .*; see its log$/);
  });
});

test('an answer without content is none', async () => {
  handle = (_question, answer) => answer.writeHead(204).end();
  expect(await client.put('/images/x/pin')).toBeUndefined();
});

test('an answer that is too large is refused', async () => {
  handle = (_question, answer) => answer.writeHead(200).end(Buffer.alloc(33 * 1024 * 1024, ' '));
  await expect(client.get('/images')).rejects.toThrow(/is larger than 33554432 bytes$/);
});

test('an answer that does not come is waited for so long', async () => {
  const asked = new Gate();
  handle = () => asked.open();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const asking = client.get('/status').catch((error: Error) => error.message);
  await asked.pass();
  vi.advanceTimersByTime(10_000);
  expect(await asking).toBe(`no mirror answers at ${client.url}: no answer within 10 s; start one`);
});
