// Too many requests of one client address at the same time: told at once, while everybody else is served.
import { Hono } from 'hono';
import { afterEach, expect, test } from 'vitest';
import { AddressPlaces } from '../../src/access/address-places.ts';
import type { ExchangeEnv } from '../../src/http/exchange.ts';
import { requestsInFlight } from '../../src/http/requests-in-flight.ts';
import { type RunningServer, startServer } from '../../src/http/server.ts';
import { takeTurns } from '../../src/http/turn.ts';
import { Gate } from '../support/gate.ts';
import { until } from '../support/until.ts';
import { RawConnection } from './raw-connection.ts';
import { type Answer, ask, errorOf } from './start-registry.ts';

let server: RunningServer | undefined;
afterEach(() => server?.stop(0));

interface Gates {
  readonly before?: Gate;
  readonly answer?: Gate;
}

/** The address of a client is what it says. */
async function listen(
  most: number,
  { before, answer }: Gates,
): Promise<(from: string, path?: string) => Promise<Answer>> {
  const app = new Hono<ExchangeEnv>();
  app.use(takeTurns());
  app.use('/late', async (_exchange, next) => {
    await before?.pass();
    await next();
  });
  app.use(
    requestsInFlight({
      places: new AddressPlaces({ most: Number.POSITIVE_INFINITY, mostEach: most }),
      addressOf: (exchange) => exchange.req.header('from') ?? '',
    }),
  );
  app.get('/free', (exchange) => exchange.text('done'));
  app.get('*', async (exchange) => {
    await answer?.pass();
    return exchange.text('done');
  });
  const { url } = await start(app);
  return (from, path = '/') => ask(url, path, { headers: { from } });
}

async function start(app: Hono<ExchangeEnv>): Promise<RunningServer> {
  server = await startServer(app, { host: '127.0.0.1', port: 0, idleMs: 120_000, maxConnections: 1000 });
  return server;
}

test('the one too many is 429 at once, others are served, and a place is free with each answer', async () => {
  const answer = new Gate();
  const get = await listen(2, { answer });
  const held = [get('192.0.2.1'), get('::ffff:192.0.2.1')];
  await until('both', () => answer.arrivals === 2);
  const refused = await get('192.0.2.1', '/free');
  expect([refused.status, errorOf(refused)]).toEqual([
    429,
    expect.stringMatching(/^TOOMANYREQUESTS: more than 2 requests/),
  ]);
  expect(refused.headers['content-type']).toMatch(/^application\/json/);
  expect((await get('192.0.2.2', '/free')).status).toBe(200);
  expect(answer.isOpen).toBe(false);
  answer.open();
  expect((await Promise.all(held)).map(({ status }) => status)).toEqual([200, 200]);
  await until('the places are free', async () => (await get('192.0.2.1', '/free')).status === 200);
});

test('those of one IPv6 network count together', async () => {
  const answer = new Gate();
  const get = await listen(1, { answer });
  const held = get('2001:db8::1');
  await answer.reached;
  expect((await get('2001:db8::ffff:2', '/free')).status).toBe(429);
  expect((await get('2001:db8:0:1::1', '/free')).status).toBe(200);
  answer.open();
  await held;
});

test('one whose client has hung up counts no more, whether that was before it was counted or after', async () => {
  const gates = { before: new Gate(), answer: new Gate() };
  const get = await listen(1, gates);
  for (const [path, gate] of [
    ['/late', gates.before],
    ['/', gates.answer],
  ] as const) {
    using client = RawConnection.to(server?.url ?? '').get(path, 'From: 192.0.2.1');
    await gate.reached;
    client.socket.destroy();
    await client.closed;
    // Heard on the other side as well: connections are looked at in turn.
    await get('192.0.2.2', '/free');
    gate.open();
    await until('the place is free', async () => (await get('192.0.2.1', '/free')).status === 200, { timeoutMs: 2000 });
  }
});

test('many answers over one connection count one at a time', async () => {
  await listen(1, {});
  const connection = RawConnection.to(server?.url ?? '');
  for (let index = 0; index < 20; index++) connection.get('/free', 'From: 192.0.2.1');
  connection.get('/free', 'From: 192.0.2.1', 'Connection: close');
  expect((await connection.closed).match(/HTTP\/1\.1 200 /g)).toHaveLength(21);
});
