// What was public more than an hour ago, and whatever else nobody could find out in time: what is here goes out, no more.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { until } from '../support/until.ts';
import { asCi, from, login, told, withPrivate } from './private-scene.ts';
import { errorOf, type StartRegistryOptions } from './start-registry.ts';

const hour = 60 * 60_000;
const app = { registry: 'docker.io', path: 'acme/app' };
/** The question without credentials, and no list that a client asks for. */
const question = { kind: 'tags', path: 'tags/list?n=1' } as const;

let running = new AsyncDisposableStack();

beforeEach(() => {
  running = new AsyncDisposableStack();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await running.disposeAsync();
});

/** Public and cached, two hours ago; since then it may have turned private, and something was pushed. */
async function pushedSince(options: Partial<StartRegistryOptions> = {}) {
  const scene = await withPrivate(running, { ttlMs: 0, ...options });
  const { upstream, registry, ask, doorsOf } = scene;
  upstream.makePublic('acme/app');
  const old = doorsOf('acme/app');
  for (const door of old) expect([door, (await ask(door)).status]).toEqual([door, 200]);
  registry.mirror.records.putVerdict(app, true, Date.now() - 2 * hour);
  upstream.makePrivate('acme/app', login.username);
  const pushed = { tag: 'later', ...upstream.addImage('acme/app', { tag: 'later', layers: ['pushed later'] }) };
  const later = doorsOf('acme/app', pushed).slice(0, 4);
  const statuses = async (doors: readonly string[], asking = {}) => {
    const found: number[] = [];
    for (const door of doors) found.push((await ask(door, asking)).status);
    return found;
  };
  return { ...scene, old, later, pushed, statuses };
}

const all = (status: number, { length }: readonly string[]) => Array.from({ length }, () => status);

describe('a repository that was public, while the question whether it still is', () => {
  test('fails, is given to everybody as far as it is here, and nothing more of it is fetched', async () => {
    const { upstream, ask, statuses, old, later } = await pushedSince();
    upstream.faults.add(question, refusals.pullLimit);
    await statuses(old.slice(0, 1));
    const before = upstream.requests.length;
    expect(await statuses(old)).toEqual(all(200, old));
    expect(await statuses(later)).toEqual(all(503, later));
    expect(upstream.requests).toHaveLength(before);
    expect(errorOf(await ask(later[0] ?? ''))).toMatch(
      /^UNAVAILABLE: upstream docker\.io is not asked: .*everybody may still see docker\.io\/acme\/app.*; pull from the registry itself$/,
    );
    expect((await ask(old[0] ?? '')).headers.warning).toBe('110 - "Response is Stale"');
    expect(await statuses(later, asCi)).toEqual(all(200, later));
    // What came to those who may see more is no more than it was to the others.
    expect(await statuses(later)).toEqual(all(503, later));
  });

  test('is not answered in time, is given as far as it is here, and whole once the answer has come', async () => {
    const { upstream, ask, statuses, old, later } = await pushedSince();
    upstream.makePublic('acme/app');
    const gate = new Gate();
    upstream.faults.add(question, { holdHeaders: gate });
    // They wait for it side by side: each has its patience.
    const [cached, pushed] = await Promise.all([ask(old[0] ?? ''), ask(later[0] ?? '')]);
    expect([cached.status, pushed.status]).toEqual([200, 503]);
    gate.open();
    await until('the answer has come', async () => (await ask(later[0] ?? '')).status === 200);
    expect(await statuses([...old, ...later])).toEqual(all(200, [...old, ...later]));
  });

  test('is answered, is what the answer says', async () => {
    const { statuses, old, later } = await pushedSince();
    expect(await statuses([...old, ...later])).toEqual(all(404, [...old, ...later]));
  });

  test('fails for longer than an old answer may be used, is as one that does not exist', async () => {
    const { upstream, ask, statuses, old, later } = await pushedSince({ access: { staleMs: hour } });
    upstream.faults.add(question, refusals.pullLimit);
    expect(await statuses([...old, ...later])).toEqual(all(404, [...old, ...later]));
    expect(told(await ask(later[0] ?? ''))).toEqual(told(await ask('/v2/acme/missing/manifests/latest')));
  });
});

test('an answer that the full disk does not take counts all the same', async () => {
  const { registry, ask, statuses, old, later } = await pushedSince();
  vi.spyOn(registry.mirror.records, 'putVerdict').mockImplementation(() => {
    throw new Error('database or disk is full');
  });
  expect(await statuses([...old, ...later])).toEqual(all(404, [...old, ...later]));
  expect((await ask('/v2/library/app/manifests/latest')).status).toBe(200);
});

test('what only those pulled whom a rule allows is nobody else’s, though it was public within the hour', async () => {
  const { upstream, registry, statuses, later, pushed } = await pushedSince();
  registry.mirror.records.putVerdict(app, true, Date.now() - hour / 2);
  expect(await statuses(later, asCi)).toEqual(all(200, later));
  registry.mirror.records.putVerdict(app, true, Date.now() - 2 * hour);
  upstream.faults.add(question, refusals.pullLimit);
  expect(await statuses(later)).toEqual(all(503, later));
  expect(registry.mirror.records.tag(app, 'later')).toBeUndefined();
  for (const { digest } of [pushed.config, ...pushed.layers])
    expect(registry.mirror.records.isFrom(app, digest as Digest)).toBe(false);
});

test('an address with too many questions hears the same of everything, and makes nothing private for others', async () => {
  const { upstream, ask } = await withPrivate(running);
  const gate = new Gate();
  upstream.faults.add(question, { holdHeaders: gate });
  const [flood, other] = [from('10.7.7.7'), from('10.8.8.8')];
  const answers: number[] = [];
  const flooding = Array.from({ length: 42 }, async (_, index) =>
    answers.push((await ask(`/v2/made/up${index}/manifests/latest`, flood)).status),
  );
  await until('it has its share', () => answers.length >= 10);
  expect(answers).toEqual(all(503, [...'0123456789']));
  const heard = await Promise.all(
    ['library/app', 'acme/app', 'acme/missing'].map((name) => ask(`/v2/${name}/manifests/latest`, flood)),
  );
  expect(heard.map(told)).toEqual(
    Array.from({ length: 3 }, () => ({ ...told(heard[0] ?? expect.fail()), status: 503 })),
  );
  const theirs = ask('/v2/library/app/manifests/latest', other);
  gate.open();
  expect((await theirs).status).toBe(200);
  await Promise.all(flooding);
  expect((await ask('/v2/library/app/manifests/latest', flood)).status).toBe(200);
});
