// How little an upstream hears of those who pull what is cached, least of all one that is over its limit.
import { describe, expect, test, vi } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { type AddedImage, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, type FaultMatch, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { digestFor, filled, patient, startMirror } from './start-mirror.ts';

const name = 'library/app';
const hour = 3_600_000;

/** A mirror that holds that many images whole, all past their ttl. */
async function cached(count: number) {
  const upstream = await startFakeUpstream();
  const times = { ttlMs: hour, staleIfErrorMs: 10 * hour };
  const mirror = await startMirror({ upstreams: { 'docker.io': upstream }, ...times });
  const source = mirror.source(name);
  const pull = async (tag: string, image?: AddedImage) => {
    const answer = await mirror.mirror.getManifest(source, { tag }, patient);
    for (const blob of image ? [image.config, ...image.layers] : []) {
      const opened = await mirror.mirror.openBlob(source, digestFor(blob), patient);
      await filled(mirror, digestFor(blob));
      await opened?.content.close();
    }
    return answer?.outcome;
  };
  const tags = Array.from({ length: count }, (_, number) => `t${number}`);
  for (const tag of tags) {
    await pull(tag, upstream.addImage(name, { tag }));
    const record = mirror.records.tag(source.repository, tag);
    if (record) mirror.records.putTag(source.repository, tag, { ...record, checkedAt: Date.now() - 2 * hour });
  }
  upstream.server.forget();
  return {
    ...{ upstream, mirror, tags, pull },
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('an upstream that refuses by its limit', () => {
  test.each(['at once', 'one after another'])('hears at most one HEAD a tag from 100 pulls %s', async (how) => {
    await using at = await cached(20);
    at.upstream.faults.add({}, refusals.pullLimit);
    const wanted = Array.from({ length: 5 }, () => at.tags).flat();
    const outcomes: unknown[] = [];
    if (how === 'at once') outcomes.push(...(await Promise.all(wanted.map((tag) => at.pull(tag)))));
    else for (const tag of wanted) outcomes.push(await at.pull(tag));
    expect(outcomes).toEqual(wanted.map(() => 'stale'));
    expect(at.upstream.count({ method: 'GET' })).toBe(0);
    expect(at.upstream.count()).toBeLessThanOrEqual(20);
  });
});

describe('an upstream that does not tell what tags mean now', () => {
  const elsewhere = digestOf(Buffer.from('another image'));

  test.each<[string, FaultMatch, FaultEffect, string?]>([
    ['that moved and refuses the GET', { method: 'GET', kind: 'manifest' }, refusals.pullLimit, elsewhere],
    ['that moved and has not what they moved to', { method: 'GET', kind: 'manifest' }, refusals.notFound, elsewhere],
    ['and gives no reason', { kind: 'manifest' }, refusals.serverError],
    ['and wants a password', { kind: 'manifest' }, refusals.unauthorized],
    ['and forbids it', { kind: 'manifest' }, refusals.denied],
    ['and shows a web page', { kind: 'manifest' }, refusals.html],
    ['and hangs up', { kind: 'manifest', method: 'HEAD' }, { hangUp: true }],
  ])('(%s) hears of each once from 100 pulls of 20', async (_what, filter, effect, movedTo) => {
    await using at = await cached(20);
    at.upstream.faults.add(filter, effect);
    if (movedTo !== undefined) at.upstream.faults.add({ method: 'HEAD' }, { dockerContentDigest: movedTo });
    for (let round = 0; round < 5; round++) for (const tag of at.tags) expect(await at.pull(tag)).toBe('stale');
    // One question may be two HEADs, when the first one breaks, or a HEAD and the GET that asks for the reason.
    const asked = at.upstream.requests.map(({ method, path }) => `${method} ${path}`);
    for (const request of new Set(asked)) {
      const most = request.endsWith(elsewhere) ? 20 : request.startsWith('HEAD') ? 2 : 1;
      expect(asked.filter((other) => other === request).length).toBeLessThanOrEqual(most);
    }
    expect(at.upstream.count()).toBeLessThanOrEqual(40);
  });
});

test('a thousand pulls of one tag cost one request in a ttl', async () => {
  await using at = await cached(1);
  const [tag = ''] = at.tags;
  const gate = new Gate();
  at.upstream.faults.add({ method: 'HEAD' }, { holdHeaders: gate });
  const looks = vi.spyOn(at.mirror.manifests, 'stored');
  const pulls = Array.from({ length: 500 }, () => at.pull(tag));
  await gate.reached;
  await Promise.all(looks.mock.results.map(({ value }) => value));
  gate.open();
  const first = await Promise.all(pulls);
  expect(new Set(first)).toEqual(new Set(['revalidated']));
  const later = await Promise.all(Array.from({ length: 500 }, () => at.pull(tag)));
  expect(new Set(later)).toEqual(new Set(['hit']));
  expect(at.upstream.requests.map(({ method }) => method)).toEqual(['HEAD']);
});
