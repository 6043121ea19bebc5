// A transfer that meets a limit in its middle: it waits as long as the upstream says, within bounds, and goes on.
import { describe, expect, test } from 'vitest';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { name, scene, size } from './fill-scene.ts';
import { digestFor, filled, readAll, readUntilCut } from './start-mirror.ts';

const limit = (seconds: number): FaultEffect => ({ ...refusals.pullLimit, headers: { 'retry-after': `${seconds}` } });

/** A transfer that breaks at byte 100,000, and what its next request meets. */
async function broken(then: FaultEffect) {
  const at = await scene();
  const gate = new Gate();
  at.upstream.faults.add({ times: 1 }, { truncateAfter: 100_000, holdBody: { after: 50_000, gate } });
  const answer = await at.open();
  await gate.reached;
  at.upstream.faults.add({ times: 1 }, then);
  gate.open();
  if (!answer) throw new Error('there is no such blob');
  return { at, content: answer.content };
}

describe('a transfer that is told in its middle to come back', () => {
  test('in a second goes on then, at the byte that it had reached', async () => {
    const since = performance.now();
    const { at, content } = await broken(limit(1));
    await using _ = at;
    expect((await readAll(content)).length).toBe(size);
    expect(performance.now() - since).toBeGreaterThanOrEqual(1000);
    expect(await filled(at.mirror, digestFor(at.blob))).toBeUndefined();
    expect(at.upstream.count({ kind: 'blob', path: name })).toBe(3);
    expect(at.upstream.requests.at(-1)?.headers.range).toBe(`bytes=100000-${size - 1}`);
  });

  test('without a word of when goes on after a short rest', async () => {
    const { at, content } = await broken(refusals.abuseLimit);
    await using _ = at;
    expect((await readAll(content)).length).toBe(size);
    expect(at.upstream.count({ kind: 'blob', path: name })).toBe(3);
  });

  test('after longer than anybody waits ends at once', async () => {
    const { at, content } = await broken(limit(31));
    await using _ = at;
    expect((await readUntilCut(content)).failure).toMatchObject({ failure: 'limited' });
    expect(at.upstream.count()).toBe(2);
  });
});
