// The load client counts what is right and refuses to count what is not.
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LoadClient } from './load-client.ts';
import type { LoadJob } from './load-job.ts';

const size = 300_000;

describe.skipIf(process.platform !== 'linux')('the load client', () => {
  let client: LoadClient;
  let server: Server | undefined;

  beforeAll(() => {
    client = new LoadClient();
  });
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });
  afterAll(() => client[Symbol.asyncDispose]());

  async function job(answer: RequestListener, more: Partial<LoadJob> = {}): Promise<LoadJob> {
    server = createServer(answer);
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return { port, pids: [process.pid], requests: [{ path: '/x', bytes: size }], connections: 2, answers: 10, ...more };
  }

  it('counts answers and the bytes of their bodies', async () => {
    const result = await client.run(await job((_, response) => response.end(Buffer.alloc(size))));
    expect(result).toMatchObject({ answers: 10, bytes: 10 * size });
    expect(result.totalMs).toHaveLength(10);
    expect(result.totalMs.every((total, index) => total >= (result.firstByteMs[index] ?? Infinity))).toBe(true);
  });

  it('asks no more questions than it wants answers to', async () => {
    let asked = 0;
    const answers: RequestListener = (_, response) => {
      asked++;
      response.end(Buffer.alloc(size));
    };
    await client.run(await job(answers, { connections: 3, answers: 2 }));
    // Whatever was sent has been read when its connection is gone.
    await new Promise<void>((resolve) => server?.close(() => resolve()));
    expect(asked).toBe(2);
  });

  it('expects no body of a HEAD and of a 304', async () => {
    const requests = [
      { method: 'HEAD', path: '/head', bytes: size },
      { path: '/same', bytes: size, status: 304 },
    ] as const;
    const answers: RequestListener = ({ url }, response) => {
      response.writeHead(url === '/head' ? 200 : 304, { 'content-length': size }).end();
    };
    expect(await client.run(await job(answers, { requests }))).toMatchObject({ answers: 10, bytes: 0 });
  });

  it('asks each question in turn, over new connections when it must', async () => {
    const asked: [string | undefined, number | undefined][] = [];
    const answers: RequestListener = ({ url, socket }, response) => {
      asked.push([url, socket.remotePort]);
      response.end(Buffer.alloc(size));
    };
    const requests = ['/1', '/2', '/3'].map((path) => ({ path, bytes: size }));
    await client.run(await job(answers, { requests, connections: 1, answers: 6, answersPerConnection: 3 }));
    expect(asked.map(([url]) => url)).toEqual(['/1', '/2', '/3', '/1', '/2', '/3']);
    expect(asked.map(([, port]) => port)).toEqual([...Array(3).fill(asked[0]?.[1]), ...Array(3).fill(asked[3]?.[1])]);
    expect(asked[0]?.[1]).not.toBe(asked[3]?.[1]);
  });

  it('keeps to a rate, and reads a body no faster than it must', async () => {
    const small = { requests: [{ path: '/x', bytes: 10 }], answers: 20, answersPerSecond: 100 };
    const paced = await client.run(await job((_, response) => response.end(Buffer.alloc(10)), small));
    expect(paced.seconds).toBeGreaterThan(0.18);
    const slow = { requests: [{ path: '/x', bytes: 2 ** 24 }], answers: 100, seconds: 0.6, bytesPerSecond: 100_000 };
    const read = await client.run(await job((_, response) => response.end(Buffer.alloc(2 ** 24)), slow));
    expect(read.answers).toBe(0);
    // What came with the head, and seven ticks at most, of each of two.
    expect(read.bytes).toBeLessThan(2 * (65_536 + 70_000));
    expect(read.bytes).toBeGreaterThan(2 * 20_000);
  });

  it.each<[string, RequestListener, RegExp]>([
    ['another status', (_, response) => response.writeHead(503).end(), /503 instead of 200/],
    ['another length', (_, response) => response.end(Buffer.alloc(size - 1)), /299999 bytes instead of 300000/],
    [
      'a body that is cut short',
      (_, response) => {
        response.writeHead(200, { 'content-length': size });
        response.write(Buffer.alloc(1000), () => response.destroy());
      },
      /closed 299000 bytes short/,
    ],
    [
      'a body that goes on',
      ({ socket }) => socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n${'x'.repeat(11)}`),
      /1 bytes too many/,
    ],
    ['a hang-up without an answer', ({ socket }) => socket.end(), /closed without an answer/],
  ])('fails at %s', async (what, answer, words) => {
    const bytes = what === 'a body that goes on' ? 10 : size;
    await expect(client.run(await job(answer, { requests: [{ path: '/x', bytes }] }))).rejects.toThrow(words);
  });

  it('reads a head that comes in pieces', async () => {
    const answer: RequestListener = ({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-');
      setImmediate(() => socket.write('Length: 3\r\n\r\nab', () => setImmediate(() => socket.write('c'))));
    };
    const pieces = await job(answer, { requests: [{ path: '/x', bytes: 3 }] });
    expect(await client.run(pieces)).toMatchObject({ answers: 10, bytes: 30 });
  });

  it('ends at its signal', async () => {
    const stop = new AbortController();
    await using stopped = new LoadClient(stop.signal);
    const running = stopped.run(await job(() => stop.abort(new Error('enough'))));
    await expect(running).rejects.toThrow('enough');
  });
});
