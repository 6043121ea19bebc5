// All that rests here hashed at once: what lies is told, and goes if that is asked for; what only changed is no lie.
import { rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { type VerifyEvent, type VerifyOptions, verify } from '../../src/jobs/verify.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import type { Following } from '../../src/store/verifier.ts';
import { type JobScene, openJobScene } from './job-scene.ts';

async function verified(at: JobScene, parts: Partial<JobScene> = {}, options: Partial<VerifyOptions> = {}) {
  const events: VerifyEvent[] = [];
  const onEvent = (event: VerifyEvent) => events.push(event);
  const result = await verify({ ...at, ...parts }, { repair: false, signal: at.signal, onEvent, ...options });
  const lies = events.filter(({ type }) => type !== 'progress' && type !== 'done');
  return { result, events, lies };
}

/** The verifier, with `act` between a hash and what is made of it. */
function acting(at: JobScene, act: (digest: Digest) => Promise<void> | void) {
  const follow = (path: string, algorithm: 'sha256' | 'sha512'): Following => {
    const following = at.verifier.follow(path, algorithm);
    const digest = `${algorithm}:${path.slice(path.lastIndexOf('/') + 1)}` as Digest;
    const finish = async () => {
      const encoded = await following.finish();
      await act(digest);
      return encoded;
    };
    return { ...following, finish };
  };
  return { verifier: { follow } as JobScene['verifier'] };
}

describe('a verify', () => {
  test('of what is true finds nothing, and tells how far it is', async () => {
    await using at = await openJobScene();
    for (let number = 0; number < 150; number++) await at.putBlob(`blob ${number}`);
    const long = await at.writeBlobFile('long', digestOf(Buffer.from('long'), 'sha512'));
    at.records.putBlob(long, 4);
    const { bytes, blobs } = at.records.totals;
    const { result, events, lies } = await verified(at);
    const done = { checkedBlobs: blobs, checkedBytes: bytes, damaged: 0, missing: 0, unread: 0, dropped: 0 };
    expect(result).toEqual(done);
    expect(lies).toEqual([]);
    const totals = { totalBlobs: blobs, totalBytes: bytes };
    expect(events[0]).toEqual({ type: 'progress', checkedBlobs: 0, checkedBytes: 0, ...totals });
    expect(events.at(-2)).toEqual({ type: 'progress', checkedBlobs: blobs, checkedBytes: bytes, ...totals });
    expect(events.at(-1)).toEqual({ type: 'done', ...done });
  });

  test('of nothing is over at once', async () => {
    await using at = await openJobScene();
    const { result } = await verified(at);
    expect(result).toEqual({ checkedBlobs: 0, checkedBytes: 0, damaged: 0, missing: 0, unread: 0, dropped: 0 });
  });

  test.each([false, true])('tells each lie with what was found, and drops it only to repair: %s', async (repair) => {
    await using at = await openJobScene();
    const [kept, wrong, short, gone] = [
      await at.putBlob('kept'),
      await at.putBlob('right'),
      await at.putBlob('not so short'),
      await at.putBlob('gone'),
    ];
    await writeFile(at.layout.blob(wrong), 'wrong');
    await truncate(at.layout.blob(short), 3);
    await rm(at.layout.blob(gone));
    const { result, lies } = await verified(at, {}, { repair });
    const isDropped = repair;
    const told = [
      { type: 'damaged', digest: wrong, sizeBytes: 5, found: digestOf(Buffer.from('wrong')), isDropped },
      { type: 'damaged', digest: short, sizeBytes: 12, found: '3 bytes', isDropped },
      { type: 'missing', digest: gone, sizeBytes: 4, isDropped },
    ];
    expect(lies).toHaveLength(3);
    expect(lies).toEqual(expect.arrayContaining(told));
    expect(result).toMatchObject({ checkedBlobs: 4, damaged: 2, missing: 1, dropped: repair ? 3 : 0 });
    const records = [kept, wrong, short, gone].map((digest) => at.records.blob(digest) !== undefined);
    expect(records).toEqual([true, !repair, !repair, !repair]);
    expect([await at.sizeOnDisk(wrong), await at.sizeOnDisk(kept)]).toEqual([repair ? undefined : 5, 4]);
    if (repair) expect((await verified(at)).lies).toEqual([]);
  });

  test('proves what nobody had proven', async () => {
    await using at = await openJobScene();
    const [found, lying] = [await at.writeBlobFile('found'), await at.writeBlobFile('lying')];
    for (const digest of [found, lying]) at.records.putUnproven(digest, 5, 1000);
    await writeFile(at.layout.blob(lying), 'LYING');
    const { result } = await verified(at);
    expect(at.records.blob(found)?.proven).toBe(true);
    expect(at.records.blob(lying)?.proven).toBe(false);
    expect(result.damaged).toBe(1);
  });

  test('tells what the disk cannot read as damaged, with why', async () => {
    await using at = await openJobScene();
    const digest = await at.putBlob('some bytes');
    const parts = acting(at, () => {
      throw new Error('EIO: i/o error, read');
    });
    const { lies } = await verified(at, parts);
    expect(lies).toEqual([
      { type: 'damaged', digest, sizeBytes: 10, found: expect.stringContaining('EIO'), isDropped: false },
    ]);
  });

  test('tells what it could not read for another reason, counts it as checked by nobody, and drops it never', async () => {
    await using at = await openJobScene();
    const digest = await at.putBlob('some bytes');
    await at.putBlob('other');
    const parts = acting(at, (hashed) => {
      if (hashed === digest) throw new Error('EACCES: permission denied, open');
    });
    const { result, lies, events } = await verified(at, parts, { repair: true });
    const found = 'EACCES: permission denied, open';
    expect(lies).toEqual([{ type: 'unread', digest, sizeBytes: 10, found, isDropped: false }]);
    const done = { checkedBlobs: 1, checkedBytes: 5, damaged: 0, missing: 0, unread: 1, dropped: 0 };
    expect(result).toEqual(done);
    expect(events.at(-2)).toMatchObject({ type: 'progress', checkedBlobs: 1, totalBlobs: 2, checkedBytes: 5 });
    expect(at.records.blob(digest)).toBeDefined();
    expect(await at.sizeOnDisk(digest)).toBe(10);
  });

  test('tells what it cannot even look at, and goes on', async () => {
    await using at = await openJobScene();
    const digests = [await at.putBlob('first'), await at.putBlob('second'), await at.putBlob('third')].sort();
    const [looping] = digests as [Digest];
    await rm(at.layout.blob(looping));
    await symlink(at.layout.blob(looping), at.layout.blob(looping));
    const { result, lies } = await verified(at, {}, { repair: true });
    expect(lies).toMatchObject([{ type: 'unread', digest: looping, found: expect.stringContaining('ELOOP') }]);
    expect(result).toMatchObject({ checkedBlobs: 2, unread: 1, dropped: 0 });
    expect(at.records.blob(looping)).toBeDefined();
  });
});

describe('a blob that meanwhile', () => {
  test('is evicted is not missing', async () => {
    await using at = await openJobScene();
    await at.putBlob('some bytes');
    const parts = acting(at, async (digest) => {
      at.records.deleteBlob(digest);
      await at.store.remove(digest);
    });
    const { result, lies } = await verified(at, parts, { repair: true });
    expect(lies).toEqual([]);
    expect(result).toMatchObject({ checkedBlobs: 0, checkedBytes: 0, missing: 0, unread: 0 });
  });

  test('is stored anew is not judged by the bytes before', async () => {
    await using at = await openJobScene();
    const digest = await at.putBlob('right bytes');
    await writeFile(at.layout.blob(digest), 'wrong bytes');
    const parts = acting(at, async () => {
      at.records.deleteBlob(digest);
      await at.store.remove(digest);
      await at.putBlob('right bytes');
      await utimes(at.layout.blob(digest), 5, 5);
    });
    const { lies } = await verified(at, parts, { repair: true });
    expect(lies).toEqual([]);
    expect(await at.sizeOnDisk(digest)).toBe(11);
  });

  test('is stored for the first time may be among what is checked, and does no harm', async () => {
    await using at = await openJobScene();
    await at.putBlob('a');
    let more = 5;
    const parts = acting(at, async () => {
      if (more-- > 0) await at.putBlob(`another ${more}`);
    });
    const { result } = await verified(at, parts);
    expect(result).toMatchObject({ damaged: 0, missing: 0 });
  });
});

describe('it ends', () => {
  test('when nobody waits for it any more, with nothing hashed after that', async () => {
    await using at = await openJobScene();
    for (let number = 0; number < 100; number++) await at.putBlob(`blob ${number}`);
    const leaving = new AbortController();
    let hashed = 0;
    const parts = acting(at, () => {
      if (++hashed === 10) leaving.abort(new Error('nobody waits'));
    });
    const running = verified(at, parts, { signal: leaving.signal });
    await expect(running).rejects.toThrow('nobody waits');
    const before = hashed;
    expect(before).toBeLessThan(20);
    await new Promise((resolve) => setImmediate(resolve));
    expect(hashed).toBe(before);
  });

  test('when nobody waits for it any more, although there is nothing to hash', async () => {
    await using at = await openJobScene();
    for (let number = 0; number < 100; number++) await rm(at.layout.blob(await at.putBlob(`blob ${number}`)));
    const leaving = new AbortController();
    let lies = 0;
    const onEvent = ({ type }: VerifyEvent) => {
      if (type === 'missing' && ++lies === 10) leaving.abort(new Error('nobody waits'));
    };
    await expect(verify(at, { repair: false, signal: leaving.signal, onEvent })).rejects.toThrow('nobody waits');
    expect(lies).toBeLessThan(20);
  });

  test('when the index cannot be used, and says that', async () => {
    await using at = await openJobScene();
    for (let number = 0; number < 100; number++) await at.putBlob(`blob ${number}`);
    const records = new Proxy(at.records, {
      get: (target, name) => {
        if (name === 'blob') throw new Error('the index is damaged');
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    let hashed = 0;
    const parts = acting(at, () => {
      hashed++;
    });
    await expect(verified(at, { ...parts, records })).rejects.toThrow('the index is damaged');
    expect(hashed).toBeLessThan(10);
  });
});
