// When the upstream cannot confirm a tag: the old answer for a while, never a record that promises what is not here.
import { describe, expect, test, vi } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { type Upstream, UpstreamError, type UpstreamFailure } from '../../src/upstream/upstream.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import { Gate } from '../support/gate.ts';
import { laterClock } from '../support/later-clock.ts';
import { aborted, altered, patient, type StartedMirror, type StartMirrorOptions, startMirror } from './start-mirror.ts';

interface Scene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly mirror: StartedMirror;
  readonly digest: string;
  get(signal?: AbortSignal): Promise<{ digest: string | undefined; outcome: string | undefined }>;
  record(): { digest: string; checkedAt: number } | undefined;
}

const hour = 3_600_000;

/** A mirror that knows a tag, last confirmed `ageMs` ago, which is past its ttl of an hour by default. */
async function expired(options: Partial<StartMirrorOptions> & { ageMs?: number } = {}): Promise<Scene> {
  const { ageMs = 2 * hour } = options;
  const upstream = await startFakeUpstream();
  const { digest } = upstream.addImage('library/app');
  const mirror = await startMirror({
    upstreams: { 'docker.io': upstream },
    ttlMs: hour,
    staleIfErrorMs: 10 * hour,
    ...options,
  });
  const source = mirror.source('library/app');
  await mirror.tags.get(source, 'latest', patient);
  const record = () => mirror.records.tag(source.repository, 'latest');
  const known = record();
  if (known) mirror.records.putTag(source.repository, 'latest', { ...known, checkedAt: Date.now() - ageMs });
  return {
    upstream,
    mirror,
    digest,
    record,
    get: async (signal = patient) => {
      const answer = await mirror.tags.get(source, 'latest', signal);
      return { digest: answer?.manifest.descriptor.digest, outcome: answer?.outcome };
    },
    [Symbol.asyncDispose]: async () => {
      await mirror[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('the old answer stands in', () => {
  test('for an upstream that is down', async () => {
    await using at = await expired();
    await at.upstream.close();
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    expect(at.mirror.logLines).toContainEqual(expect.objectContaining({ msg: 'stale', tag: 'latest' }));
  });

  test.each<[string, FaultEffect]>([
    ['is over its limit', refusals.pullLimit],
    ['fails', refusals.serverError],
    ['is a web page', refusals.html],
    ['hangs up', { hangUp: true }],
  ])('for an upstream that %s', async (_what, effect) => {
    await using at = await expired();
    at.upstream.faults.add({ kind: 'manifest' }, effect);
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
  });

  test('and its record keeps its age, so that a pull 10 s later asks again', async () => {
    using clock = laterClock();
    await using at = await expired();
    const before = at.record();
    await at.upstream.close();
    await at.get();
    expect(at.record()).toEqual(before);
    await at.upstream.reopen();
    clock.pass(10);
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'revalidated' });
  });

  test('when HEAD tells of a move and the GET is refused: the record stays where it was', async () => {
    await using at = await expired();
    const before = at.record();
    at.upstream.addImage('library/app', { layers: ['another layer'] });
    const limit = at.upstream.faults.add({ method: 'GET', kind: 'manifest' }, refusals.pullLimit);
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    expect(at.record()).toEqual(before);
    // The limit is not tried again while it rests.
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    expect(limit.hits).toBe(1);
  });

  test('when HEAD tells of a move and the GET fails, until it does not', async () => {
    using clock = laterClock();
    await using at = await expired();
    const before = at.record();
    const moved = at.upstream.addImage('library/app', { layers: ['another layer'] });
    const failing = at.upstream.faults.add({ method: 'GET', kind: 'manifest' }, refusals.serverError);
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    expect(at.record()).toEqual(before);
    failing.remove();
    clock.pass(10);
    expect(await at.get()).toEqual({ digest: moved.digest, outcome: 'miss' });
  });

  test('when HEAD tells of a digest that the upstream does not have: only its own 404 proves that a tag is gone', async () => {
    await using at = await expired();
    at.upstream.faults.add({ method: 'HEAD' }, { dockerContentDigest: `sha256:${'0'.repeat(64)}` });
    const before = at.record();
    expect(await at.get()).toMatchObject({ digest: at.digest, outcome: 'stale' });
    expect(at.record()).toEqual(before);
  });

  test('when HEAD tells of a move to something that is not there', async () => {
    using clock = laterClock();
    await using at = await expired({ negativeTtlMs: hour });
    const before = at.record();
    const lie = at.upstream.faults.add({ method: 'HEAD' }, { dockerContentDigest: digestOf(Buffer.from('nowhere')) });
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    expect(at.record()).toEqual(before);
    lie.remove();
    clock.pass(10);
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'revalidated' });
  });

  test('but not past staleIfError', async () => {
    await using at = await expired({ ageMs: 11 * hour });
    await at.upstream.close();
    await expect(at.get()).rejects.toMatchObject({ failure: 'unreachable' });
  });

  test('however old it is where it may stand in for ever', async () => {
    await using at = await expired({ ageMs: 1000 * hour, staleIfErrorMs: Number.POSITIVE_INFINITY });
    await at.upstream.close();
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
  });

  test('as long as a rule for the tag says, and no longer', async () => {
    const rules = [{ match: 'docker.io/library/*:latest', staleIfErrorMs: 0 }];
    await using at = await expired({ rules });
    await at.upstream.close();
    await expect(at.get()).rejects.toMatchObject({ failure: 'unreachable' });
  });

  test('when the client’s own time is over before revalidateTimeout', async () => {
    await using at = await expired();
    const gate = new Gate();
    at.upstream.faults.add({ method: 'HEAD' }, { holdHeaders: gate });
    expect(await at.get(AbortSignal.timeout(20))).toEqual({ digest: at.digest, outcome: 'stale' });
    gate.open();
  });

  test('but not for a client that has left', async () => {
    await using at = await expired();
    const gate = new Gate();
    at.upstream.faults.add({ method: 'HEAD' }, { holdHeaders: gate });
    const leaving = new AbortController();
    const asked = at.get(leaving.signal);
    await gate.reached;
    leaving.abort(new Error('gone'));
    await expect(asked).rejects.toThrow('gone');
    gate.open();
    expect(at.mirror.logLines).toEqual([]);
  });
});

