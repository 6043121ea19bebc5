// Answers that go on: no silence, no end that looks like another, no more at once than there may be, none past the stop.
import { describe, expect, test } from 'vitest';
import { LongAnswers } from '../../src/admin/long-answers.ts';
import type { VerifyApiOptions } from '../../src/admin/verify-api.ts';
import { abandonable } from '../../src/upstream/abandonable.ts';
import { Gate } from '../support/gate.ts';
import { LongClient } from './long-client.ts';
import { startAdmin, why } from './start-admin.ts';

type Verify = VerifyApiOptions['verify'];

const post = { method: 'POST', body: '' };
const path = '/api/v1/verify';
const progress = { type: 'progress', checkedBlobs: 1, totalBlobs: 2, checkedBytes: 10, totalBytes: 20 } as const;
const done = {
  type: 'done',
  checkedBlobs: 2,
  checkedBytes: 20,
  damaged: 0,
  missing: 0,
  unread: 0,
  dropped: 0,
} as const;

/** A verify that says what it is told to and stands at a gate, until somebody lets it go or it is told to end. */
function held(gate: Gate): Verify {
  return async ({ signal, onEvent }) => {
    onEvent(progress);
    await abandonable(gate.pass(), signal);
    onEvent(done);
  };
}

test('each line leaves at once, and silence is filled with heartbeats', async () => {
  const gate = new Gate();
  await using admin = await startAdmin({ verify: held(gate), running: new LongAnswers({ heartbeatMs: 20 }) });
  using client = new LongClient(admin.url, path, post);
  const { statusCode, headers } = await client.head();
  expect([statusCode, headers['content-type'], headers['x-accel-buffering'], headers['cache-control']]).toEqual([
    200,
    'application/x-ndjson',
    'no',
    'no-store',
  ]);
  expect(await client.json()).toEqual(progress);
  for (let count = 0; count < 3; count++) expect(await client.json()).toEqual({ type: 'heartbeat' });
  gate.open();
  const rest = await client.rest();
  expect(rest.filter((line) => (line as { type: string }).type !== 'heartbeat')).toEqual([done]);
});

test('a client that leaves ends its job, and the audit line is written then', async () => {
  const gate = new Gate();
  await using admin = await startAdmin({ verify: held(gate) });
  const client = new LongClient(admin.url, path, post);
  expect(await client.json()).toEqual(progress);
  expect(admin.audit()).toEqual([]);
  client.leave();
  await admin.audited;
  expect(admin.audit()).toMatchObject([
    { what: `POST ${path}`, status: 200, ended: 'failed: the client is gone', who: 'loopback' },
  ]);
  expect((await admin.ask(path, { method: 'POST', body: '{"repair":"x"}' })).status).toBe(400);
});

test('a job that fails says so in its last line, in one line', async () => {
  const verify: Verify = async ({ onEvent }) => {
    onEvent(progress);
    throw new Error('the disk\n  is gone: EIO', { cause: new Error('EIO') });
  };
  await using admin = await startAdmin({ verify });
  using client = new LongClient(admin.url, path, post);
  expect(await client.rest()).toEqual([progress, { type: 'error', error: 'the disk is gone: EIO' }]);
  expect(admin.audit()).toMatchObject([{ status: 200, ended: 'failed: the disk is gone: EIO' }]);
});

test('the audit line of one that came to its end says so', async () => {
  await using admin = await startAdmin();
  await admin.ask(path, post);
  expect(admin.audit()).toMatchObject([{ what: `POST ${path}`, status: 200, ended: 'done' }]);
});

