// What fails ahead of the app: the request is the app's then, and nothing is held for it any more.
import { ServerResponse } from 'node:http';
import { Hono } from 'hono';
import { afterEach, expect, test, vi } from 'vitest';
import type { ExchangeEnv } from '../../src/http/exchange.ts';
import { HotAnswers } from '../../src/http/hot-answers.ts';
import { startServer } from '../../src/http/server.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { openFiles } from '../support/open-files.ts';
import { until } from '../support/until.ts';
import { blob, type HotScene, hotScene, manifest } from './hot-scene.ts';
import { ask } from './start-registry.ts';

let at: HotScene;
const things = [
  ['a manifest', () => manifest('latest')],
  ['a large blob', () => blob(at.large.digest)],
] as const;

afterEach(async () => {
  vi.restoreAllMocks();
  await at?.[Symbol.asyncDispose]();
});

/** Its one place is free again, and nothing is open once the file is gone. */
async function expectNothingHeld(): Promise<void> {
  vi.restoreAllMocks();
  const before = at.hot.answeredBefore;
  expect((await at.hot.ask(blob(at.large.digest))).status).toBe(200);
  expect(at.hot.answeredBefore).toBe(before + 1);
  await at.hot.mirror.store.remove(at.large.digest as Digest);
  await until('no open files', () => openFiles(at.hot.mirror.dir).length === 0, { timeoutMs: 3000 });
}

test.each(things)('the index fails while %s is counted as used: the app says so', async (_what, path) => {
  at = await hotScene({ mostInFlight: 1 });
  vi.spyOn(at.hot.mirror.records, 'touch').mockImplementation(() => {
    throw new Error('disk I/O error');
  });
  expect((await at.hot.ask(path())).status).toBe(500);
  await expectNothingHeld();
});

test.each(things)('the head of %s cannot be written: the app writes its own', async (_what, path) => {
  at = await hotScene({ mostInFlight: 1 });
  const before = at.hot.answeredBefore;
  vi.spyOn(ServerResponse.prototype, 'writeHead').mockImplementationOnce(() => {
    throw new Error('not a header field');
  });
  const { status, isComplete } = await at.hot.ask(path());
  expect([at.hot.answeredBefore, status, isComplete]).toEqual([before, 200, true]);
  await expectNothingHeld();
});

test.each(things)('a connection that is cut before %s can begin holds nothing', async (_what, path) => {
  at = await hotScene({ mostInFlight: 1 });
  const { answer } = HotAnswers.prototype;
  vi.spyOn(HotAnswers.prototype, 'answer').mockImplementationOnce(function (this: HotAnswers, incoming, outgoing) {
    outgoing.destroy();
    return answer.call(this, incoming, outgoing);
  });
  await expect(at.hot.ask(path())).rejects.toThrow();
  await expectNothingHeld();
});

test.each([
  ['before it wrote anything is the app’s', false],
  ['in the middle is cut', true],
])('a request at which it fails %s, and the server goes on', async (_where, isBegun) => {
  let heard = 0;
  const app = new Hono<ExchangeEnv>().get('*', (exchange) => {
    heard++;
    return exchange.text('of the app');
  });
  const limits = { host: '127.0.0.1', port: 0, idleMs: 120_000, maxConnections: 1000 };
  const server = await startServer(app, {
    ...limits,
    before: (_incoming, outgoing) => {
      if (isBegun) outgoing.writeHead(200, { 'content-length': '9' }).write('a');
      throw new Error('a fault');
    },
  });
  for (const _ of [1, 2]) {
    const answer = await ask(server.url, '/').catch(() => undefined);
    expect(answer?.isComplete ?? false).toBe(!isBegun);
    if (!isBegun) expect(answer?.body.toString()).toBe('of the app');
  }
  expect(heard).toBe(isBegun ? 0 : 2);
  await server.stop(0);
});
