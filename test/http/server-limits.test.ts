// What one client can do to a listener: hold connections, talk slowly, say too much. Others are served all the same.
import { once } from 'node:events';
import { connect } from 'node:net';
import type { HttpBindings } from '@hono/node-server';
import { Hono } from 'hono';
import { afterEach, describe, expect, test } from 'vitest';
import { type RunningServer, type ServerOptions, startServer } from '../../src/http/server.ts';
import { Gate } from '../support/gate.ts';
import { until } from '../support/until.ts';
import { RawConnection } from './raw-connection.ts';

const other = '127.0.0.2';
let server: RunningServer | undefined;
const opened: RawConnection[] = [];

afterEach(async () => {
  for (const connection of opened.splice(0)) connection[Symbol.dispose]();
  await server?.stop(0);
  server = undefined;
});

async function listen(options: Partial<ServerOptions> = {}, gate?: Gate): Promise<string> {
  const app = new Hono<{ Bindings: HttpBindings }>();
  app.all('/held', async (context) => {
    await gate?.pass();
    return context.text('held');
  });
  app.all('*', (context) => context.text(`${context.req.method} done ${context.req.header('x') ?? ''}.`));
  server = await startServer(app, { host: '127.0.0.1', port: 0, idleMs: 120_000, maxConnections: 5000, ...options });
  return server.url;
}

function open(url: string, from?: string): RawConnection {
  const connection = RawConnection.to(url, from);
  opened.push(connection);
  return connection;
}

/** Opened, and known to be: it has had an answer. */
async function hold(url: string, from?: string): Promise<RawConnection> {
  const connection = open(url, from).get();
  await connection.hears('GET done');
  return connection;
}

describe('connections from one address', () => {
  test('are no more than they may be, and another address notices nothing', async () => {
    const url = await listen({ perAddress: 3 });
    const [first] = await Promise.all([hold(url), hold(url), hold(url)]);
    expect(await open(url).get().closed).toBe('');
    await hold(url, other);
    first?.socket.destroy();
    await until('a place is free', () => hold(url).catch(() => undefined));
    expect(await open(url).get().closed).toBe('');
  });

  test('that are refused are not counted', async () => {
    const url = await listen({ perAddress: 1 });
    const held = await hold(url);
    for (let round = 0; round < 5; round++) await open(url).closed;
    held.socket.destroy();
    await until('the place is free', () => hold(url).catch(() => undefined));
  });

  test('are as many as they like when it is exempt', async () => {
    const url = await listen({ perAddress: 1, isExempt: (address) => address === other });
    await Promise.all(Array.from({ length: 10 }, () => hold(url, other)));
    await hold(url);
    expect(await open(url).closed).toBe('');
  });

  test('are told about when they are refused, once a minute', async () => {
    const told: string[] = [];
    let now = 0;
    const url = await listen({ perAddress: 1, onCrowded: (address) => told.push(address), now: () => now });
    await Promise.all([hold(url), hold(url, other)]);
    for (const from of ['127.0.0.1', other, '127.0.0.1']) await open(url, from).closed;
    expect(told).toEqual(['127.0.0.1']);
    now = 60_000;
    await open(url, other).closed;
    expect(told).toEqual(['127.0.0.1', other]);
  });
});

