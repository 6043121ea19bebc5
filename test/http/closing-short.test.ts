// After the first byte of a body the only error is to close short of Content-Length, read here from the raw connection.
import { connect } from 'node:net';
import { describe, expect, test, vi } from 'vitest';
import { digestFor, filled } from '../mirror/start-mirror.ts';
import { BlobClient } from '../support/blob-client.ts';
import type { FaultEffect } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { openFiles } from '../support/open-files.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import { until } from '../support/until.ts';
import { type Scene, scene, sendRaw } from './start-registry.ts';

vi.mock('node:timers/promises', () => import('../mirror/no-pauses.ts'));

const name = 'library/app';
const size = 200_000;

async function sceneWithBlob(): Promise<Scene & { readonly blob: ServedContent; readonly path: string }> {
  const at = await scene();
  const blob = await at.upstream.addGeneratedBlob(name, { size, seed: 1 });
  return { ...at, blob, path: `/v2/${name}/blobs/${blob.digest}` };
}

function get(at: Scene, path: string, headers = ''): Promise<string> {
  return sendRaw(at.registry.url, `GET ${path} HTTP/1.1\r\nHost: mirror\r\n${headers}\r\n`);
}

describe('a body that goes wrong', () => {
  test.each<[string, FaultEffect]>([
    ['has a wrong byte', { flipByteAt: 1000 }],
    ['has a wrong last byte', { flipByteAt: size - 1 }],
    ['is dropped by an upstream that is never heard of again', { dropAfter: 150_000 }],
    ['is reset by an upstream that is never heard of again', { resetAfter: 150_000 }],
  ])('because it %s ends the connection, short, without another word', async (_what, effect) => {
    await using at = await sceneWithBlob();
    const gate = new Gate();
    if (effect.flipByteAt === undefined) at.upstream.faults.add({ kind: 'blob' }, { hangUp: true });
    else at.upstream.faults.add({ kind: 'blob' }, effect);
    at.upstream.faults.add(
      { kind: 'blob', times: 1 },
      { ...effect, hangUp: false, holdBody: { after: 100_000, gate } },
    );
    const answers = [get(at, at.path), get(at, at.path, 'Range: bytes=50000-\r\n')];
    await gate.reached;
    gate.open();
    const true_ = Buffer.concat([...at.blob.read(0, size)]);
    for (const [index, answer] of (await Promise.all(answers)).entries()) {
      const split = answer.indexOf('\r\n\r\n');
      const [head, body] = [answer.slice(0, split), Buffer.from(answer.slice(split + 4), 'latin1')];
      const start = index * 50_000;
      expect(head).toMatch(index === 0 ? /^HTTP\/1\.1 200 / : /^HTTP\/1\.1 206 /);
      expect(head.toLowerCase()).toContain(`content-length: ${size - start}`);
      expect(body.length).toBeLessThan(size - start);
      if (effect.flipByteAt === undefined) expect(body.equals(true_.subarray(start, start + body.length))).toBe(true);
      expect(answer.slice(split)).not.toMatch(/errors|HTTP\/1\.1/);
    }
  });

  test('is whole for the next client, once the upstream is mended', async () => {
    await using at = await sceneWithBlob();
    at.upstream.faults.add({ kind: 'blob', times: 1 }, { flipByteAt: 0 });
    expect((await at.ask(at.path)).isComplete).toBe(false);
    await filled(at.registry.mirror, digestFor(at.blob));
    const { isComplete, body } = await at.ask(at.path);
    expect([isComplete, contentOf(body).digest]).toEqual([true, at.blob.digest]);
  });

  test('is 502 from the start when it has no bytes at all, where some belong', async () => {
    await using at = await sceneWithBlob();
    at.upstream.faults.add({ kind: 'blob' }, { status: 200, body: '' });
    expect((await at.ask(at.path)).status).toBe(502);
    expect(at.registry.mirror.logLines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  });

  test('is an error of the client’s request to nobody but the client', async () => {
    await using at = await sceneWithBlob();
    at.upstream.faults.add({ kind: 'blob' }, { hangUp: true });
    at.upstream.faults.add({ kind: 'blob', times: 1 }, { hangUp: false, dropAfter: 100_000 });
    await at.ask(at.path);
    const line = await until('the line', () => at.registry.mirror.logLines.find(({ msg }) => msg === 'request'));
    expect(line).toMatchObject({ level: 30, status: 200, complete: false });
    expect(at.registry.mirror.logLines.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  });
});

describe('a client that hangs up in the middle', () => {
  test('leaves no open file and no error, and the transfer goes on', async () => {
    await using at = await sceneWithBlob();
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: 100_000, gate } });
    const clients = Array.from(
      { length: 5 },
      () => new BlobClient(`${at.registry.url}${at.path}`, { content: at.blob }),
    );
    await Promise.all(clients.map((client) => client.firstByte));
    expect(openFiles(at.registry.mirror.dir).length).toBeGreaterThan(0);
    for (const client of clients) client.hangUp();
    const { logLines } = at.registry.mirror;
    await until('five lines', () => logLines.length === 5);
    for (const line of logLines) expect(line).toMatchObject({ level: 30, msg: 'request', complete: false });
    const fill = filled(at.registry.mirror, digestFor(at.blob));
    gate.open();
    expect(await fill).toBeUndefined();
    await until('no open files', () => openFiles(at.registry.mirror.dir).length === 0);
    expect(at.upstream.count()).toBe(1);
    expect((await at.ask(at.path)).headers['cache-status']).toBe('stillwater; hit');
  });

  test('of a stored blob leaves no open file either', async () => {
    await using at = await scene();
    const blob = await at.upstream.addGeneratedBlob(name, { size: 30_000_000, seed: 2 });
    const url = `${at.registry.url}/v2/${name}/blobs/${blob.digest}`;
    await new BlobClient(url, { content: blob }).done;
    await filled(at.registry.mirror, digestFor(blob));
    const client = new BlobClient(url, { content: blob, bytesPerSecond: 1 });
    await client.firstByte;
    expect(openFiles(at.registry.mirror.dir)).toHaveLength(1);
    client.hangUp();
    await until('no open files', () => openFiles(at.registry.mirror.dir).length === 0);
    expect(at.registry.mirror.logLines.filter(({ level }) => Number(level) > 30)).toEqual([]);
  });

  test('before the answer begins is logged as 499 and asks nothing more of the upstream', async () => {
    await using at = await sceneWithBlob();
    const gate = new Gate();
    at.upstream.faults.add({ kind: 'blob' }, { holdHeaders: gate });
    const client = new BlobClient(`${at.registry.url}${at.path}`, { content: at.blob });
    await gate.reached;
    client.hangUp();
    const { logLines } = at.registry.mirror;
    const line = await until('the line', () => logLines.find(({ msg }) => msg === 'request'));
    expect(line).toMatchObject({ level: 30, status: 499, complete: false });
    expect(line.error).toBeUndefined();
    gate.open();
    await filled(at.registry.mirror, digestFor(at.blob));
    expect((await at.ask(at.path)).headers['cache-status']).toBe('stillwater; hit');
    expect(at.upstream.count()).toBe(1);
  });
});

test('a client that asks for several things over one connection gets them in order', async () => {
  await using at = await sceneWithBlob();
  const { hostname, port } = new URL(at.registry.url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const range = `GET ${at.path} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-4\r\n`;
  socket.write(`${range}\r\n${range}\r\nGET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  await closed;
  const answer = Buffer.concat(chunks).toString('latin1');
  expect(answer.match(/HTTP\/1\.1 (\d+)/g)).toEqual(['HTTP/1.1 206', 'HTTP/1.1 206', 'HTTP/1.1 200']);
  expect(answer.endsWith('{}')).toBe(true);
});
