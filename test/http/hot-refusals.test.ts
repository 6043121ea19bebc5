// What is not given again ahead of the app: whatever the app might say something else to, now or of this client.
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { openFiles } from '../support/open-files.ts';
import { until } from '../support/until.ts';
import { asked, blob, heat, isHot, manifest, name, openedByTest, warm } from './hot-scene.ts';
import { asCi, forCi, from, withPrivate } from './private-scene.ts';

const hour = 3_600_000;
const running = openedByTest();
const { open } = running;

test.each([
  ['that shows credentials', manifest('latest'), { headers: { authorization: 'Basic Zm9vOmJhcg==' } }],
  ['that shows no credentials where they belong', manifest('latest'), { headers: { authorization: 'nonsense' } }],
  ['with a body', manifest('latest'), { headers: { 'content-length': '0' } }],
  ['with a body of unknown length', manifest('latest'), { headers: { 'transfer-encoding': 'chunked' } }],
  ['that wants something done', manifest('latest'), { method: 'DELETE' }],
  ['for a strange host', manifest('latest'), { headers: { host: 'EXAMPLE.test/' } }],
  ['with a query that nobody reads', `${manifest('latest')}?x=1`, {}],
] as const)('a request %s is the app’s', async (_what, path, asking) => {
  const at = await open();
  await at.hot.ask(path);
  expect(await isHot(at, manifest('latest'))).toBe(true);
  expect(await isHot(at, path, asking)).toBe(false);
});

describe('of a manifest', () => {
  test('the tag is the app’s once its ttl is over, and when the clock was set back; its digest is not', async () => {
    const at = await open();
    const { records, source } = at.hot.mirror;
    const { repository } = source(name);
    const record = records.tag(repository, 'latest') ?? expect.fail();
    for (const age of [hour, -hour]) {
      records.putTag(repository, 'latest', { ...record, checkedAt: Date.now() - age });
      expect([age, await isHot(at, manifest('latest')), await isHot(at, manifest(at.image.digest))]).toEqual([
        age,
        false,
        true,
      ]);
    }
  });

  test('the tag is the app’s once it moved, and what it means then is given', async () => {
    const at = await open();
    const later = at.upstream.addImage(name, { tag: 'later', layers: ['later'] });
    await warm(at.hot, later);
    const { records, source } = at.hot.mirror;
    records.putTag(source(name).repository, 'latest', { digest: later.digest as Digest, checkedAt: Date.now() });
    const [isBefore, answer] = await asked(at, manifest('latest'));
    expect([isBefore, answer.headers['docker-content-digest']]).toEqual([false, later.digest]);
  });

  test('a new type is given at once', async () => {
    const at = await open();
    const { records, source } = at.hot.mirror;
    const { content } = at.image.manifest;
    const mediaType = 'application/vnd.docker.distribution.manifest.v2+json';
    records.proveLink(source(name).repository, { digest: content.digest as Digest, size: content.size, mediaType });
    for (const reference of ['latest', at.image.digest]) {
      const [isBefore, answer] = await asked(at, manifest(reference));
      expect([isBefore, answer.headers['content-type']]).toEqual([false, mediaType]);
    }
  });

  test('both are the app’s once a layer is lost', async () => {
    const at = await open();
    const { records, store } = at.hot.mirror;
    records.deleteBlob(at.large.digest as Digest);
    await store.remove(at.large.digest as Digest);
    expect(await isHot(at, manifest('latest'))).toBe(false);
    expect(await isHot(at, manifest(at.image.digest))).toBe(false);
  });

  test('an image of which a part never came is the app’s', async () => {
    const at = await open();
    const partial = at.upstream.addImage(name, { tag: 'partial', layers: ['never asked for'] });
    for (const reference of ['partial', partial.digest]) {
      await at.hot.ask(manifest(reference));
      await at.hot.ask(manifest(reference));
      expect(await isHot(at, manifest(reference))).toBe(false);
    }
  });
});

describe('of a blob', () => {
  test('what the index lost is the app’s', async () => {
    const at = await open();
    at.hot.mirror.records.deleteBlob(at.small.digest as Digest);
    const [isBefore, answer] = await asked(at, blob(at.small.digest));
    expect([isBefore, answer.headers['cache-status']]).toEqual([false, expect.stringContaining('fwd=uri-miss')]);
  });

  test('what was removed from the disk is no hit', async () => {
    const at = await open();
    for (const { digest } of [at.small, at.large]) {
      await at.hot.mirror.store.remove(digest as Digest);
      const [isBefore, answer] = await asked(at, blob(digest));
      expect([isBefore, answer.status, answer.isComplete]).toEqual([false, 200, true]);
      expect(answer.headers['cache-status']).not.toBe('stillwater; hit');
    }
  });

  test('another repository’s request is no proof for this one', async () => {
    const at = await open({ mayShare: false });
    expect(await isHot(at, blob(at.small.digest))).toBe(true);
    const [isBefore, answer] = await asked(at, `/v2/library/other/blobs/${at.small.digest}`);
    expect([isBefore, answer.status]).toEqual([false, 404]);
  });
});

