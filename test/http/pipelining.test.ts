// Several requests sent at once over one connection: answered in order, and only the first in line holds anything.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect, test, vi } from 'vitest';
import { digestFor, filled } from '../mirror/start-mirror.ts';
import { openFiles } from '../support/open-files.ts';
import { holdsAt, type ServedContent } from '../support/served-content.ts';
import { until } from '../support/until.ts';
import { type Scene, scene } from './start-registry.ts';

const name = 'library/app';
/** More than the kernel takes for a client that reads nothing. */
const large = 8 * 1024 * 1024;

function open({ registry }: Scene): Socket {
  const { hostname, port } = new URL(registry.url);
  return connect(Number(port), hostname);
}

function gets(blobs: readonly ServedContent[]): string {
  return blobs.map(({ digest }) => `GET /v2/${name}/blobs/${digest} HTTP/1.1\r\nHost: mirror\r\n\r\n`).join('');
}

interface Parsed {
  readonly status: number;
  readonly digest: string;
  readonly body: Buffer;
}

/** Cuts what a connection brought into its answers, each as long as its head says. */
function answersIn(bytes: Buffer): Parsed[] {
  const answers: Parsed[] = [];
  for (let at = 0; at < bytes.length; ) {
    const bodyAt = bytes.indexOf('\r\n\r\n', at) + 4;
    const head = bytes.toString('latin1', at, bodyAt).toLowerCase();
    const field = (pattern: RegExp) => pattern.exec(head)?.[1] ?? '';
    at = bodyAt + Number(field(/\r\ncontent-length: (\d+)/));
    answers.push({
      status: Number(field(/^http\/1\.1 (\d+)/)),
      digest: field(/\r\ndocker-content-digest: (\S+)/),
      body: bytes.subarray(bodyAt, at),
    });
  }
  return answers;
}

async function largeStoredBlob(at: Scene): Promise<ServedContent> {
  const blob = await at.upstream.addGeneratedBlob(name, { size: large, seed: 1 });
  expect((await at.ask(`/v2/${name}/blobs/${blob.digest}`)).isComplete).toBe(true);
  await filled(at.registry.mirror, digestFor(blob));
  await until('no open files', () => openFiles(at.registry.mirror.dir).length === 0);
  return blob;
}

test.each(['cold', 'stored'])(
  'ten %s blobs come in the order they were asked for, each with its bytes',
  async (how) => {
    await using at = await scene();
    const seeds = Array.from({ length: 10 }, (_, seed) => ({ size: 300_000 - seed * 30_000, seed }));
    const blobs = await Promise.all(seeds.map((seed) => at.upstream.addGeneratedBlob(name, seed)));
    if (how === 'stored') {
      await Promise.all(blobs.map(({ digest }) => at.ask(`/v2/${name}/blobs/${digest}`)));
      await Promise.all(blobs.map((blob) => filled(at.registry.mirror, digestFor(blob))));
    }
    const socket = open(at);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const closed = once(socket, 'close');
    socket.write(`${gets(blobs)}GET /v2/ HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n`);
    await closed;
    const answers = answersIn(Buffer.concat(chunks));
    expect(answers.map(({ status, digest }) => [status, digest])).toEqual([
      ...blobs.map(({ digest }) => [200, digest]),
      [200, ''],
    ]);
    for (const [index, blob] of blobs.entries()) {
      const { body } = answers[index] ?? { body: Buffer.alloc(0) };
      expect(body).toHaveLength(blob.size);
      expect(holdsAt(blob, 0, body)).toBe(true);
    }
    await until('no open files', () => openFiles(at.registry.mirror.dir).length === 0);
  },
);

test('ten large blobs for a client that reads nothing hold one file, and none once it hangs up', async () => {
  await using at = await scene();
  const blob = await largeStoredBlob(at);
  const opened = vi.spyOn(at.registry.mirror.mirror, 'openBlob');
  const lines = at.registry.mirror.logLines.length;
  const socket = open(at);
  socket.write(gets(Array.from({ length: 10 }, () => blob)));
  await once(socket, 'readable');
  // The ten came in one piece: what an answer to somebody else leaves time for, they had time for.
  expect((await at.ask('/v2/')).status).toBe(200);
  expect(openFiles(at.registry.mirror.dir)).toHaveLength(1);
  expect(opened).toHaveBeenCalledTimes(1);
  socket.destroy();
  await until('no open files', () => openFiles(at.registry.mirror.dir).length === 0);
  expect((await at.ask(`/v2/${name}/blobs/${blob.digest}`)).isComplete).toBe(true);
  expect(opened).toHaveBeenCalledTimes(2);
  const logged = await until('the lines', () => at.registry.mirror.logLines.length >= lines + 3 && lines + 3);
  expect(at.registry.mirror.logLines.slice(lines, logged).every(({ level }) => level === 30)).toBe(true);
});

test('a client that takes its ten large blobs gets one file opened after the other', async () => {
  await using at = await scene();
  const blob = await largeStoredBlob(at);
  let most = 0;
  let received = 0;
  const socket = open(at);
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
    most = Math.max(most, openFiles(at.registry.mirror.dir).length);
  });
  const closed = once(socket, 'close');
  socket.write(gets(Array.from({ length: 10 }, () => blob)));
  socket.write('GET /v2/ HTTP/1.1\r\nHost: mirror\r\nConnection: close\r\n\r\n');
  await closed;
  expect(received).toBeGreaterThan(10 * large);
  // The file of an answer that has just ended may still be closing.
  expect(most).toBeLessThanOrEqual(2);
  await until('no open files', () => openFiles(at.registry.mirror.dir).length === 0);
});
