// Stored blobs hashed again: what lies is dropped, what is true is proven, at a bounded rate and in turn.
import { rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { Scrub, type ScrubOptions } from '../../src/jobs/scrub.ts';
import { type Digest, digestAlgorithm, digestOf } from '../../src/oci/digest.ts';
import type { Following } from '../../src/store/verifier.ts';
import { type JobScene, openJobScene } from './job-scene.ts';

const mebibyte = 1024 * 1024;
const hour = 3_600_000;
const idle = 30_000;

/** A clock that only waiting moves, and a scrub that ends when it has waited idly so often. */
function clocked(at: JobScene, idles: number, startAt = 1_800_000_000_000) {
  const clock = { now: startAt, waits: [] as number[] };
  const options: Partial<ScrubOptions> = {
    now: () => clock.now,
    wait: async (ms) => {
      clock.now += ms;
      clock.waits.push(ms);
      if (ms === idle && --idles === 0) at.stopping.abort(new Error('stopping'));
      at.signal.throwIfAborted();
    },
  };
  return { clock, options };
}

async function scrubOnce(at: JobScene, given: Partial<ScrubOptions> = {}, idles = 1) {
  const { clock, options } = clocked(at, idles);
  await new Scrub({ ...at, ...options, ...given }).run();
  return clock;
}

/** Which blobs are hashed, in order; `act` runs while each is. */
function watched(at: JobScene, act: (digest: Digest) => Promise<void> | void = () => {}) {
  const hashed: Digest[] = [];
  const follow = (path: string, algorithm: 'sha256' | 'sha512'): Following => {
    const following = at.verifier.follow(path, algorithm);
    const digest = `${algorithm}:${path.slice(path.lastIndexOf('/') + 1)}` as Digest;
    hashed.push(digest);
    return {
      ...following,
      finish: async () => {
        const encoded = await following.finish();
        await act(digest);
        return encoded;
      },
    };
  };
  return { hashed, verifier: { follow } };
}

/** By result, as the metric has them. */
async function counted(at: JobScene): Promise<Record<string, number>> {
  const { values } = await at.metrics.scrubbedBlobs.get();
  const counted = values.filter(({ value }) => value > 0);
  return Object.fromEntries(counted.map(({ labels, value }) => [labels.result, value]));
}

describe('a stored blob', () => {
  test('that is what its name says stays, and is counted', async () => {
    await using at = await openJobScene();
    const digests = [await at.putBlob('one'), await at.putBlob(''), await at.putBlob('x'.repeat(3 * mebibyte))];
    await scrubOnce(at);
    expect(digests.every((digest) => at.records.blob(digest)?.proven)).toBe(true);
    expect(await counted(at)).toEqual({ ok: 3 });
    expect(at.warnings).toEqual([]);
  });

  test('that lies goes, file and record, and is counted and told', async () => {
    await using at = await openJobScene();
    const [kept, lying] = [await at.putBlob('kept'), await at.putBlob('the right bytes')];
    await writeFile(at.layout.blob(lying), 'the wrong bytes');
    await scrubOnce(at);
    expect(at.records.blob(lying)).toBeUndefined();
    expect(await at.sizeOnDisk(lying)).toBeUndefined();
    expect(at.records.blob(kept)).toBeDefined();
    expect(await counted(at)).toEqual({ ok: 1, damaged: 1 });
    expect(at.warnings).toEqual(['a stored blob was damaged; it will be fetched again']);
  });

  test.each<[string, (path: string) => Promise<void>]>([
    ['gone', (path) => rm(path)],
    ['cut short', (path) => truncate(path, 3)],
    ['longer than it was', (path) => truncate(path, 300)],
  ])('whose file is %s is forgotten, and what lies there removed', async (_what, damage) => {
    await using at = await openJobScene();
    const digest = await at.putBlob('some bytes');
    await damage(at.layout.blob(digest));
    await scrubOnce(at);
    expect(at.records.blob(digest)).toBeUndefined();
    expect(await at.sizeOnDisk(digest)).toBeUndefined();
    expect(await counted(at)).toEqual({});
    expect(at.warnings).toHaveLength(1);
  });

  test('whose file the disk cannot read any more goes as one that lies', async () => {
    await using at = await openJobScene();
    const digest = await at.putBlob('some bytes');
    const { verifier } = failing(at, 'the file could not be hashed: EIO: i/o error, read');
    await scrubOnce(at, { verifier });
    expect(at.records.blob(digest)).toBeUndefined();
    expect(await counted(at)).toEqual({ damaged: 1 });
  });

  test.each(['the hashing worker ended', 'the file could not be hashed: EMFILE: too many open files, open'])(
    'stays when nothing was learned of it: %s',
    async (message) => {
      await using at = await openJobScene();
      const digest = await at.putBlob('some bytes');
      const { verifier } = failing(at, message);
      await scrubOnce(at, { verifier });
      expect(at.records.blob(digest)?.proven).toBe(true);
      expect(await counted(at)).toEqual({});
    },
  );
});

test('a file that cannot be looked at keeps no other one from being checked', async () => {
  await using at = await openJobScene();
  const digests = [await at.putBlob('first'), await at.putBlob('second'), await at.putBlob('third')].sort();
  const [looping] = digests as [Digest];
  await rm(at.layout.blob(looping));
  await symlink(at.layout.blob(looping), at.layout.blob(looping));
  await scrubOnce(at);
  expect(await counted(at)).toEqual({ ok: 2 });
  expect(at.records.blob(looping)).toBeDefined();
  expect(at.warnings).toEqual([]);
});

function failing(at: JobScene, message: string) {
  const follow = (path: string, algorithm: 'sha256' | 'sha512'): Following => ({
    ...at.verifier.follow(path, algorithm),
    finish: () => Promise.reject(new Error(message)),
  });
  return { verifier: { follow } };
}

describe('a blob that changes while it is hashed', () => {
  test('is not judged by the bytes that were there before', async () => {
    await using at = await openJobScene();
    const digest = await at.putBlob('the right bytes');
    await writeFile(at.layout.blob(digest), 'the wrong bytes');
    const { verifier } = watched(at, async () => {
      at.records.deleteBlob(digest);
      await at.store.remove(digest);
      await at.putBlob('the right bytes');
    });
    await scrubOnce(at, { verifier });
    expect(at.records.blob(digest)?.proven).toBe(true);
    expect(await at.sizeOnDisk(digest)).toBe(15);
    expect(at.warnings).toEqual([]);
  });

  test('and is evicted is not missed', async () => {
    await using at = await openJobScene();
    const digest = await at.putBlob('some bytes');
    const { verifier } = watched(at, async () => {
      at.records.deleteBlob(digest);
      await at.store.remove(digest);
    });
    await scrubOnce(at, { verifier });
    expect(at.records.totals.blobs).toBe(0);
    expect(at.warnings).toEqual([]);
  });

  test('and was written anew under the same record is not proven by the old bytes', async () => {
    await using at = await openJobScene();
    const digest = await at.writeBlobFile('the right bytes');
    at.records.putUnproven(digest, 15, 1000);
    let isFirst = true;
    const { verifier } = watched(at, async () => {
      if (!isFirst) return;
      isFirst = false;
      await writeFile(at.layout.blob(digest), 'the wrong bytes');
      await utimes(at.layout.blob(digest), 5, 5);
      expect(at.records.blob(digest)?.proven).toBe(false);
    });
    await scrubOnce(at, { verifier, bytesPerSecond: 1 });
    expect(at.records.blob(digest)).toBeUndefined();
  });
});

describe('files that nobody knows', () => {
  test('come before everything else, and are proven or dropped', async () => {
    await using at = await openJobScene();
    const stored = await Promise.all(['a', 'b', 'c'].map((bytes) => at.putBlob(bytes)));
    const [found, lying] = [await at.writeBlobFile('found'), await at.writeBlobFile('lying')];
    const long = await at.writeBlobFile('long', digestOf(Buffer.from('long'), 'sha512'));
    at.records.putUnproven(found, 5, 1000);
    at.records.putUnproven(lying, 5, 1000);
    at.records.putUnproven(long, 4, 1000);
    await writeFile(at.layout.blob(lying), 'LYING');
    const { hashed, verifier } = watched(at);
    await scrubOnce(at, { verifier });
    expect(new Set(hashed.slice(0, 3))).toEqual(new Set([found, lying, long]));
    expect(new Set(hashed.slice(3))).toEqual(new Set([...stored, found, long]));
    expect([at.records.blob(found)?.proven, at.records.blob(long)?.proven]).toEqual([true, true]);
    expect(at.records.blob(lying)).toBeUndefined();
  });

  test('are hashed faster than the others', async () => {
    await using at = await openJobScene();
    const bytes = 'x'.repeat(8 * mebibyte);
    at.records.putUnproven(await at.writeBlobFile(bytes), bytes.length, 1000);
    const rates = { bytesPerSecond: mebibyte, unprovenBytesPerSecond: 8 * mebibyte };
    const clock = await scrubOnce(at, rates);
    const spent = clock.waits.reduce((sum, ms) => sum + ms, 0) - idle;
    expect(spent / 1000).toBeCloseTo(1 + 8 + (64 * 1024) / mebibyte + (64 * 1024) / (8 * mebibyte), 1);
  });

  test('that come while a long cycle runs do not wait for its end', async () => {
    await using at = await openJobScene();
    for (let number = 0; number < 40; number++) await at.putBlob(`${number}`.padEnd(mebibyte, ' '));
    const late = await at.writeBlobFile('late');
    const { hashed, verifier } = watched(at, () => {
      if (hashed.length === 10) at.records.putUnproven(late, 4, 1000);
    });
    await scrubOnce(at, { verifier, bytesPerSecond: mebibyte / 4 });
    const cycle = hashed.length - 2;
    expect(hashed.indexOf(late)).toBeGreaterThanOrEqual(10);
    expect(hashed.indexOf(late)).toBeLessThan(10 + cycle / 2);
    expect(at.records.blob(late)?.proven).toBe(true);
  });

  test('and cannot be read do not keep it from going on', async () => {
    await using at = await openJobScene();
    const [stored, found] = [await at.putBlob('stored'), await at.writeBlobFile('found')];
    at.records.putUnproven(found, 5, 1000);
    const { hashed, verifier } = watched(at, (digest) => {
      if (digest === found) throw new Error('EACCES');
    });
    await scrubOnce(at, { verifier }, 3);
    expect(hashed).toContain(stored);
    expect(at.records.blob(found)?.proven).toBe(false);
    expect(hashed.length).toBeLessThan(10);
  });
});

describe('a cycle', () => {
  test('goes through every blob once, in order, and the next one comes a week later', async () => {
    await using at = await openJobScene();
    const digests: Digest[] = [];
    for (let number = 0; number < 150; number++) digests.push(await at.putBlob(`blob ${number}`));
    digests.push(await at.writeBlobFile('long', digestOf(Buffer.from('long'), 'sha512')));
    at.records.putBlob(digests.at(-1) as Digest, 4);
    const { hashed, verifier } = watched(at);
    const week = (7 * 24 * hour) / idle;
    const clock = await scrubOnce(at, { verifier }, week - 1);
    expect(hashed).toEqual(digests.sort());
    expect(new Set(hashed.map(digestAlgorithm)).size).toBe(2);

    await using next = await continued(at);
    const again = watched(next);
    const { options } = clocked(next, 3, clock.now);
    await new Scrub({ ...next, ...options, verifier: again.verifier }).run();
    expect(again.hashed).toEqual(digests);
  });

  test('goes on after a restart where it was', async () => {
    await using at = await openJobScene();
    for (let number = 0; number < 100; number++) await at.putBlob(`${number}`.padEnd(64 * 1024, ' '));
    const first = watched(at, () => {
      if (first.hashed.length === 60) at.stopping.abort(new Error('stopping'));
    });
    const clock = await scrubOnce(at, { verifier: first.verifier, bytesPerSecond: 128 * 1024 });
    expect(first.hashed.length).toBe(60);

    await using next = await continued(at);
    const second = watched(next);
    const { options } = clocked(next, 1, clock.now);
    await new Scrub({ ...next, ...options, verifier: second.verifier }).run();
    expect(new Set([...first.hashed, ...second.hashed]).size).toBe(100);
    expect(second.hashed.length).toBeLessThan(80);
  });

  test('takes the time that its rate asks for, and small blobs count for something', async () => {
    await using at = await openJobScene();
    await at.putBlob('x'.repeat(16 * mebibyte));
    for (let number = 0; number < 64; number++) await at.putBlob(`small ${number}`);
    const clock = await scrubOnce(at, { bytesPerSecond: 4 * mebibyte });
    const seconds = (clock.waits.reduce((sum, ms) => sum + ms, 0) - idle) / 1000;
    expect(seconds).toBeGreaterThan(4.8);
    expect(seconds).toBeLessThan(5.2);
    expect(clock.waits.every((ms) => ms === idle || ms < 1100)).toBe(true);
  });
});

/** The same cache in another process, as far as it matters. */
async function continued(at: JobScene) {
  const stopping = new AbortController();
  return { ...at, stopping, signal: stopping.signal, [Symbol.asyncDispose]: async () => stopping.abort() };
}

describe('a scrub', () => {
  test('ends in the middle of a blob when the process stops', async () => {
    await using at = await openJobScene();
    const digest = await at.putBlob('some bytes');
    const abandoned: string[] = [];
    const follow = (path: string): Following => ({
      advance: () => {},
      finish: () => {
        queueMicrotask(() => at.stopping.abort(new Error('stopping')));
        return new Promise(() => {});
      },
      suspend: async () => {},
      abandon: () => abandoned.push(path),
    });
    await new Scrub({ ...at, verifier: { follow } }).run();
    expect(abandoned).toEqual([at.layout.blob(digest)]);
    expect(at.records.blob(digest)).toBeDefined();
    expect(at.warnings).toEqual([]);
  });

  test('that cannot use the index says so and tries again a minute later', async () => {
    await using at = await openJobScene();
    const digest = await at.writeBlobFile('found');
    at.records.putUnproven(digest, 5, 1000);
    let failures = 2;
    const records = new Proxy(at.records, {
      get: (target, name) => {
        if (name === 'prove' && failures-- > 0) throw new Error('database or disk is full');
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const clock = await scrubOnce(at, { records });
    expect(at.warnings).toEqual(Array(2).fill('stored blobs could not be checked; they will be later'));
    expect(clock.waits.filter((ms) => ms === 60_000)).toHaveLength(2);
    expect(at.records.blob(digest)?.proven).toBe(true);
  });
});
