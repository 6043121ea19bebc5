// The embedded index: what it remembers, over a restart too.
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { Records } from '../../src/store/records.ts';
import { tempDir } from '../support/temp-dir.ts';

const [one, two] = [digestOf(Buffer.from('1')), digestOf(Buffer.from('2'), 'sha512')];
const redis = { registry: 'docker.io', path: 'library/redis' };

const inMemory = () => new Records(':memory:');

describe('blobs', () => {
  test('are unknown until they are put, and after they are deleted', () => {
    const records = inMemory();
    expect(records.blob(one)).toBeUndefined();
    records.putBlob(one, 7);
    expect(records.blob(one)).toMatchObject({ size: 7, mediaType: undefined, proven: true });
    expect(records.blob(two)).toBeUndefined();
    records.deleteBlob(one);
    expect(records.blob(one)).toBeUndefined();
  });

  test('that are manifests keep their media type', () => {
    const records = inMemory();
    records.putBlob(one, 7, 'application/vnd.oci.image.index.v1+json');
    expect(records.blob(one)).toMatchObject({ size: 7, mediaType: 'application/vnd.oci.image.index.v1+json' });
  });

  test('are counted once each, whatever is put twice or deleted for nothing', () => {
    const records = inMemory();
    expect(records.totals).toEqual({ bytes: 0, blobs: 0 });
    records.putBlob(one, 7);
    records.putBlob(two, 2 ** 40);
    records.putBlob(one, 9);
    expect(records.totals).toEqual({ bytes: 9 + 2 ** 40, blobs: 2 });
    records.deleteBlob(two);
    records.deleteBlob(two);
    expect(records.totals).toEqual({ bytes: 9, blobs: 1 });
  });
});

test('gains grow when something rests here that did not, or was not proven', () => {
  const records = inMemory();
  const seen = [records.gains];
  const note = () => seen.push(records.gains);
  records.putUnproven(one, 1, 1);
  note();
  records.prove(one);
  note();
  records.deleteBlob(one);
  note();
  records.putBlob(one, 1);
  note();
  const [atFirst = 0, unproven, proven = 0, deleted, put = 0] = seen;
  expect([unproven, deleted]).toEqual([atFirst, proven]);
  expect([proven > atFirst, put > proven]).toEqual([true, true]);
});

test('losses grow when something that rested here goes, and only then', () => {
  const records = new Records(':memory:');
  const digest = digestOf(Buffer.from('content'));
  const before = records.losses;
  records.putBlob(digest, 1);
  records.deleteBlob(digestOf(Buffer.from('never here')));
  expect(records.losses).toBe(before);
  records.deleteBlob(digest);
  expect(records.losses).toBeGreaterThan(before);
});

describe('files that were found', () => {
  test('are unproven until somebody has hashed them', () => {
    const records = inMemory();
    records.putUnproven(one, 7, 1000);
    expect(records.blob(one)).toMatchObject({ size: 7, mediaType: undefined, proven: false });
    expect(records.unprovenAfter('', 10)).toMatchObject([{ digest: one, size: 7 }]);
    records.prove(one);
    records.prove(two);
    expect(records.blob(one)?.proven).toBe(true);
    expect(records.unprovenAfter('', 10)).toEqual([]);
  });

  test('change nothing about a blob that is known', () => {
    const records = inMemory();
    records.putBlob(one, 7, 'm');
    const before = records.blob(one);
    records.putUnproven(one, 9, 1000);
    expect(records.blob(one)).toEqual(before);
  });

  test('become what is stored in their place', () => {
    const records = inMemory();
    records.putUnproven(one, 7, 1000);
    records.putBlob(one, 9, 'm');
    expect(records.blob(one)).toMatchObject({ size: 9, mediaType: 'm', proven: true });
    expect(records.totals).toEqual({ bytes: 9, blobs: 1 });
  });

  test('are counted, and used when their file says', () => {
    const records = inMemory();
    records.putBlob(one, 7);
    records.putUnproven(two, 5, 1234.5);
    expect(records.totals).toEqual({ bytes: 12, blobs: 2 });
    expect(records.oldest(9)).toMatchObject([{ digest: two, size: 5, usedAt: 1234.5 }, { digest: one }]);
  });
});

test('blobs are walked through in the order of their digests, from any beginning of one', () => {
  const records = inMemory();
  const digests = Array.from({ length: 50 }, (_, number) => digestOf(Buffer.from(`${number}`))).sort();
  for (const digest of digests) records.putBlob(digest, 1);
  const from = digests[20]?.slice(0, 9) ?? '';
  expect(records.blobsAfter(from, 3).map(({ digest }) => digest)).toEqual(
    digests.filter((digest) => digest > from).slice(0, 3),
  );
  expect(records.blobsAfter(digests.at(-2) ?? '', 9)).toMatchObject([
    { digest: digests.at(-1), size: 1, proven: true },
  ]);
  expect(records.blobsAfter(digests.at(-1) ?? '', 9)).toEqual([]);
});

