// Whatever is asked over one connection, in whatever order and however many at once, is answered as if it were alone.
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Gate } from '../support/gate.ts';
import { type RawAnswer, RawClient, requestText } from '../support/raw-client.ts';
import { type Known, lasting, repository, ServingScene } from '../support/serving-scene.ts';
import { seededRandom } from '../support/zipf.ts';

const mebibyte = 1024 * 1024;
let scene: ServingScene;

beforeAll(async () => {
  scene = await ServingScene.start();
});

afterAll(() => scene?.[Symbol.asyncDispose]());

function known(name: string): Known {
  const found = scene.known.find((one) => one.name === name);
  if (!found) throw new Error(`there is no request called ${name}`);
  return found;
}

async function expectInOrder(client: RawClient, asked: readonly Known[]): Promise<void> {
  for (const { name, status, ...one } of asked)
    expect({ name, ...(await client.answer(one)) }).toMatchObject({ name, status, isTrue: true, isComplete: true });
}

describe('on one connection', { timeout: 60_000 }, () => {
  test('thousands of requests of every kind, alone and several at once, each get their own answer', async () => {
    const alone = new Map<string, RawAnswer>();
    for (const one of scene.known) alone.set(one.name, lasting(await scene.alone(one)));
    const random = seededRandom(41);
    const clients = Array.from({ length: 6 }, async () => {
      using client = RawClient.to(scene.mirror.url);
      for (let round = 0; round < 250; round++) {
        const batch = Array.from({ length: 1 + Math.floor(random() ** 2 * 12) }, () => {
          return scene.known[Math.floor(random() * scene.known.length)] as Known;
        });
        const text = batch.map(requestText).join('');
        const cut = Math.floor(random() * text.length);
        client.say(text.slice(0, cut));
        await turn();
        client.say(text.slice(cut));
        for (const one of batch) {
          const answer = lasting(await client.answer(one));
          expect({ name: one.name, ...answer }).toEqual({ name: one.name, ...alone.get(one.name) });
        }
      }
    });
    await Promise.all(clients);
  });

  test('a hundred manifests asked for in one breath come in their order', async () => {
    using client = RawClient.to(scene.mirror.url);
    const asked = Array.from({ length: 100 }, (_, index) =>
      known(index % 3 === 0 ? 'manifest by tag' : index % 3 === 1 ? 'manifest unchanged' : 'HEAD manifest by digest'),
    );
    client.ask(...asked);
    await expectInOrder(client, asked);
  });

  test('large blobs asked for in one breath follow each other without a byte between, however they are read', async () => {
    const names = [
      'blob of 3145728',
      'blob of 300000',
      'blob of 65537',
      'blob of 3145728, bytes=1572864-',
      'blob of 1',
    ];
    const asked = Array.from({ length: 80 }, (_, index) => known(names[index % names.length] ?? ''));
    const clients = [1000, 40_000, 300_000, Number.POSITIVE_INFINITY].map(async (pieceBytes) => {
      using client = RawClient.to(scene.mirror.url);
      client.ask(...asked);
      for (const { name, status, ...one } of asked) {
        const body = await client.begin(one);
        while (body.received < body.length && (await body.take(pieceBytes)));
        expect({ name, ...(await body.rest()) }).toMatchObject({ name, status, isTrue: true, isComplete: true });
      }
    });
    await Promise.all(clients);
  });

  const behind = () =>
    [
      'manifest by tag',
      'manifest by digest',
      'manifest unchanged',
      'blob of 3000',
      'HEAD blob of 65537',
      'blob of 300000, bytes=-150000',
      'blob of 3145728',
      'no such tag',
      'ping',
    ].map(known);

  test('what is in the cache waits behind a blob that is still arriving', async () => {
    const cold = await scene.upstream.addGeneratedBlob(repository, { size: mebibyte, seed: 900 });
    const gate = new Gate();
    const held = scene.upstream.faults.add({ path: cold.digest }, { holdBody: { after: 200_000, gate } });
    using client = RawClient.to(scene.mirror.url);
    client.ask({ path: `/v2/${repository}/blobs/${cold.digest}` }, ...behind());
    const body = await client.begin({ content: cold });
    expect(await body.take(200_000)).toBe(true);
    // Others are answered meanwhile: so would those behind have been.
    using other = RawClient.to(scene.mirror.url);
    other.ask(...behind());
    await expectInOrder(other, behind());
    gate.open();
    expect(await body.rest()).toMatchObject({ status: 200, received: mebibyte, isTrue: true, isComplete: true });
    await expectInOrder(client, behind());
    held.remove();
  });

  test('what is in the cache waits behind a manifest whose upstream takes its time', async () => {
    const late = scene.upstream.addImage(repository, { tag: 'late' }).manifest.content;
    const gate = new Gate();
    const held = scene.upstream.faults.add({ path: '/manifests/late' }, { holdHeaders: gate });
    using client = RawClient.to(scene.mirror.url);
    const first = { name: 'late', path: `/v2/${repository}/manifests/late`, content: late, status: 200 };
    client.ask(first, ...behind());
    await gate.reached;
    using other = RawClient.to(scene.mirror.url);
    other.ask(...behind());
    await expectInOrder(other, behind());
    gate.open();
    await expectInOrder(client, [first, ...behind()]);
    held.remove();
  });

  test('what is in the cache waits behind a stored blob that nobody reads', async () => {
    const large = await scene.upstream.addGeneratedBlob(repository, { size: 48 * mebibyte, seed: 901 });
    const first = { name: 'large', path: `/v2/${repository}/blobs/${large.digest}`, content: large, status: 200 };
    await scene.alone(first);
    using client = RawClient.to(scene.mirror.url);
    client.ask(first, ...behind());
    const body = await client.begin(first);
    using other = RawClient.to(scene.mirror.url);
    other.ask(...behind());
    await expectInOrder(other, behind());
    expect(await body.rest()).toMatchObject({ received: large.size, isTrue: true, isComplete: true });
    await expectInOrder(client, behind());
  });
});
