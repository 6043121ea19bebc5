// Server-sent events over a connection: their form, who is let in, and who is not waited for.
import { setImmediate as othersTurn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { LongAnswers } from '../../src/admin/long-answers.ts';
import { sendRaw } from '../http/start-registry.ts';
import { RawClient } from '../support/raw-client.ts';
import { fill } from './fake-mirror.ts';
import { LongClient } from './long-client.ts';
import { startAdmin, why } from './start-admin.ts';

test('begins with how long to wait before coming again, and has no ids', async () => {
  await using admin = await startAdmin();
  using client = LongClient.events(admin.url);
  const { headers, statusCode } = await client.head();
  expect([statusCode, headers['content-type'], headers['cache-control'], headers['content-length']]).toEqual([
    200,
    'text/event-stream',
    'no-store',
    undefined,
  ]);
  const lines = [];
  for (let count = 0; count < 7; count++) lines.push((await client.line())?.replace(/\{.*/, '{'));
  expect(lines).toEqual(['retry: 2000', '', 'event: fills', 'data: {', '', 'event: status', 'data: {']);
});

test('says what the other resources say', async () => {
  await using admin = await startAdmin();
  using client = LongClient.events(admin.url);
  expect(await client.event()).toEqual(['fills', { fills: [fill] }]);
  const status = JSON.parse((await admin.ask('/api/v1/status')).body.toString());
  expect(await client.event()).toEqual(['status', status]);
});

test('ends in order with the mirror, and with its reader', async () => {
  const running = new LongAnswers();
  await using admin = await startAdmin({ running });
  using one = LongClient.events(admin.url);
  const two = LongClient.events(admin.url);
  await one.event();
  await two.event();
  two.leave();
  await running[Symbol.asyncDispose]();
  while ((await one.line()) !== undefined);
  expect((await one.head()).complete).toBe(true);
});

test('has a comment where nothing else is said', async () => {
  const running = new LongAnswers({ heartbeatMs: 20 });
  const disk = { problem: undefined, space: () => new Promise<never>(() => {}) };
  await using admin = await startAdmin({ running, disk, fills: { status: () => [] } });
  using client = LongClient.events(admin.url);
  const lines = [];
  for (let count = 0; count < 5; count++) lines.push(await client.line());
  expect(lines).toEqual(['retry: 2000', '', ': heartbeat', '', ': heartbeat']);
});

test('is for fifty at once, and for the next when one has left', async () => {
  await using admin = await startAdmin();
  const all = Array.from({ length: 50 }, () => LongClient.events(admin.url));
  await Promise.all(all.map((client) => client.event()));
  const answer = await admin.ask('/api/v1/events');
  expect([answer.status, why(answer)]).toEqual([409, '50 event streams are open already; close one of them']);
  all.shift()?.leave();
  let next = new LongClient(admin.url, '/api/v1/events');
  while ((await next.head()).statusCode !== 200) {
    next.leave();
    next = new LongClient(admin.url, '/api/v1/events');
  }
  for (const client of [next, ...all]) client.leave();
});

test('a reader that takes nothing holds no more than the last word of each kind', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const text = 'x'.repeat(1024 * 1024);
  let looks = 0;
  const sources = { status: () => [{ ...fill, repository: `${++looks} ${text}` }] };
  await using admin = await startAdmin({ fills: sources });
  using silent = RawClient.to(admin.url).say('GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  while (looks === 0) await othersTurn();
  // Far more than the kernel keeps for both sides.
  for (let second = 0; second < 50; second++) {
    vi.advanceTimersByTime(1000);
    await othersTurn();
  }
  const last = looks;
  vi.useRealTimers();
  let heard = '';
  while (!heard.includes(`"${last} x`)) heard += (await silent.piece())?.toString() ?? '';
  expect([...heard.matchAll(/"repository":"\d+ x/g)].length).toBeLessThan(40);
});

test('asked for its head alone ends at once, and the connection goes on', async () => {
  await using admin = await startAdmin();
  const head = 'HEAD /api/v1/events HTTP/1.1\r\nHost: localhost\r\n';
  const answers = await sendRaw(admin.url, `${head}\r\n${head}Connection: close\r\n\r\n`);
  const statuses = [...answers.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status);
  expect([statuses, answers.match(/^content-type: .*$/gim)]).toEqual([
    ['200', '200'],
    Array(2).fill('content-type: text/event-stream'),
  ]);
  expect(answers).not.toMatch(/retry|data/);
});
