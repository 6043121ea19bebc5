// Clients that speak HTTP in odd ways, or stop speaking it: each gets whole answers or a short one, never another's words.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { memoryMebibytes } from '../support/process-resources.ts';
import { RawClient, requestText } from '../support/raw-client.ts';
import type { ServedContent } from '../support/served-content.ts';
import { type Known, lasting, repository, ServingScene } from '../support/serving-scene.ts';
import { tell } from '../support/tell.ts';
import { until } from '../support/until.ts';

const mebibyte = 1024 * 1024;
const hot = ['manifest by tag', 'manifest by digest', 'manifest unchanged', 'blob of 3000', 'blob of 300000'];
let scene: ServingScene;
/** More than the kernel takes for a client that reads nothing. */
let large: ServedContent;
let largeBlob: Known;

beforeAll(async () => {
  scene = await ServingScene.start();
  large = await scene.upstream.addGeneratedBlob(repository, { size: 64 * mebibyte, seed: 800 });
  largeBlob = { name: 'large', path: `/v2/${repository}/blobs/${large.digest}`, content: large, status: 200 };
  await scene.alone(largeBlob);
  await until('it is stored', async () => (await scene.alone(largeBlob)).headers['cache-status']?.endsWith(' hit'));
});

afterAll(() => scene?.[Symbol.asyncDispose]());

function known(name: string): Known {
  const found = name === 'large' ? largeBlob : scene.known.find((one) => one.name === name);
  if (!found) throw new Error(`there is no request called ${name}`);
  return found;
}

async function expectOthersServed(): Promise<void> {
  for (const name of hot) await scene.alone(known(name));
}

describe.each([...hot, 'large', 'HEAD manifest by tag', 'blob of 300000, bytes=150000-', 'no such tag'])(
  '%s',
  { timeout: 30_000 },
  (name) => {
    test('over HTTP/1.0 ends the connection, or keeps it for who asks', async () => {
      const one = known(name);
      const alone = lasting(await scene.alone(one));
      const text = requestText(one).replace('HTTP/1.1\r\nHost: mirror\r\n', 'HTTP/1.0\r\n');
      using ending = RawClient.to(scene.mirror.url);
      expect(lasting(await ending.say(text).answer(one))).toEqual(alone);
      expect(await ending.untilClosed()).toHaveLength(0);
      // Without a length there is no other end to an answer.
      if (alone.status === 304) return;
      using kept = RawClient.to(scene.mirror.url);
      const keeping = text.replace('HTTP/1.0\r\n', 'HTTP/1.0\r\nConnection: keep-alive\r\n');
      for (let round = 0; round < 3; round++) expect(lasting(await kept.say(keeping).answer(one))).toEqual(alone);
    });

    test('with Expect: 100-continue is answered without an invitation', async () => {
      const one = known(name);
      const alone = lasting(await scene.alone(one));
      using client = RawClient.to(scene.mirror.url);
      client.ask({ ...one, headers: { ...one.headers, Expect: '100-continue' } });
      expect(lasting(await client.answer(one))).toEqual(alone);
      // What was not invited may still come: nothing behind it could be told from it.
      expect(await client.untilClosed()).toHaveLength(0);
    });

    test.each([
      ['a length', (body: string) => `Content-Length: ${body.length}\r\n\r\n${body}`],
      [
        'chunks',
        (body: string) => `Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      ],
      ['half of its length', (body: string) => `Content-Length: ${2 * body.length}\r\n\r\n${body}`],
    ])('with a body of %s is answered once, whatever the body says', async (_, withBody) => {
      const one = known(name);
      const alone = lasting(await scene.alone(one));
      using client = RawClient.to(scene.mirror.url);
      client.say(requestText(one).replace(/\r\n$/, withBody(requestText(known('manifest by tag')))));
      expect(lasting(await client.answer(one))).toEqual(alone);
      expect((await client.untilClosed()).toString()).toBe('');
    });

    test('asked for by a client that then says no more is right as far as it comes, and the connection ends', async () => {
      const one = known(name);
      using client = RawClient.to(scene.mirror.url);
      client.ask(one).finish();
      const answer = await client.answer(one).catch(() => undefined);
      if (answer) expect({ name, ...answer }).toMatchObject({ name, status: one.status, isTrue: true });
      expect(await client.untilClosed()).toHaveLength(0);
      await expectOthersServed();
    });
  },
);

describe('what is no request', { timeout: 30_000 }, () => {
  const nonsense = ['NONSENSE\r\n\r\n', 'GET /\u0000 HTTP/1.1\r\n\r\n', 'GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n'];

  test.each(nonsense)('ends the connection, and is never answered inside a body: %j', async (text) => {
    using client = RawClient.to(scene.mirror.url);
    client.ask(largeBlob);
    const body = await client.begin(largeBlob);
    expect(await body.take(mebibyte)).toBe(true);
    client.say(text);
    const answer = await body.rest();
    expect(answer).toMatchObject({ status: 200, isTrue: true });
    const after = (await client.untilClosed()).toString();
    if (answer.isComplete) expect(after).toMatch(/^(HTTP\/1\.1 400 |$)/);
    else expect(after).toBe('');
    await expectOthersServed();
  });

  test.each(nonsense)('spoils no answer that was asked for in the same breath: %j', async (text) => {
    for (const name of ['manifest by tag', 'blob of 65536', 'blob of 3145728']) {
      using client = RawClient.to(scene.mirror.url);
      client.say(requestText(known(name)) + text);
      const first = await client.answer(known(name)).catch(() => undefined);
      const after = (await client.untilClosed()).toString('latin1');
      expect(after).toMatch(first?.isComplete || first?.status === 400 ? /^(HTTP\/1\.1 400 |$)/ : /^$/);
      if (first?.status === 200) expect(first.isTrue).toBe(true);
      else expect([undefined, 400]).toContain(first?.status);
    }
    await expectOthersServed();
  });
});

describe('clients that never read', { timeout: 60_000 }, () => {
  test('cost next to nothing, and others are served', async () => {
    await expectOthersServed();
    const before = memoryMebibytes(scene.mirror.pid, 'now');
    const clients = Array.from({ length: 100 }, () => RawClient.to(scene.mirror.url).ask(largeBlob, largeBlob));
    // The head is read, and of the body what came with it.
    const bodies = await Promise.all(clients.map((client) => client.begin(largeBlob)));
    for (let round = 0; round < 5; round++) await expectOthersServed();
    const grown = memoryMebibytes(scene.mirror.pid, 'now') - before;
    tell({ 'MiB for 100 that never read': grown });
    expect(grown).toBeLessThan(120);
    expect(await bodies[0]?.rest()).toMatchObject({ received: large.size, isTrue: true, isComplete: true });
    for (const client of clients) client.hangUp();
    await expectOthersServed();
  });
});
