// How the fills of one upstream share its connections, and what happens to an endpoint that gave wrong bytes.
import { expect, test, vi } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { Gate } from '../support/gate.ts';
import { name, scene } from './fill-scene.ts';
import { altered, digestFor, filled, readUntilCut } from './start-mirror.ts';

const size = 40 * 1024 * 1024;

/** Requests in flight for each of so many blobs that were all asked for at once, with six transfers to share. */
async function lanesOf(fills: number): Promise<number[]> {
  await using at = await scene({ size, connections: 8, parallel: 4 });
  const blobs = [at.blob];
  for (let seed = 2; seed <= fills; seed++) blobs.push(await at.upstream.addGeneratedBlob(name, { size, seed }));
  const [heads, bodies] = [new Gate(), new Gate()];
  at.upstream.faults.add({ kind: 'blob' }, { holdHeaders: heads, holdBody: { after: 10, gate: bodies } });
  const asked = blobs.map((blob) => at.open(blob));
  await vi.waitUntil(() => at.upstream.count() === fills);
  heads.open();
  const answers = await Promise.all(asked);
  await vi.waitUntil(() => bodies.arrivals === Math.min(6, 4 * fills));
  const lanes = blobs.map(({ digest }) => at.upstream.count({ path: digest }));
  await at.mirror.stop();
  bodies.open();
  for (const answer of answers) await answer?.content.close();
  return lanes;
}

test.each([
  [1, [4]],
  [2, [3, 3]],
  [3, [2, 2, 2]],
  [6, [1, 1, 1, 1, 1, 1]],
])('%i fills share the connections to their upstream evenly', async (fills, expected) => {
  expect(await lanesOf(fills)).toEqual(expected);
});

test('wrong bytes are told to the upstream before they are asked for again', async () => {
  const told: [Digest, number][] = [];
  const distrust = (digest: Digest) => void told.push([digest, at.upstream.count()]);
  await using at = await scene({ wrap: (upstream) => altered(upstream, { distrust }) });
  at.upstream.faults.add({ kind: 'blob', times: 1 }, { flipByteAt: 7 });
  const answer = await at.open();
  if (answer) await readUntilCut(answer.content);
  await filled(at.mirror, digestFor(at.blob));
  expect(told).toEqual([[digestFor(at.blob), 1]]);
  expect(at.upstream.count()).toBe(2);
});