describe('an upstream that says at once that it cannot be asked', () => {
  test.each<UpstreamFailure>(['away', 'limited', 'offline', 'login'])('(%s) costs no waiting', async (failure) => {
    const resolve = () => Promise.reject(new UpstreamError(failure, 'not now'));
    const changes: { resolve?: Upstream['resolve'] } = {};
    await using at = await expired({ wrap: (upstream) => altered(upstream, changes) });
    changes.resolve = resolve;
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    expect(at.upstream.count({ method: 'HEAD' })).toBe(1);
  });
});

describe('a revalidation that failed', () => {
  const asked = (at: Scene) => at.upstream.count({ method: 'HEAD', path: '/latest' });

  test('is tried again after 10 s, then after 20 s, and after 10 s again when it succeeded in between', async () => {
    using clock = laterClock();
    await using at = await expired();
    const { mirror, upstream, digest } = at;
    const aged = mirror.records.tag(mirror.source('library/app').repository, 'latest');
    const before = asked(at);
    const failsFor = async (...rests: number[]) => {
      const fault = upstream.faults.add({ kind: 'manifest' }, refusals.unauthorized);
      for (const seconds of rests) {
        for (let pull = 0; pull < 3; pull++) expect(await at.get()).toEqual({ digest, outcome: 'stale' });
        clock.pass(seconds);
      }
      fault.remove();
    };
    await failsFor(10, 20);
    expect(asked(at) - before).toBe(2);
    expect(await at.get()).toEqual({ digest, outcome: 'revalidated' });
    if (aged) mirror.records.putTag(mirror.source('library/app').repository, 'latest', aged);
    await failsFor(10);
    expect(await at.get()).toEqual({ digest, outcome: 'revalidated' });
  });

  test('is told as the reason of each old answer', async () => {
    await using at = await expired();
    at.upstream.faults.add({ kind: 'manifest' }, refusals.unauthorized);
    for (let pull = 0; pull < 2; pull++) await at.get();
    const [first, second] = at.mirror.logLines.filter(({ msg }) => msg === 'stale').map(({ reason }) => reason);
    expect(first).toContain('401');
    expect(second).toBe(first);
  });

  test('keeps nobody waiting who comes after it, however late it was', async () => {
    await using at = await expired({ revalidateTimeoutMs: 400, answerTimeoutMs: 20 });
    at.upstream.faults.add({ method: 'HEAD' }, { holdHeaders: new Gate() });
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    const before = asked(at);
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    expect(asked(at)).toBe(before);
  });

  test('is tried by every pull where no old answer may stand in', async () => {
    await using at = await expired({ ageMs: 11 * hour });
    at.upstream.faults.add({ kind: 'manifest' }, refusals.unauthorized);
    const before = asked(at);
    for (let pull = 0; pull < 3; pull++) await expect(at.get()).rejects.toMatchObject({ name: 'UpstreamError' });
    expect(asked(at) - before).toBe(3);
  });

  test('is tried by every pull where a tag is believed for no time', async () => {
    await using at = await expired({ ttlMs: 0 });
    at.upstream.faults.add({ kind: 'manifest' }, refusals.unauthorized);
    const before = asked(at);
    for (let pull = 0; pull < 3; pull++) expect(await at.get()).toMatchObject({ outcome: 'stale' });
    expect(asked(at) - before).toBe(3);
  });

  test('is not tried again at once within staleWhileRevalidate either', async () => {
    await using at = await expired({ staleWhileRevalidateMs: 2 * hour });
    const resolve = vi.fn(() => Promise.reject(new UpstreamError('failing', 'it fails')));
    const source = at.mirror.source('library/app');
    source.upstream.resolve = resolve;
    for (let pull = 0; pull < 3; pull++) expect(await at.get()).toMatchObject({ digest: at.digest, outcome: 'hit' });
    expect(resolve).toHaveBeenCalledTimes(1);
  });

  test('is tried at once when nobody was asked', async () => {
    const changes: { resolve?: Upstream['resolve'] } = {};
    await using at = await expired({ wrap: (upstream) => altered(upstream, changes) });
    changes.resolve = () => Promise.reject(new UpstreamError('away', 'not now'));
    expect(await at.get()).toMatchObject({ outcome: 'stale' });
    delete changes.resolve;
    expect(await at.get()).toMatchObject({ outcome: 'revalidated' });
  });
});

