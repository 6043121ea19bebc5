// Answers ahead of the app on real connections: kept alive, pipelined, old-fashioned, hung up on, and while the server stops.
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { Gate } from '../support/gate.ts';
import { openFiles } from '../support/open-files.ts';
import { until } from '../support/until.ts';
import { blob, type HotScene, hotScene, manifest } from './hot-scene.ts';
import { RawConnection } from './raw-connection.ts';

let at: HotScene;
let connection: RawConnection;

beforeEach(async () => {
  at = await hotScene({ idleMs: 2000 });
  connection = RawConnection.to(at.hot.url);
});
afterEach(async () => {
  connection[Symbol.dispose]();
  await at[Symbol.asyncDispose]();
});

const bodyOf = () => Buffer.concat([...at.image.manifest.content.read(0, at.image.manifest.content.size)]).toString();

test('many follow each other on one connection, with a body and without', async () => {
  const before = at.hot.answeredBefore;
  for (const index of Array.from({ length: 20 }, (_, at) => at)) {
    connection.say(`HEAD ${manifest('latest')} HTTP/1.1\r\nHost: mirror\r\n\r\n`);
    await until('its head', () => heads() === 3 * index + 1);
    connection.get(manifest('latest'), 'If-None-Match: *');
    await until('its head', () => heads() === 3 * index + 2);
    connection.get(manifest('latest'));
    await until('its body', () => connection.heard.endsWith(bodyOf()));
  }
  expect(at.hot.answeredBefore).toBe(before + 60);
  expect(connection.heard.split(bodyOf())).toHaveLength(21);
  expect(connection.heard.match(/HTTP\/1\.1 304 /g)).toHaveLength(20);
});

const heads = () => connection.heard.split('HTTP/1.1 ').length - 1;

test('none overtakes an answer that still runs on its connection', async () => {
  const slow = await at.upstream.addGeneratedBlob('library/app', { size: 1_000_000, seed: 2 });
  const gate = new Gate();
  at.upstream.faults.add({ kind: 'blob', path: slow.digest }, { holdBody: { after: 1000, gate } });
  const before = at.hot.answeredBefore;
  connection.get(blob(slow.digest)).get(manifest('latest')).get(blob(at.small.digest), 'Connection: close');
  await gate.reached;
  // What an answer to somebody else leaves time for, they had time for.
  await at.hot.ask(manifest('latest'));
  expect(at.hot.answeredBefore).toBe(before + 1);
  expect(connection.heard).not.toContain(at.image.digest);
  gate.open();
  const heard = await connection.closed;
  const digests = [...heard.matchAll(/docker-content-digest: (\S+)/g)].map(([, digest]) => digest);
  expect(digests).toEqual([slow.digest, at.image.digest, at.small.digest]);
  expect(heard.endsWith('a small layer')).toBe(true);
});

test('those that are sent at once are answered in their order', async () => {
  for (const _ of Array.from({ length: 10 })) connection.get(manifest('latest')).get(blob(at.large.digest));
  connection.get(blob(at.small.digest), 'Connection: close');
  const heard = await connection.closed;
  expect(heard.match(/HTTP\/1\.1 200 /g)).toHaveLength(21);
  const types = [...heard.matchAll(/docker-content-digest: (\S+)/g)].map(([, digest]) => digest);
  expect(types).toEqual([
    ...Array.from({ length: 10 }, () => [at.image.digest, at.large.digest]).flat(),
    at.small.digest,
  ]);
});

describe.each(['1.0', '1.1'])('HTTP/%s', (version) => {
  test.each(['', 'Connection: close\r\n', 'Connection: keep-alive\r\n'])(
    'is spoken as the app speaks it: %j',
    async (field) => {
      const host = version === '1.0' ? '' : 'Host: mirror\r\n';
      const [hot, ordinary] = [connection, RawConnection.to(at.ordinary.url)];
      const before = at.hot.answeredBefore;
      for (const { say } of [hot, ordinary].map((each) => ({ say: each.say.bind(each) })))
        say(`GET ${manifest('latest')} HTTP/${version}\r\n${host}${field}\r\n`);
      const isKept = version === '1.0' ? field.includes('keep') : !field.includes('close');
      for (const each of [hot, ordinary]) {
        await each.hears(bodyOf());
        if (!isKept) await each.closed;
      }
      expect(linesOf(hot)).toEqual(linesOf(ordinary));
      expect(at.hot.answeredBefore).toBe(before + 1);
      ordinary[Symbol.dispose]();
    },
  );
});

/** Of the head, in no order. */
function linesOf({ heard }: RawConnection): string[] {
  return heard
    .slice(0, heard.indexOf('\r\n\r\n'))
    .split('\r\n')
    .filter((line) => !/^date:/i.test(line))
    .sort();
}

test('a client that hangs up in its large blob is logged, and leaves no file open', async () => {
  const large = await at.upstream.addGeneratedBlob('library/app', { size: 32 * 1024 * 1024, seed: 3 });
  const path = blob(large.digest);
  for (const _ of [1, 2]) {
    await at.hot.ask(path);
    await at.hot.mirror.fills.find(large.digest as Digest)?.ended;
  }
  const lines = () => at.hot.mirror.logLines.filter(({ msg, digest }) => msg === 'request' && digest === large.digest);
  await until('their lines', () => lines().length === 2);
  const before = at.hot.answeredBefore;
  connection.socket.pause();
  connection.get(path);
  await once(connection.socket, 'readable');
  connection.socket.destroy();
  const line = await until('its line', () => lines()[2]);
  expect(at.hot.answeredBefore).toBe(before + 1);
  expect(line).toMatchObject({ status: 200, complete: false, outcome: 'hit' });
  expect(line.bytes).toBeLessThan(large.size);
  await until('no open files', () => openFiles(at.hot.mirror.dir).length === 0);
  expect((await at.hot.ask(path)).isComplete).toBe(true);
});

test('an answer without a body keeps no file open', async () => {
  const path = blob(at.large.digest);
  const before = at.hot.answeredBefore;
  await at.hot.ask(path, { method: 'HEAD' });
  await at.hot.ask(path, { headers: { 'if-none-match': '*' } });
  await at.hot.ask(path, { headers: { range: 'bytes=999999999-' } });
  expect(at.hot.answeredBefore).toBe(before + 3);
  await at.hot.mirror.store.remove(at.large.digest as Digest);
  await until('no open files', () => openFiles(at.hot.mirror.dir).length === 0, { timeoutMs: 3000 });
});

test('a client that hangs up ends what its answer waits for', async () => {
  const waiting = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  at.hot.mirror.store.openNow = (_digest, size) => ({
    size,
    fd: undefined,
    waitFor: (_position, signal) => {
      waiting.resolve();
      return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    },
    read: async () => 0,
    close: async () => closed.resolve(),
  });
  connection.get(blob(at.large.digest));
  await waiting.promise;
  connection.socket.destroy();
  await closed.promise;
});

test('a server that stops lets it finish and closes its connection', async () => {
  await connection.get(manifest('latest')).hears(bodyOf());
  const stopped = at.hot.server.stop(30_000);
  await Promise.all([stopped, connection.closed]);
  expect(at.hot.answeredBefore).toBeGreaterThan(0);
});
