// Clients that hang up or stall in a body: nothing of theirs stays open, and the next client notices nothing.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { digestFor, filled, type StartedMirror, spoolFiles } from '../mirror/start-mirror.ts';
import { manifestOf, mediaTypes } from '../support/fake-image.ts';
import { Gate } from '../support/gate.ts';
import { openFiles } from '../support/open-files.ts';
import type { ServedContent } from '../support/served-content.ts';
import { until } from '../support/until.ts';
import { ask, type Scene, scene } from './start-registry.ts';

const name = 'library/app';
const size = 8 * 1024 * 1024;
const crowd = 20;
const rounds = 5;

let unhandled: unknown[];
const onUnhandled = (reason: unknown) => unhandled.push(reason);

beforeEach(() => {
  unhandled = [];
  process.on('unhandledRejection', onUnhandled);
});

afterEach(() => {
  process.off('unhandledRejection', onUnhandled);
  expect(unhandled).toEqual([]);
});

function sendGet(url: string, path: string): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${path} HTTP/1.1\r\nHost: mirror\r\n\r\n`);
  return socket;
}

/** Takes the first bytes of an answer and is gone. */
async function hangUp(url: string, path: string): Promise<void> {
  const socket = sendGet(url, path);
  await once(socket, 'data');
  socket.destroy();
  await once(socket, 'close');
}

async function crowdHangsUp({ registry }: Scene, path: string): Promise<void> {
  await Promise.all(Array.from({ length: crowd }, () => hangUp(registry.url, path)));
}

async function expectWhole({ ask: get }: Scene, path: string, blob: ServedContent): Promise<void> {
  const { status, isComplete, body } = await get(path);
  expect({ status, isComplete }).toEqual({ status: 200, isComplete: true });
  expect(body.equals(Buffer.concat([...blob.read(0, blob.size)]))).toBe(true);
}

function faultsLogged({ logLines }: StartedMirror): unknown[] {
  return logLines.filter(({ level }) => Number(level) > 30);
}

describe('a crowd that hangs up after its first bytes', () => {
  test('of a stored blob leaves nothing open, round after round', async () => {
    await using at = await scene();
    const { mirror } = at.registry;
    const blob = await at.upstream.addGeneratedBlob(name, { size, seed: 1 });
    const path = `/v2/${name}/blobs/${blob.digest}`;
    await expectWhole(at, path, blob);
    await filled(mirror, digestFor(blob));
    for (let round = 0; round < rounds; round++) await crowdHangsUp(at, path);
    await until('no open files', () => openFiles(mirror.dir).length === 0, { timeoutMs: 10_000 });
    await until('a line each', () => mirror.logLines.length === 1 + crowd * rounds);
    await expectWhole(at, path, blob);
    expect(faultsLogged(mirror)).toEqual([]);
    expect(at.upstream.count()).toBe(1);
  });

  test('of a blob that still arrives leaves nothing open, and the blob arrives', async () => {
    await using at = await scene();
    const { mirror } = at.registry;
    for (let round = 0; round < rounds; round++) {
      const blob = await at.upstream.addGeneratedBlob(name, { size, seed: round });
      const path = `/v2/${name}/blobs/${blob.digest}`;
      const gate = new Gate();
      const held = at.upstream.faults.add({ kind: 'blob' }, { holdBody: { after: size / 2, gate } });
      // Half of them leave while nothing more comes, the others while the rest pours in.
      await crowdHangsUp(at, path);
      const fill = filled(mirror, digestFor(blob));
      gate.open();
      await crowdHangsUp(at, path);
      expect(await fill).toBeUndefined();
      held.remove();
      await until('no open files', () => openFiles(mirror.dir).length === 0, { timeoutMs: 10_000 });
      expect(await spoolFiles(mirror)).toEqual([]);
      await expectWhole(at, path, blob);
    }
    expect(faultsLogged(mirror)).toEqual([]);
    expect(at.upstream.count()).toBe(rounds);
  });
});

test('a client that stalls in a large manifest is let go, and the next one gets it whole', async () => {
  await using at = await impatient();
  const { upstream, mirror, server } = at;
  const annotations = { padding: 'x'.repeat(4 * 1024 * 1024 - 1000) };
  const manifest = manifestOf(mediaTypes.ociIndex, { schemaVersion: 2, manifests: [], annotations });
  upstream.addManifest(name, 'latest', manifest);
  const path = `/v2/${name}/manifests/latest`;
  const socket = sendGet(server.url, path);
  const line = await until('the line', () => mirror.logLines.find(({ msg }) => msg === 'request'));
  expect(line).toMatchObject({ level: 30, status: 200, complete: false });
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  socket.on('error', () => {}); // a reset is as good an end as any
  await once(socket, 'close');
  expect(received).toBeLessThan(manifest.content.size);
  const { isComplete, body } = await ask(server.url, path);
  expect([isComplete, body.length]).toEqual([true, manifest.content.size]);
});

test('a client that stalls in a blob is let go, one that waits for a slow upstream is not', async () => {
  await using at = await impatient();
  const { upstream, mirror, server } = at;
  const stored = await upstream.addGeneratedBlob(name, { size, seed: 7 });
  const slow = await upstream.addGeneratedBlob(name, { size: 300_000, seed: 8 });
  const gate = new Gate();
  upstream.faults.add({ kind: 'blob', path: slow.digest }, { holdBody: { after: 100_000, gate } });
  await ask(server.url, `/v2/${name}/blobs/${stored.digest}`);

  const waiting = ask(server.url, `/v2/${name}/blobs/${slow.digest}`);
  await gate.reached;
  const stalled = sendGet(server.url, `/v2/${name}/blobs/${stored.digest}`);
  stalled.on('error', () => {});
  // The idle limit is the clock here: once it has ended the one, it has passed for the other too.
  await until('the stalled one is let go', () => mirror.logLines.find(({ complete }) => complete === false));
  expect(gate.isOpen).toBe(false);
  gate.open();
  const { isComplete, body } = await waiting;
  expect([isComplete, body.length]).toEqual([true, 300_000]);
  stalled.destroy();
});

/** A registry that lets go of a connection on which nothing moves for 300 ms. */
async function impatient() {
  const { upstream, registry, ...rest } = await scene({ idleMs: 300 });
  const { mirror, server } = registry;
  return { upstream, mirror, server, [Symbol.asyncDispose]: rest[Symbol.asyncDispose] };
}
