// What the index remembers of repositories: links, tags and pins.
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { Records } from '../../src/store/records.ts';

const [one, two] = [digestOf(Buffer.from('1')), digestOf(Buffer.from('2'), 'sha512')];
const redis = { registry: 'docker.io', path: 'library/redis' };
const nginx = { registry: 'docker.io', path: 'library/nginx' };
const elsewhere = { registry: 'ghcr.io', path: 'library/redis' };
const layerType = 'application/vnd.oci.image.layer.v1.tar+gzip';

const inMemory = () => new Records(':memory:');

describe('referrers', () => {
  const inRedis = (records: Records) => records.referrers(redis, one, 10);

  test('belong to their repository and their subject, each once', () => {
    const records = inMemory();
    records.addReferrer(redis, one, two);
    records.addReferrer(redis, one, two);
    expect(inRedis(records)).toEqual([two]);
    expect(records.referrers(nginx, one, 10)).toEqual([]);
    expect(records.referrers(redis, two, 10)).toEqual([]);
  });

  test('come in bounded numbers', () => {
    const records = inMemory();
    for (let number = 0; number < 5; number++) records.addReferrer(redis, one, digestOf(Buffer.from(`${number}`)));
    expect(records.referrers(redis, one, 3)).toHaveLength(3);
    expect(inRedis(records)).toHaveLength(5);
  });

  test('go with their own blob, not with their subject', () => {
    const records = inMemory();
    for (const digest of [one, two]) records.putBlob(digest, 1);
    records.addReferrer(redis, one, two);
    records.deleteBlob(one);
    expect(inRedis(records)).toEqual([two]);
    records.deleteBlob(two);
    expect(inRedis(records)).toEqual([]);
  });
});

describe('links', () => {
  const layer = { digest: one, size: 7, mediaType: layerType };

  test('belong to their repository alone', () => {
    const records = inMemory();
    records.addLinks(redis, [layer]);
    expect(records.link(redis, one)).toEqual({ ...layer, proven: false });
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

  test('are proven by the registry, and stay so as it said whatever a manifest names later', () => {
    const records = inMemory();
    records.addLinks(redis, [layer]);
    records.proveLink(redis, { ...layer, size: 8 });
    expect(records.link(redis, one)).toEqual({ ...layer, size: 8, proven: true });
    records.addLinks(redis, [{ ...layer, size: 9, mediaType: 'm' }]);
    expect(records.link(redis, one)).toEqual({ ...layer, size: 8, proven: true });
    records.proveLink(redis, { ...layer, mediaType: 'm' });
    expect(records.link(redis, one)).toEqual({ ...layer, mediaType: 'm', proven: true });
    expect(records.link(nginx, one)).toBeUndefined();
  });

  test('that become proven are a gain, and no others', () => {
    const records = inMemory();
    const gains = () => records.gains;
    const before = gains();
    records.addLinks(redis, [layer]);
    expect(gains()).toBe(before);
    records.proveLink(redis, layer);
    expect(gains()).toBe(before + 1);
    records.proveLink(redis, layer);
    records.addLinks(redis, [layer]);
    expect(gains()).toBe(before + 1);
  });

  test('of one call are all kept or none', () => {
    const records = inMemory();
    const broken = { ...layer, digest: two, size: null as unknown as number };
    expect(() => records.addLinks(redis, [layer, broken])).toThrow();
    expect(records.link(redis, one)).toBeUndefined();
    records.addLinks(redis, [layer]);
    expect(records.link(redis, one)).toEqual({ ...layer, proven: false });
  });

  test('go with the blob, in every repository, and outlive its replacement', () => {
    const records = inMemory();
    records.putBlob(one, 7);
    records.addLinks(redis, [layer, { ...layer, digest: two }]);
    records.addLinks(nginx, [layer]);
    records.putBlob(one, 8, 'm');
    expect(records.link(redis, one)).toEqual({ ...layer, proven: false });
    records.deleteBlob(one);
    expect(records.link(redis, one)).toBeUndefined();
    expect(records.link(nginx, one)).toBeUndefined();
    expect(records.link(redis, two)).toBeDefined();
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

  test('go with their manifest, unless they are pinned: a pin must know what it means', () => {
    const records = inMemory();
    records.putBlob(one, 7, 'm');
    for (const tag of ['a', 'b']) records.putTag(redis, tag, { digest: one, checkedAt: 1 });
    records.putTag(nginx, 'a', { digest: one, checkedAt: 1 });
    records.putTag(redis, 'c', { digest: two, checkedAt: 1 });
    records.pin(redis, 'b');
    records.deleteBlob(one);
    expect(records.tags(redis, 10)).toEqual(['b', 'c']);
    expect(records.tags(nginx, 10)).toEqual([]);
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

test('a repository that holds nothing any more is not listed', () => {
  const records = inMemory();
  records.putBlob(one, 7, 'm');
  records.addLinks(redis, [{ digest: one, size: 7, mediaType: 'm' }]);
  records.putTag(redis, 'latest', { digest: one, checkedAt: 1 });
  records.pin(nginx, 'latest');
  expect(records.repositories(10)).toEqual(['docker.io/library/redis']);
  records.deleteBlob(one);
  expect(records.repositories(10)).toEqual([]);
});

describe('pins', () => {
  const manifest = { digest: one, size: 7, mediaType: 'application/vnd.oci.image.manifest.v1+json' };

  test('are kept by repository and reference until they are taken away', () => {
    const records = inMemory();
    records.pin(redis, 'latest');
    records.pin(redis, 'latest');
    records.pin(elsewhere, one);
    expect(records.pins()).toEqual([
      { repository: redis, reference: { tag: 'latest' } },
      { repository: elsewhere, reference: { digest: one } },
    ]);
    records.unpin(redis, 'other');
    records.unpin(nginx, 'latest');
    records.unpin(redis, 'latest');
    expect(records.pins()).toEqual([{ repository: elsewhere, reference: { digest: one } }]);
  });

  test.each<[string, (records: Records) => void]>([
    ['a pin comes', (records) => records.pin(nginx, 'latest')],
    ['a pin goes', (records) => records.unpin(redis, 'latest')],
    ['a tag of a pinned repository moves', (records) => records.putTag(redis, 'latest', { digest: two, checkedAt: 2 })],
    ['a tag of a pinned repository goes', (records) => records.deleteTag(redis, 'latest')],
    ['a manifest comes for a pinned repository', (records) => records.addLinks(redis, [manifest])],
  ])('mean something else when %s', (_what, act) => {
    const records = inMemory();
    records.pin(redis, 'latest');
    records.putTag(redis, 'latest', { digest: one, checkedAt: 1 });
    const before = records.pinsVersion;
    act(records);
    expect(records.pinsVersion).toBeGreaterThan(before);
  });

  test.each<[string, (records: Records) => void]>([
    ['a tag is confirmed', (records) => records.putTag(redis, 'latest', { digest: one, checkedAt: 2 })],
    ['a tag of another repository moves', (records) => records.putTag(nginx, 'latest', { digest: two, checkedAt: 2 })],
    ['a manifest comes for another repository', (records) => records.addLinks(nginx, [manifest])],
    ['a blob comes', (records) => records.addLinks(redis, [{ ...manifest, mediaType: layerType }])],
  ])('mean the same when %s', (_what, act) => {
    const records = inMemory();
    records.pin(redis, 'latest');
    records.putTag(redis, 'latest', { digest: one, checkedAt: 1 });
    const before = records.pinsVersion;
    act(records);
    expect(records.pinsVersion).toBe(before);
  });
});
