// Fills as people are shown them while they run.
import { expect, test } from 'vitest';
import { Rate } from '../../src/mirror/rate.ts';
import { Gate } from '../support/gate.ts';
import { name, scene, size } from './fill-scene.ts';
import { digestFor, filled, readAll } from './start-mirror.ts';

test('a fill says for whom it runs, how far it has come, and who reads it', async () => {
  await using at = await scene({ parallel: 1 });
  const { mirror, blob } = at;
  const [first, body] = [new Gate(), new Gate()];
  at.upstream.faults.add({ kind: 'blob', path: blob.digest }, { holdHeaders: first });
  at.upstream.faults.add({ kind: 'blob', path: blob.digest }, { holdBody: { after: 100_000, gate: body } });
  expect(mirror.fills.status()).toEqual([]);
  const opening = at.open();
  await first.reached;
  const started = Date.now();
  const [waiting] = mirror.fills.status();
  expect(waiting).toMatchObject({
    digest: digestFor(blob),
    repository: `docker.io/${name}`,
    upstream: 'docker.io',
    sizeBytes: undefined,
    receivedBytes: 0,
    bytesPerSecond: 0,
    readers: 1,
    isWanted: true,
    state: 'waiting',
  });
  expect(Math.abs((waiting?.startedAt ?? 0) - started)).toBeLessThan(60_000);
  first.open();
  const one = await opening;
  const two = await at.open();
  await body.reached;
  await one?.content.waitFor(99_999, new AbortController().signal);
  const [arriving] = mirror.fills.status();
  expect(arriving).toMatchObject({ sizeBytes: size, readers: 2, state: 'arriving' });
  expect(arriving?.receivedBytes).toBeGreaterThanOrEqual(100_000);
  expect(arriving?.receivedBytes).toBeLessThan(size);
  expect(arriving?.bytesPerSecond).toBeGreaterThan(0);
  await two?.content.close();
  expect(mirror.fills.status()).toMatchObject([{ readers: 1 }]);
  body.open();
  if (one) await readAll(one.content);
  await filled(mirror, digestFor(blob));
  expect(mirror.fills.status()).toEqual([]);
});

test('a fill whose bytes have all come is verifying', async () => {
  await using at = await scene();
  const { mirror, blob } = at;
  const one = await at.open();
  const seen: string[] = [];
  const { commit } = mirror.store;
  const [status] = mirror.fills.status();
  expect(status).toBeDefined();
  mirror.store.commit = async (...args) => {
    seen.push(...mirror.fills.status().map(({ state, receivedBytes }) => `${state} ${receivedBytes}`));
    return commit.apply(mirror.store, args);
  };
  if (one) await readAll(one.content);
  await filled(mirror, digestFor(blob));
  expect(seen).toEqual([`verifying ${size}`]);
});

test('fills are shown in the order in which they began', async () => {
  await using at = await scene();
  const gate = new Gate();
  at.upstream.faults.add({ kind: 'blob' }, { holdHeaders: gate });
  const blobs = await Promise.all(
    [1, 2, 3].map((seed) => at.upstream.addGeneratedBlob(name, { size: 1000, seed: seed + 10 })),
  );
  const opening = blobs.map((each) => at.open(each));
  await gate.reached;
  expect(at.mirror.fills.status().map(({ digest }) => digest)).toEqual(blobs.map(digestFor));
  gate.open();
  for (const answer of await Promise.all(opening)) await answer?.content.close();
});

test('a rate is of the last five seconds', () => {
  let now = 123_456;
  const rate = new Rate(() => now);
  expect(rate.bytesPerSecond).toBe(0);
  rate.add(1000);
  // What came at once says nothing of a second.
  expect(rate.bytesPerSecond).toBe(4000);
  now += 1000;
  expect(rate.bytesPerSecond).toBe(1000);
  for (let second = 0; second < 20; second++) {
    rate.add(500);
    rate.add(500);
    now += 1000;
  }
  expect(rate.bytesPerSecond).toBeGreaterThan(900);
  expect(rate.bytesPerSecond).toBeLessThan(1100);
  now += 3000;
  expect(rate.bytesPerSecond).toBeLessThan(600);
  now += 3000;
  expect(rate.bytesPerSecond).toBe(0);
  now += 3_600_000;
  rate.add(2000);
  now += 500;
  expect(rate.bytesPerSecond).toBeGreaterThan(0);
  expect(rate.bytesPerSecond).toBeLessThan(2000);
});