test('a fault of the index is told by the app', async () => {
  const at = await open();
  at.hot.mirror.records.blob = () => {
    throw new Error('the index is broken');
  };
  const [isBefore, answer] = await asked(at, manifest('latest'));
  expect([isBefore, answer.status]).toEqual([false, 500]);
});

test('what nginx may send itself is the app’s, manifests are not', async () => {
  const at = await open({ accel: { prefix: '/blobs/', isTrusted: () => true } });
  expect(await isHot(at, manifest('latest'))).toBe(true);
  expect(await isHot(at, blob(at.small.digest))).toBe(false);
  for (const { digest } of [at.small, at.large])
    for (const method of ['HEAD', 'HEAD', 'GET', 'HEAD', 'GET'])
      expect([method, await isHot(at, blob(digest), { method })]).toEqual([method, false]);
});

describe('what only some may have', () => {
  test('is given again to those, and to nobody else', async () => {
    const { registry: hot, doorsOf } = await withPrivate(running.stack);
    const doors = doorsOf('acme/app').slice(0, 4);
    await heat({ hot }, doors, asCi);
    for (const door of doors) {
      expect(await asked({ hot }, door, asCi)).toMatchObject([true, { status: 200 }]);
      expect(await asked({ hot }, door, from('10.9.9.9'))).toMatchObject([false, { status: 404 }]);
    }
  });

  test('is the app’s for everybody else once everybody may have it, and for those then', async () => {
    const { upstream, registry: hot, doorsOf } = await withPrivate(running.stack);
    const doors = doorsOf('acme/app').slice(0, 4);
    await heat({ hot }, doors, asCi);
    upstream.makePublic('acme/app');
    hot.mirror.records.putVerdict({ registry: 'docker.io', path: 'acme/app' }, true, Date.now());
    for (const door of doors)
      expect([door, await asked({ hot }, door)]).toMatchObject([door, [false, { status: 200 }]]);
    await heat({ hot }, doors);
    for (const door of doors) expect([door, await isHot({ hot }, door, asCi)]).toEqual([door, false]);
  });

  test('was given to nobody who may not have it any more', async () => {
    const { upstream, registry: hot, doorsOf } = await withPrivate(running.stack);
    upstream.makePublic('acme/app');
    const doors = doorsOf('acme/app').slice(0, 4);
    await heat({ hot }, doors);
    const app = { registry: 'docker.io', path: 'acme/app' };
    hot.mirror.records.putVerdict(app, false, Date.now());
    for (const door of doors) expect(await asked({ hot }, door)).toMatchObject([false, { status: 404 }]);
    // Nobody can tell: it goes out as what it was, by way of the app, which fetches no more of it.
    upstream.faults.add({ kind: 'tags', path: 'tags/list?n=1' }, refusals.pullLimit);
    hot.mirror.records.putVerdict(app, true, Date.now() - 2 * hour);
    for (const door of doors)
      for (const _ of [1, 2]) expect(await asked({ hot }, door)).toMatchObject([false, { status: 200 }]);
  });

  test('is asked for with a name where nobody pulls without one', async () => {
    const options = { exposures: { 'docker.io': 'nothing' }, access: { anonymous: 'none', rules: [] } } as const;
    const { registry: hot, doorsOf } = await withPrivate(running.stack, options);
    const [door = ''] = doorsOf('acme/app').slice(2);
    await heat({ hot }, [door], asCi);
    expect(await asked({ hot }, door, asCi)).toMatchObject([true, { status: 200 }]);
    expect(await asked({ hot }, door)).toMatchObject([false, { status: 401 }]);
  });

  test('a rule that forbids it to one client takes it from no other', async () => {
    const rules = [{ ...forCi, effect: 'deny' }] as const;
    const { upstream, registry: hot, doorsOf } = await withPrivate(running.stack, { access: { rules } });
    upstream.makePublic('acme/app');
    const [door = ''] = doorsOf('acme/app').slice(2);
    await heat({ hot }, [door]);
    expect(await asked({ hot }, door, asCi)).toMatchObject([false, { status: 404 }]);
  });
});

test('an address with as many requests as it may have gets 429, hot or not, and its places come back', async () => {
  const at = await open({ mostInFlight: 1 });
  const gate = new Gate();
  at.upstream.faults.add({ kind: 'manifest' }, { holdHeaders: gate });
  const held = at.hot.ask(manifest('unheard-of'));
  await gate.reached;
  for (const path of [manifest('latest'), blob(at.large.digest)]) {
    const [isBefore, { status }] = await asked(at, path);
    expect([isBefore, status]).toEqual([false, 429]);
  }
  await at.hot.mirror.store.remove(at.large.digest as Digest);
  await until('no open files', () => openFiles(at.hot.mirror.dir).length === 0, { timeoutMs: 3000 });
  gate.open();
  await held;
  for (const _ of [1, 2, 3])
    await until('its place is free', async () => (await asked(at, manifest('latest')))[0], { timeoutMs: 2000 });
});