describe('the stop of the mirror', () => {
  test('ends the jobs that run, waits for them, and says why in their last line', async () => {
    const gate = new Gate();
    const running = new LongAnswers();
    let isOver = false;
    const job = held(gate);
    const verify: Verify = (options) =>
      job(options).finally(async () => {
        await new Promise((resolve) => setImmediate(resolve));
        isOver = true;
      });
    await using admin = await startAdmin({ verify, running });
    using client = new LongClient(admin.url, path, post);
    await gate.reached;
    await running[Symbol.asyncDispose]();
    expect(isOver).toBe(true);
    expect(await client.rest()).toEqual([progress, { type: 'error', error: 'the mirror is stopping' }]);
  });

  test('is told to those who come after it', async () => {
    const running = new LongAnswers();
    await using admin = await startAdmin({ running });
    await running[Symbol.asyncDispose]();
    const answer = await admin.ask(path, post);
    expect([answer.status, why(answer)]).toEqual([503, 'the mirror is stopping']);
  });

  test('is no end in order for a job that is content with less', async () => {
    const gate = new Gate();
    const running = new LongAnswers();
    const verify: Verify = async (options) => held(gate)(options).catch(() => {});
    await using admin = await startAdmin({ verify, running });
    using client = new LongClient(admin.url, path, post);
    await gate.reached;
    await running[Symbol.asyncDispose]();
    expect(await client.rest()).toEqual([progress, { type: 'error', error: 'the mirror is stopping' }]);
  });
});

describe('at the same time', () => {
  const image = JSON.stringify({ images: ['redis'] });

  test.each([
    ['/verify', 1, '', 'a verify is running already; wait for its end'],
    ['/prefetch', 4, image, '4 prefetches are running already; wait for one of them to end'],
    ['/import', 2, '', '2 imports are running already; wait for one of them to end'],
  ])('%s takes %i', async (end, most, body, message) => {
    const gate = new Gate();
    const wait = () => gate.pass();
    const prefetcher = { run: wait, status: () => [] };
    await using admin = await startAdmin({ verify: wait, importArchive: () => wait().then(() => []), prefetcher });
    const asked = Array.from({ length: most }, () => admin.ask(`/api/v1${end}`, { method: 'POST', body }));
    while (gate.arrivals < most) await new Promise((resolve) => setImmediate(resolve));
    for (let count = 0; count < 2; count++) {
      const answer = await admin.ask(`/api/v1${end}`, { method: 'POST', body });
      expect([answer.status, why(answer)]).toEqual([409, message]);
    }
    gate.open();
    expect((await Promise.all(asked)).map(({ status }) => status)).toEqual(Array(most).fill(200));
    expect((await admin.ask(`/api/v1${end}`, { method: 'POST', body })).status).toBe(200);
  });
});

test('a reader that is behind is told the last word of each kind, and everything that has only one', async () => {
  const damaged = (sizeBytes: number) =>
    ({ type: 'damaged', digest: 'x'.repeat(1000), sizeBytes, isDropped: false }) as const;
  const verify: Verify = async ({ onEvent }) => {
    for (let count = 1; count <= 5000; count++) {
      onEvent({ ...progress, checkedBlobs: count });
      onEvent(damaged(count));
    }
    onEvent(done);
  };
  await using admin = await startAdmin({ verify });
  const { body } = await admin.ask(path, post);
  const lines = body
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines.filter(({ type }) => type === 'damaged').map(({ sizeBytes }) => sizeBytes)).toEqual(
    Array.from({ length: 5000 }, (_, place) => place + 1),
  );
  const told = lines.filter(({ type }) => type === 'progress').map(({ checkedBlobs }) => checkedBlobs);
  expect([told.at(-1), told.length < 1000]).toEqual([5000, true]);
  // In the order of the last words.
  expect(lines.slice(-3).map(({ type }) => type)).toEqual(['progress', 'damaged', 'done']);
});

test('a reader that is too far behind is cut', async () => {
  const gate = new Gate();
  const verify: Verify = async ({ signal, onEvent }) => {
    for (let count = 0; count < 12_000; count++)
      onEvent({ type: 'missing', digest: 'x'.repeat(100), sizeBytes: count, isDropped: false });
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    void gate.pass();
  };
  await using admin = await startAdmin({ verify });
  expect((await admin.ask(path, post)).isComplete).toBe(false);
  await gate.reached;
});
