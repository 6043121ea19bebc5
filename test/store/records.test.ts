// The embedded index: what it remembers, over a restart too.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { Records } from '../../src/store/records.ts';
import { tempDir } from '../support/temp-dir.ts';

const [one, two] = [digestOf(Buffer.from('1')), digestOf(Buffer.from('2'), 'sha512')];
const redis = { registry: 'docker.io', path: 'library/redis' };
const nginx = { registry: 'docker.io', path: 'library/nginx' };
const elsewhere = { registry: 'ghcr.io', path: 'library/redis' };
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';

const inMemory = () => new Records(':memory:');

describe('blobs', () => {
  test('are unknown until they are put, and after they are deleted', () => {
    const records = inMemory();
    expect(records.blob(one)).toBeUndefined();
    records.putBlob(one, 7);
    expect(records.blob(one)).toEqual({ size: 7, mediaType: undefined });
    expect(records.blob(two)).toBeUndefined();
    records.deleteBlob(one);
    expect(records.blob(one)).toBeUndefined();
  });

  test('that are manifests keep their media type', () => {
    const records = inMemory();
    records.putBlob(one, 7, 'application/vnd.oci.image.index.v1+json');
    expect(records.blob(one)).toEqual({ size: 7, mediaType: 'application/vnd.oci.image.index.v1+json' });
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

describe('links', () => {
  const layer = { digest: one, size: 7, mediaType: layerType };

  test('belong to their repository alone', () => {
    const records = inMemory();
    records.addLinks(redis, [layer]);
    expect(records.link(redis, one)).toEqual(layer);
    expect(records.link(redis, two)).toBeUndefined();
    expect(records.link(nginx, one)).toBeUndefined();
    expect(records.link(elsewhere, one)).toBeUndefined();
  });

  test('are replaced by what was said last', () => {
    const records = inMemory();
    records.addLinks(redis, [layer]);
    records.addLinks(redis, [
      { ...layer, size: 8 },
      { ...layer, digest: two },
    ]);
    expect(records.link(redis, one)?.size).toBe(8);
    expect(records.link(redis, two)?.size).toBe(7);
  });

  test('of one call are all kept or none', () => {
    const records = inMemory();
    const broken = { ...layer, digest: two, size: null as unknown as number };
    expect(() => records.addLinks(redis, [layer, broken])).toThrow();
    expect(records.link(redis, one)).toBeUndefined();
    records.addLinks(redis, [layer]);
    expect(records.link(redis, one)).toEqual(layer);
  });

  test('outlive the blob: what a repository holds does not depend on what is cached', () => {
    const records = inMemory();
    records.putBlob(one, 7);
    records.addLinks(redis, [layer]);
    records.deleteBlob(one);
    expect(records.link(redis, one)).toEqual(layer);
  });
});

describe('tags', () => {
  test('move, and are forgotten', () => {
    const records = inMemory();
    expect(records.tag(redis, 'latest')).toBeUndefined();
    records.putTag(redis, 'latest', { digest: one, checkedAt: 1000 });
    records.putTag(redis, 'latest', { digest: two, checkedAt: 1_900_000_000_123 });
    expect(records.tag(redis, 'latest')).toEqual({ digest: two, checkedAt: 1_900_000_000_123 });
    expect(records.tag(nginx, 'latest')).toBeUndefined();
    records.deleteTag(nginx, 'latest');
    records.deleteTag(redis, 'other');
    expect(records.tag(redis, 'latest')).toBeDefined();
    records.deleteTag(redis, 'latest');
    expect(records.tag(redis, 'latest')).toBeUndefined();
  });

  test('are listed in lexical order, after the last one seen, no more than asked for', () => {
    const records = inMemory();
    for (const tag of ['b', 'a', 'B', '10', '9', '_x', 'a.1', 'a-1'])
      records.putTag(redis, tag, { digest: one, checkedAt: 1 });
    records.putTag(nginx, 'other', { digest: one, checkedAt: 1 });
    const sorted = ['10', '9', 'B', '_x', 'a', 'a-1', 'a.1', 'b'];
    expect(records.tags(redis, 100)).toEqual(sorted);
    expect(records.tags(redis, 3)).toEqual(sorted.slice(0, 3));
    expect(records.tags(redis, 100, '_x')).toEqual(sorted.slice(4));
    expect(records.tags(redis, 2, 'a-0')).toEqual(['a-1', 'a.1']);
    expect(records.tags(redis, 100, 'b')).toEqual([]);
    expect(records.tags(redis, 0)).toEqual([]);
    expect(records.tags(elsewhere, 100)).toEqual([]);
  });
});

test('repositories are listed with their registry, in order, in pages', () => {
  const records = inMemory();
  records.putTag(redis, 'latest', { digest: one, checkedAt: 1 });
  records.addLinks(elsewhere, [{ digest: one, size: 7, mediaType: layerType }]);
  records.addLinks(nginx, [{ digest: one, size: 7, mediaType: layerType }]);
  const names = ['docker.io/library/nginx', 'docker.io/library/redis', 'ghcr.io/library/redis'];
  expect(records.repositories(10)).toEqual(names);
  expect(records.repositories(2)).toEqual(names.slice(0, 2));
  expect(records.repositories(2, names[1])).toEqual(names.slice(2));
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
    expect(after.blob(one)).toEqual({ size: 7, mediaType: 'm' });
    expect(after.link(redis, one)).toEqual({ digest: one, size: 7, mediaType: 'm' });
    expect(after.tag(redis, 'latest')).toEqual({ digest: one, checkedAt: 42 });
    after.putTag(redis, 'other', { digest: two, checkedAt: 43 });
    expect(after.repositories(10)).toEqual(['docker.io/library/redis']);
    after.close();
  });

  test('of a newer program is refused and left as it is', async () => {
    await using dir = await tempDir('records');
    const path = join(dir.path, 'index.db');
    new Records(path).close();
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 2');
    newer.close();
    for (let attempt = 0; attempt < 2; attempt++)
      expect(() => new Records(path)).toThrow(
        `the index was written by a newer Stillwater: ${path}: schema 2, this program knows 1`,
      );
  });
});
