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

test('lists, which take long in places, leave connections to what pulls wait for', async () => {
  const gate = new Gate();
  await using upstream = await startFakeUpstream();
  const { manifest } = upstream.addImage(path);
  upstream.faults.add({ kind: 'tags' }, { holdHeaders: gate });
  await using at = openClient({ endpoint: upstream.url, transport: { connections: 8 } });
  const subject = manifest.content.digest as Digest;
  const lists = [1, 2, 3].map((n) => at.client.listTags(path, { n }, never));
  const referrers = [1, 2, 3].map(() => at.client.fetchReferrers(path, subject, never));
  await gate.reached;
  expect((await at.client.resolve(path, { tag: 'latest' }, never))?.descriptor.digest).toBe(subject);
  expect(gate.isOpen).toBe(false);
  expect(upstream.count({ kind: 'referrers' })).toBe(0);
  gate.open();
  await Promise.all([...lists, ...referrers]);
});

test('a repository that is slow does not hold up the lists of others', async () => {
  const gate = new Gate();
  await using upstream = await startFakeUpstream();
  for (const name of [path, 'library/other']) upstream.addImage(name);
  upstream.faults.add({ kind: 'tags', path: path }, { holdHeaders: gate });
  await using at = openClient({ endpoint: upstream.url, transport: { connections: 4 } });
  const crowd = Array.from({ length: 20 }, () => at.client.listTags(path, { n: 1 }, never));
  await gate.reached;
  const other = at.client.listTags('library/other', { n: 1 }, never);
  gate.open();
  await other;
  expect(upstream.count({ kind: 'tags' })).toBeLessThan(4);
  await Promise.all(crowd);
});

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