describe('the least recently used', () => {
  const digests = Array.from({ length: 6 }, (_, number) => digestOf(Buffer.from(`blob ${number}`)));
  const numbersOf = (used: readonly { digest: string }[]) => used.map(({ digest }) => digests.indexOf(digest as never));

  function stored(): Records {
    const records = inMemory();
    for (const [number, digest] of digests.entries()) records.putBlob(digest, number);
    return records;
  }

  const touch = (records: Records, number: number) => records.touch(records.blob(digests[number] ?? one)?.id ?? 0);

  test('come first, and what is touched or stored again comes last', () => {
    const records = stored();
    touch(records, 0);
    records.putBlob(digests[2] ?? one, 9);
    expect(numbersOf(records.oldest(9))).toEqual([1, 3, 4, 5, 0, 2]);
    expect(numbersOf(records.oldest(2))).toEqual([1, 3]);
  });

  test('can be gone through in parts, while they are deleted', () => {
    const records = stored();
    const first = records.oldest(2);
    for (const { digest } of first) records.deleteBlob(digest);
    expect(numbersOf(records.oldest(2, first.at(-1)))).toEqual([2, 3]);
    expect(numbersOf(records.oldest(9))).toEqual([2, 3, 4, 5]);
  });

  test('do not count an id that another blob has now', () => {
    const records = stored();
    const id = records.blob(digests[1] ?? one)?.id;
    records.deleteBlob(digests[1] ?? one);
    records.putBlob(one, 1);
    expect(records.blob(one)?.id).toBe(id);
    expect(records.oldest(9).at(-1)?.digest).toBe(one);
  });

  test('are the same after a batch that failed', () => {
    const records = stored();
    const before = records.oldest(9);
    expect(() =>
      records.batch(() => {
        records.deleteBlob(digests[3] ?? one);
        records.putBlob(one, 1);
        records.putBlob(two, 1);
        records.deleteBlob(one);
        throw new Error('no room');
      }),
    ).toThrow('no room');
    expect(records.oldest(9)).toEqual(before);
    expect(records.totals.blobs).toBe(6);
    records.putBlob(two, 1);
    expect(records.oldest(9)).toMatchObject([...before.map(({ digest }) => ({ digest })), { digest: two }]);
  });
});

test('small values are kept by their keys', () => {
  const records = inMemory();
  expect(records.meta('a')).toBeUndefined();
  records.putMeta('a', '1');
  records.putMeta('b', '');
  records.putMeta('a', '2');
  expect([records.meta('a'), records.meta('b')]).toEqual(['2', '']);
});

describe('an index on disk', () => {
  test('is the same after it was closed and opened', async () => {
    await using dir = await tempDir('records');
    const path = join(dir.path, 'index.db');
    const before = new Records(path);
    before.putBlob(one, 7, 'm');
    before.putBlob(two, 5);
    before.addLinks(redis, [{ digest: one, size: 7, mediaType: 'm' }]);
    before.putTag(redis, 'latest', { digest: one, checkedAt: 42 });
    before.close();

    const after = new Records(path);
    expect(after.totals).toEqual({ bytes: 12, blobs: 2 });
    expect(after.blob(one)).toMatchObject({ size: 7, mediaType: 'm', proven: true });
    expect(after.link(redis, one)).toEqual({ digest: one, size: 7, mediaType: 'm', proven: false });
    expect(after.tag(redis, 'latest')).toEqual({ digest: one, checkedAt: 42 });
    after.putTag(redis, 'other', { digest: two, checkedAt: 43 });
    expect(after.repositories(10)).toEqual(['docker.io/library/redis']);
    after.close();
  });

  test('keeps uses, pins, and what is not proven', async () => {
    await using dir = await tempDir('records');
    const path = join(dir.path, 'index.db');
    const before = new Records(path);
    before.putBlob(one, 1);
    before.putBlob(two, 2);
    before.putUnproven(digestOf(Buffer.from('3')), 3, 1000);
    before.touch(before.blob(one)?.id ?? 0);
    before.pin(redis, 'latest');
    before.putMeta('key', 'value');
    const uses = before.oldest(9);
    expect(before.isFresh).toBe(true);
    before.close();

    const after = new Records(path);
    expect(after.oldest(9)).toEqual(uses);
    expect(after.pins()).toEqual([{ repository: redis, reference: { tag: 'latest' } }]);
    expect(after.meta('key')).toBe('value');
    expect(after.unprovenAfter('', 9)).toHaveLength(1);
    expect(after.isFresh).toBe(false);
    const version = after.pinsVersion;
    after.putTag(redis, 'latest', { digest: one, checkedAt: 1 });
    expect(after.pinsVersion).toBeGreaterThan(version);
    after.close();
  });

  test('knows every blob of a process that was killed, and when it was used', async () => {
    await using dir = await tempDir('records');
    const records = new Records(join(dir.path, 'index.db'));
    const digests = Array.from({ length: 1200 }, (_, number) => digestOf(Buffer.from(`${number}`)));
    for (const digest of digests) records.putBlob(digest, 1);
    for (const digest of digests.slice(0, 600)) records.deleteBlob(digest);
    for (const digest of digests.slice(0, 100)) records.putBlob(digest, 1);
    for (const suffix of ['', '-wal'])
      await copyFile(join(dir.path, `index.db${suffix}`), join(dir.path, `killed.db${suffix}`));
    const expected = records.oldest(9999);
    records.close();

    const killed = new Records(join(dir.path, 'killed.db'));
    expect(new Set(killed.oldest(9999).map(({ digest }) => digest))).toEqual(
      new Set(expected.map(({ digest }) => digest)),
    );
    expect(killed.oldest(9999)).toHaveLength(700);
    for (let added = 0; added < 700; added++) killed.putBlob(digestOf(Buffer.from(`new ${added}`)), 1);
    expect(killed.totals).toEqual({ bytes: 1400, blobs: 1400 });
    expect(killed.oldest(9999)).toHaveLength(1400);
    killed.close();
  });

  test('of a newer program is refused and left as it is', async () => {
    await using dir = await tempDir('records');
    const path = join(dir.path, 'index.db');
    new Records(path).close();
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 5');
    newer.close();
    for (let attempt = 0; attempt < 2; attempt++)
      expect(() => new Records(path)).toThrow(
        `the index was written by a newer Stillwater: ${path}: schema 5, this program knows 4`,
      );
  });
});