describe('an answer that is "missing or private", not "missing",', () => {
  test.each<[string, FaultEffect]>([
    ['401', refusals.unauthorized],
    ['403', refusals.denied],
  ])('(%s) leaves the old one standing, inside its window only', async (_what, effect) => {
    await using at = await expired();
    at.upstream.faults.add({ kind: 'manifest' }, effect);
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    await using old = await expired({ ageMs: 11 * hour });
    old.upstream.faults.add({ kind: 'manifest' }, effect);
    await expect(old.get()).rejects.toMatchObject({ name: 'UpstreamError' });
    expect(old.record()).toBeDefined();
  });
});

describe('an upstream slower than revalidateTimeout', () => {
  test('costs the client no more than that, and its answer lands behind', async () => {
    await using at = await expired({ revalidateTimeoutMs: 20 });
    const moved = at.upstream.addImage('library/app', { layers: ['another layer'] });
    const gate = new Gate();
    at.upstream.faults.add({ method: 'HEAD' }, { holdHeaders: gate });
    expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    // The second one joins the revalidation that goes on, and is there when it lands.
    const source = at.mirror.source('library/app');
    const landed = Promise.withResolvers<void>();
    const putTag = at.mirror.records.putTag.bind(at.mirror.records);
    at.mirror.records.putTag = (...told) => {
      putTag(...told);
      landed.resolve();
    };
    gate.open();
    await landed.promise;
    expect(at.mirror.records.tag(source.repository, 'latest')?.digest).toBe(moved.digest);
    expect(await at.get()).toEqual({ digest: moved.digest, outcome: 'hit' });
    expect(at.upstream.count({ method: 'HEAD' })).toBe(2);
  });

  test('is not waited for again by who comes while the same revalidation still runs', async () => {
    await using at = await expired({ revalidateTimeoutMs: 400 });
    const gate = new Gate();
    at.upstream.faults.add({ method: 'HEAD' }, { holdHeaders: gate });
    await at.get();
    const since = performance.now();
    for (let pull = 0; pull < 5; pull++) expect(await at.get()).toEqual({ digest: at.digest, outcome: 'stale' });
    expect(performance.now() - since).toBeLessThan(400);
    gate.open();
  });

  test('is waited for when there is no old answer that may stand in', async () => {
    await using at = await expired({ revalidateTimeoutMs: 20, ageMs: 11 * hour });
    const gate = new Gate();
    at.upstream.faults.add({ method: 'HEAD' }, { holdHeaders: gate });
    const asked = at.get();
    asked.catch(() => {}); // awaited below
    await Promise.all([gate.reached, aborted(AbortSignal.timeout(60))]);
    gate.open();
    expect(await asked).toEqual({ digest: at.digest, outcome: 'revalidated' });
  });
});
