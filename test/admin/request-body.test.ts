// Bodies of requests: bounded in bytes and time, and never a reason to lose the answer.
import { describe, expect, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { LongClient } from './long-client.ts';
import { startAdmin } from './start-admin.ts';

const path = '/api/v1/verify';
const head = `POST ${path} HTTP/1.1\r\nHost: localhost\r\n`;

describe('a JSON body', () => {
  test.each([
    ['', 200],
    [' \n', 200],
    ['{}', 200],
    ['{"repair":true}', 200],
    [`{"repair":true}${' '.repeat(1024 * 1024 - 15)}`, 200],
    [`{"repair":true}${' '.repeat(1024 * 1024 - 14)}`, 400],
    ['{"repair":1}', 400],
    ['{"repair":true', 400],
    ['\xff', 400],
    ['{"repaired":true}', 400],
  ])('%# is answered as it should be', async (body, status) => {
    await using admin = await startAdmin();
    for (const headers of [
      {},
      { 'content-type': 'application/x-www-form-urlencoded' },
      { 'content-length': `${Buffer.byteLength(body)}` },
    ])
      expect((await admin.ask(path, { method: 'POST', body, headers })).status).toBe(status);
  });

  test('without an end is refused at its bound, whatever is said of its length', async () => {
    await using admin = await startAdmin();
    using client = new LongClient(admin.url, path, { method: 'POST' });
    const chunk = Buffer.alloc(64 * 1024, ' ');
    for (let count = 0; count < 17; count++) await client.say(chunk);
    expect([(await client.head()).statusCode, await client.json()]).toEqual([
      400,
      { error: 'the body is above 1 MiB' },
    ]);
  });

  test('that ends early is no failure of ours', async () => {
    await using admin = await startAdmin();
    const client = RawClient.to(admin.url).say(`${head}Content-Length: 10\r\n\r\n{}`);
    client.finish();
    await client.untilClosed();
    await admin.audited;
    expect(admin.audit()).toMatchObject([{ status: 400 }]);
    expect(admin.logLines.filter(({ audit }) => audit !== true)).toEqual([]);
  });

  test('is asked for where the client waits for that', async () => {
    await using admin = await startAdmin();
    using client = RawClient.to(admin.url);
    client.say(`${head}Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`);
    expect(String(await client.piece())).toBe('HTTP/1.1 100 Continue\r\n\r\n');
    client.say('{}');
    expect(String(await client.untilClosed())).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });
});

test('no body of a request that takes none is waited for', async () => {
  await using admin = await startAdmin();
  for (const [method, target] of [
    ['GET', '/api/v1/upstreams'],
    ['PUT', '/api/v1/images/redis/pin'],
    ['DELETE', '/api/v1/images/redis'],
    ['POST', '/api/v1/reload'],
  ])
    expect(
      await admin.statusOf(`${method} ${target} HTTP/1.1`, 'Host: localhost', 'Content-Length: 1000'),
    ).toBeLessThan(300);
});