describe('a client that is slow', () => {
  test('with a thousand heads at once keeps nobody from being served, and is gone after its time', async () => {
    const crowded = Promise.withResolvers<string>();
    const url = await listen({ perAddress: 900, headMs: 3000, onCrowded: crowded.resolve });
    const slow = Array.from({ length: 1000 }, () => open(url).say('GET / HTTP/1.1\r\nHost: mirror\r\nX-Slow: '));
    expect(await crowded.promise).toBe('127.0.0.1');
    const answers = await Promise.all(Array.from({ length: 20 }, () => hold(url, other)));
    expect(answers.every(({ heard }) => heard.startsWith('HTTP/1.1 200 '))).toBe(true);
    expect(slow.filter(({ socket }) => !socket.closed).length).toBeGreaterThan(500);
    const ended = await Promise.all(slow.map(({ closed }) => closed));
    const timedOut = ended.filter((heard) => heard.startsWith('HTTP/1.1 408 ')).length;
    expect(timedOut).toBeGreaterThanOrEqual(900);
    expect(ended.filter((heard) => heard === '').length).toBe(1000 - timedOut);
    await hold(url);
  });

  test('is gone after its time when it says nothing at all', async () => {
    const url = await listen({ headMs: 100 });
    expect(await open(url).closed).toMatch(/^(HTTP\/1\.1 408 |$)/);
  });

  test('with a drip of head buys no time by it', async () => {
    const url = await listen({ headMs: 300 });
    const connection = open(url).say('GET / HTTP/1.1\r\n');
    const drip = setInterval(() => connection.say('x'), 20);
    expect(await connection.closed).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(drip);
  });

  test('with a body is let go while its answer is waited for', async () => {
    const gate = new Gate();
    const url = await listen({ headMs: 100 }, gate);
    const connection = open(url).say('PUT /held HTTP/1.1\r\nHost: mirror\r\nContent-Length: 10\r\n\r\nhalf');
    await gate.reached;
    expect(await connection.closed).toMatch(/^(HTTP\/1\.1 408 |$)/);
    gate.open();
  });

  test('with a body has all the time it needs where bodies are read, and no more for the head', async () => {
    const gate = new Gate();
    const url = await listen({ headMs: 100, isPatientWithBodies: true }, gate);
    const connection = open(url).say('PUT /held HTTP/1.1\r\nHost: mirror\r\nContent-Length: 10\r\n\r\nhalf');
    await gate.reached;
    // Both checks of the listener's time-outs have been by then that would have ended it.
    for (let round = 0; round < 3; round++)
      expect(await open(url).say('GET / HTTP/1.1\r\nX-Slow: ').closed).toMatch(/^HTTP\/1\.1 408 /);
    expect([connection.heard, connection.socket.closed]).toEqual(['', false]);
    gate.open();
    expect(await connection.closed).toMatch(/^HTTP\/1\.1 200 /);
  });

  test('only after its time: a whole request may wait for its answer much longer', async () => {
    const gate = new Gate();
    const url = await listen({ headMs: 50 }, gate);
    const patient = open(url).get('/held');
    await gate.reached;
    // The time-out that ends this one has looked at the other too.
    await open(url).say('PUT / HTTP/1.1\r\nContent-Le').closed;
    gate.open();
    expect(await patient.hears('held')).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('the head of a request', () => {
  const fields = (count: number) => Array.from({ length: count }, (_, index) => `X-${index}: v`);

  test('may have a hundred fields', async () => {
    const url = await listen();
    expect(
      await open(url)
        .get('/', ...fields(99))
        .hears('GET done'),
    ).toMatch(/^HTTP\/1\.1 200 /);
  });

  test.each([100, 1000, 3000])('with %i more is 431 and the end', async (count) => {
    const url = await listen();
    const answer = await open(url)
      .get('/', ...fields(count))
      .get().closed;
    expect(answer).toMatch(/^HTTP\/1\.1 431 .*\r\nconnection: close\r\n/is);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  test.each([
    'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    '\u0016\u0003\u0001\u0002',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ])('that nobody can read for certain is the end: %j', async (text) => {
    const url = await listen();
    expect(await open(url).say(text).closed).toMatch(/^(HTTP\/1\.1 400 |$)/);
  });
});

describe('a request with a body', () => {
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: mirror\r\n\r\n';

  test.each([
    ['that never comes', 'GET', 'Content-Length: 10\r\n\r\n'],
    ['that comes in part', 'PUT', 'Content-Length: 10\r\n\r\nhalf'],
    ['of chunks without an end', 'POST', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'],
    ['that is whole', 'POST', `Content-Length: 5\r\n\r\nhello${smuggled}`],
    ['of chunks that is whole', 'GET', `Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n${smuggled}`],
  ])('%s is answered once, and that is the end', async (_what, method, rest) => {
    const url = await listen();
    const answer = await open(url).say(`${method} / HTTP/1.1\r\nHost: mirror\r\n${rest}`).closed;
    expect(answer).toMatch(/^HTTP\/1\.1 200 .*\r\nconnection: close\r\n/is);
    expect(answer).toContain(`${method} done`);
    expect(answer.match(/HTTP\/1\.1/g)).toHaveLength(1);
  });

  test('that is large gets its answer to a client that reads it', async () => {
    const url = await listen();
    const size = 16 * 1024 * 1024;
    for (let round = 0; round < 30; round++) {
      const connection = open(url).say(`PUT / HTTP/1.1\r\nHost: mirror\r\nContent-Length: ${size}\r\n\r\n`);
      connection.say('x'.repeat(size));
      expect(await connection.closed).toContain('PUT done');
    }
  });

  test('is not invited to send it', async () => {
    const url = await listen();
    const connection = open(url);
    connection.say('PUT / HTTP/1.1\r\nHost: mirror\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n');
    expect(await connection.closed).toMatch(/^HTTP\/1\.1 200 .*PUT done \.$/s);
  });

  test('that expects something else is told that it cannot have it', async () => {
    const url = await listen();
    const connection = open(url).get('/', 'Expect: a miracle', 'Connection: close');
    expect(await connection.closed).toMatch(/^HTTP\/1\.1 417 /);
  });

  test('of no bytes is a request like any other', async () => {
    const url = await listen();
    const connection = open(url).say('POST / HTTP/1.1\r\nHost: mirror\r\nContent-Length: 0\r\n\r\n');
    await connection.hears('POST done');
    await connection.get().hears('GET done');
  });
});

describe('a request for another protocol', () => {
  test('as a tunnel is refused', async () => {
    const url = await listen();
    const answer = await open(url).say('CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n').closed;
    expect(answer).toMatch(/^HTTP\/1\.1 405 .*allow: GET, HEAD/s);
  });

  test('as a tunnel with a body is refused', async () => {
    const url = await listen();
    const head = 'CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\nContent-Length: 10\r\n\r\n';
    expect(await open(url).say(head).closed).toMatch(/^(HTTP\/1\.1 405 |$)/);
    expect(await open(url).say(`${head}0123456789`).closed).toMatch(/^(HTTP\/1\.1 405 |$)/);
  });

  test('as a tunnel by a client that is gone hurts nobody', async () => {
    const url = await listen();
    for (let round = 0; round < 20; round++) {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      await once(socket, 'connect');
      socket.write('CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n');
      socket.resetAndDestroy();
    }
    await hold(url);
  });

  test('as a tunnel behind another is never taken for the answer to that one', async () => {
    const gate = new Gate();
    const url = await listen({}, gate);
    const connection = open(url).get('/held');
    await gate.reached;
    connection.say('CONNECT example.test:443 HTTP/1.1\r\nHost: example.test\r\n\r\n');
    expect(await connection.closed).toBe('');
    gate.open();
    await hold(url);
  });

  test('as an upgrade gets the answer of a plain request', async () => {
    const url = await listen();
    for (const protocol of ['websocket', 'h2c']) {
      const connection = open(url).get('/', 'Connection: Upgrade', `Upgrade: ${protocol}`);
      expect(await connection.hears('GET done')).toMatch(/^HTTP\/1\.1 200 /);
    }
  });
});

describe('a connection with requests that wait', () => {
  test('for a hundred answers gets them all', async () => {
    const gate = new Gate();
    const url = await listen({}, gate);
    const connection = open(url);
    for (let index = 0; index < 99; index++) connection.get('/held');
    connection.get('/', 'Connection: close');
    await gate.reached;
    gate.open();
    expect((await connection.closed).match(/HTTP\/1\.1 200 /g)).toHaveLength(100);
  });

  test('one after the other may ask as often as it likes', async () => {
    const url = await listen();
    const connection = open(url);
    for (let index = 0; index < 150; index++) await connection.get('/', `X: ${index}`).hears(`GET done ${index}.`);
    expect(connection.socket.closed).toBe(false);
  });

  test('for more is closed, and others notice nothing', async () => {
    const gate = new Gate();
    const url = await listen({}, gate);
    const connection = open(url);
    const request = 'GET /held HTTP/1.1\r\nHost: mirror\r\n\r\n';
    connection.say(request.repeat(101));
    expect(await connection.closed).toBe('');
    const flood = open(url).say(request.repeat(2000));
    expect(await flood.closed).toBe('');
    expect(gate.arrivals).toBe(200);
    gate.open();
    await hold(url);
  });
});

test('a server that stops does not wait for a connection that never said anything', async () => {
  const url = await listen();
  const silent = open(url);
  await hold(url);
  await server?.stop(20_000);
  expect(await silent.closed).toBe('');
});
