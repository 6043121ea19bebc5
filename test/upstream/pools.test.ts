// Transfers and questions have connections of their own: a crowd of layers holds up no manifest.
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { Gate } from '../support/gate.ts';
import { get, never, openClient, openTransport, startServer, textOf } from './upstream-scene.ts';

const path = 'library/app';

/** Four transfers asked of four connections: three are held in mid-body, the fourth waits for one of theirs. */
async function crowdedScene() {
  const gate = new Gate();
  const upstream = await startFakeUpstream();
  const { manifest } = upstream.addImage(path);
  const blobs = ['one', 'two', 'three', 'four'].map((bytes) => upstream.addBlob(path, bytes).digest as Digest);
  const proven = upstream.addBlob(path, 'proven').digest as Digest;
  for (const digest of blobs) upstream.faults.add({ path: digest }, { holdBody: { after: 1, gate } });
  const { client, ...at } = openClient({ endpoint: upstream.url, transport: { connections: 4 } });
  const transfers = blobs.map((digest) => client.fetchBlob(path, digest, never));
  for (const transfer of transfers) transfer.catch(() => {});
  await Promise.all(transfers.slice(0, 3));
  return {
    upstream,
    client,
    gate,
    transfers,
    proven,
    manifest: manifest.content.digest as Digest,
    async [Symbol.asyncDispose]() {
      gate.open();
      await at[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('transfers that take every connection they may', () => {
  test('hold up no manifest, by tag or by digest', async () => {
    await using at = await crowdedScene();
    expect((await at.client.resolve(path, { tag: 'latest' }, never))?.descriptor.digest).toBe(at.manifest);
    const manifest = await at.client.fetchManifest(path, { digest: at.manifest }, never);
    expect(manifest?.descriptor.digest).toBe(at.manifest);
    expect(at.gate.isOpen).toBe(false);
  });

  test('hold up no proof of a blob', async () => {
    await using at = await crowdedScene();
    expect(await at.client.proveBlob(path, at.proven, never)).toBe('proven'.length);
    expect(await at.client.proveBlob(path, digestOf(Buffer.from('missing')), never)).toBeUndefined();
    expect(at.gate.isOpen).toBe(false);
  });

  test('leave the connections of the questions alone, and all come to their end', async () => {
    await using at = await crowdedScene();
    await at.client.proveBlob(path, at.proven, never);
    expect(at.upstream.count({ kind: 'blob' })).toBe(3 + 1);
    at.gate.open();
    const texts = await Promise.all(at.transfers.map(async (transfer) => textOf((await transfer)?.body)));
    expect(texts).toEqual(['one', 'two', 'three', 'four']);
  });
});

test.each(['manifest', 'proof', 'tags', 'referrers', 'token'] as const)(
  'a question of kind %s has a connection although transfers hold theirs',
  async (kind) => {
    const gate = new Gate();
    await using server = await startServer();
    server.faults.add({ path: '/held' }, { holdBody: { after: 1, gate } });
    await using scene = openTransport({ connections: 4 });
    const held = [1, 2, 3, 4].map((number) => scene.transport.send(get(`${server.url}/held/${number}`)));
    for (const transfer of held) transfer.catch(() => {});
    await Promise.all(held.slice(0, 3));
    const signal = AbortSignal.timeout(10_000);
    const response = await scene.transport.send(get(`${server.url}/asked`, { kind, signal }));
    expect(Buffer.from(await response.bytes(100)).toString()).toBe('hello');
    gate.open();
  },
);

test('an upstream with one connection answers questions and transfers all the same', async () => {
  const gate = new Gate();
  await using server = await startServer();
  server.faults.add({ path: '/held' }, { holdBody: { after: 1, gate } });
  await using scene = openTransport({ connections: 1 });
  const transfer = await scene.transport.send(get(`${server.url}/held`));
  const answer = await scene.transport.send(get(`${server.url}/asked`, { kind: 'manifest' }));
  expect(await answer.bytes(100)).toHaveLength(5);
  gate.open();
  expect(await transfer.bytes(100)).toHaveLength(5);
});
