// What only some may see of a repository: kept apart from what everybody may, and seen by nobody else.
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import type { Repository } from '../../src/oci/repository.ts';
import { Records } from '../../src/store/records.ts';

const digests = ['1', '2', '3'].map((text) => digestOf(Buffer.from(text))).sort();
const [one, two, three] = digests as [Digest, Digest, Digest];
const shown: Repository = { registry: 'docker.io', path: 'library/redis' };
const hidden: Repository = { ...shown, isPrivate: true };
const layer = { digest: one, size: 7, mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' };
const manifestType = 'application/vnd.oci.image.manifest.v1+json';

const inMemory = () => new Records(':memory:');

describe('what is written while only some may see the repository', () => {
  function written(): Records {
    const records = inMemory();
    records.addLinks(hidden, [layer]);
    records.putTag(hidden, 'latest', { digest: one, checkedAt: 1 });
    records.addReferrer(hidden, one, two);
    return records;
  }

  test('is seen by them', () => {
    const records = written();
    expect(records.link(hidden, one)).toEqual({ ...layer, proven: false });
    expect(records.tag(hidden, 'latest')).toEqual({ digest: one, checkedAt: 1 });
    expect(records.tags(hidden, 9)).toEqual(['latest']);
    expect(records.referrers(hidden, one, 9)).toEqual([two]);
  });

  test.each<[string, Repository]>([
    ['everybody', shown],
    ['who is told that it is not private', { ...shown, isPrivate: false }],
    ['those who may see another repository', { ...hidden, path: 'library/nginx' }],
    ['those who may see its name elsewhere', { ...hidden, registry: 'ghcr.io' }],
  ])('is not seen by %s', (_who, repository) => {
    const records = written();
    expect(records.link(repository, one)).toBeUndefined();
    expect(records.tag(repository, 'latest')).toBeUndefined();
    expect(records.tags(repository, 9)).toEqual([]);
    expect(records.referrers(repository, one, 9)).toEqual([]);
  });

  test('goes with its blob', () => {
    const records = written();
    records.putBlob(one, 7);
    records.putBlob(two, 7, manifestType);
    records.deleteBlob(one);
    records.deleteBlob(two);
    expect(records.link(hidden, one)).toBeUndefined();
    expect(records.tags(hidden, 9)).toEqual([]);
    expect(records.referrers(hidden, one, 9)).toEqual([]);
  });
});

describe('those who may see more', () => {
  test('see their own words of it before those that everybody sees', () => {
    const records = inMemory();
    records.addLinks(hidden, [{ ...layer, size: 8 }]);
    records.addLinks(shown, [layer]);
    records.putTag(hidden, 'latest', { digest: two, checkedAt: 1, earlier: three });
    records.putTag(shown, 'latest', { digest: one, checkedAt: 2 });
    expect([records.link(hidden, one)?.size, records.link(shown, one)?.size]).toEqual([8, 7]);
    expect(records.tag(hidden, 'latest')).toEqual({ digest: two, checkedAt: 1, earlier: three });
    expect(records.tag(shown, 'latest')).toEqual({ digest: one, checkedAt: 2 });
  });

  test('have proof of what everybody has proof of, and nobody has theirs', () => {
    const records = inMemory();
    records.addLinks(hidden, [{ ...layer, size: 8 }]);
    records.proveLink(shown, layer);
    expect(records.link(hidden, one)).toEqual({ ...layer, proven: true });
    records.addLinks(shown, [{ ...layer, digest: two }]);
    records.proveLink(hidden, { ...layer, digest: two });
    expect(records.link(shown, two)?.proven).toBe(false);
    expect(records.link(hidden, two)?.proven).toBe(true);
    records.proveLink(hidden, { ...layer, digest: three });
    expect(records.link(shown, three)).toBeUndefined();
  });

  test('see what everybody sees where they have none', () => {
    const records = inMemory();
    records.addLinks(shown, [layer]);
    records.putTag(shown, 'latest', { digest: one, checkedAt: 2 });
    records.addReferrer(shown, one, two);
    expect(records.link(hidden, one)).toEqual({ ...layer, proven: false });
    expect(records.tag(hidden, 'latest')).toEqual({ digest: one, checkedAt: 2 });
    expect(records.referrers(hidden, one, 9)).toEqual([two]);
    records.addLinks(hidden, [{ ...layer, digest: three }]);
    expect(records.link(hidden, one)).toEqual({ ...layer, proven: false });
    expect(records.tag(hidden, 'latest')?.digest).toBe(one);
  });

  test('see all lists as one, each entry once, in order and in pages', () => {
    const records = inMemory();
    for (const tag of ['d', 'b', 'a']) records.putTag(shown, tag, { digest: one, checkedAt: 1 });
    for (const tag of ['b', 'c', 'e']) records.putTag(hidden, tag, { digest: one, checkedAt: 1 });
    expect(records.tags(hidden, 9)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(records.tags(hidden, 2, 'b')).toEqual(['c', 'd']);
    expect(records.tags(shown, 9)).toEqual(['a', 'b', 'd']);
    for (const digest of [one, two]) records.addReferrer(shown, three, digest);
    for (const digest of [two, three]) records.addReferrer(hidden, three, digest);
    expect(records.referrers(hidden, three, 9)).toEqual([one, two, three]);
    expect(records.referrers(hidden, three, 2)).toHaveLength(2);
  });

  test('are rid of a tag that is gone, whoever saw it; others only of what they saw', () => {
    const records = inMemory();
    const tagged = () => [shown, hidden].map((repository) => records.tag(repository, 'latest') !== undefined);
    for (const repository of [shown, hidden]) records.putTag(repository, 'latest', { digest: one, checkedAt: 1 });
    records.deleteTag(shown, 'latest');
    expect(tagged()).toEqual([false, true]);
    records.putTag(shown, 'latest', { digest: one, checkedAt: 1 });
    records.deleteTag(hidden, 'latest');
    expect(tagged()).toEqual([false, false]);
  });
});

test('a repository is listed once, whoever may see what of it, and by nobody when it holds nothing', () => {
  const records = inMemory();
  for (const repository of [shown, hidden]) records.addLinks(repository, [layer]);
  records.putTag({ ...hidden, path: 'library/nginx' }, 'latest', { digest: one, checkedAt: 1 });
  // A host that comes after in the order of hosts, and before in the order of names.
  records.addLinks({ ...hidden, registry: 'docker.io-mirror.example' }, [layer]);
  const names = ['docker.io-mirror.example/library/redis', 'docker.io/library/nginx', 'docker.io/library/redis'];
  expect(records.repositories(9)).toEqual(names);
  expect(names.flatMap((_, at) => records.repositories(1, names[at - 1]))).toEqual(names);
  records.putBlob(one, 7);
  records.deleteBlob(one);
  expect(records.repositories(9)).toEqual([]);
});

describe('a pin', () => {
  const pinned = { repository: shown, reference: { tag: 'latest' } };

  test.each([
    ['everybody', shown, hidden],
    ['some', hidden, shown],
  ])('set as %s see the repository is one for all, and is taken away by any', (_who, setter, other) => {
    const records = inMemory();
    records.pin(setter, 'latest');
    records.pin(other, 'latest');
    expect(records.pins()).toEqual([pinned]);
    records.unpin(other, 'latest');
    expect(records.pins()).toEqual([]);
  });

  test('means what its tag means to everybody and to those who may see more', () => {
    const records = inMemory();
    expect(records.meanings(pinned)).toEqual([]);
    records.putTag(shown, 'latest', { digest: one, checkedAt: 1 });
    expect(records.meanings(pinned)).toEqual([one]);
    records.putTag(hidden, 'latest', { digest: two, checkedAt: 1 });
    expect(records.meanings(pinned)).toEqual([one, two]);
    expect(records.meanings({ repository: shown, reference: { digest: three } })).toEqual([three]);
  });

  test('keeps its tag, whoever may see it, while the manifest is gone', () => {
    const records = inMemory();
    records.putBlob(one, 7, manifestType);
    for (const repository of [shown, hidden])
      for (const tag of ['latest', 'other']) records.putTag(repository, tag, { digest: one, checkedAt: 1 });
    records.pin(shown, 'latest');
    records.deleteBlob(one);
    expect([records.tags(shown, 9), records.tags(hidden, 9)]).toEqual([['latest'], ['latest']]);
    records.deleteTag(shown, 'latest');
    expect(records.tags(hidden, 9)).toEqual(['latest']);
  });

  const manifest = { ...layer, mediaType: manifestType };
  test.each<[string, (records: Records, repository: Repository) => void]>([
    ['a tag moves', (records, repository) => records.putTag(repository, 'latest', { digest: two, checkedAt: 2 })],
    ['a tag goes', (records, repository) => records.deleteTag(repository, 'latest')],
    ['a manifest comes', (records, repository) => records.addLinks(repository, [manifest])],
  ])('may mean something else when %s, whoever may see that and whoever set the pin', (_what, act) => {
    for (const setter of [shown, hidden])
      for (const repository of [shown, hidden]) {
        const records = inMemory();
        records.pin(setter, 'latest');
        for (const each of [shown, hidden]) records.putTag(each, 'latest', { digest: one, checkedAt: 1 });
        const before = records.pinsVersion;
        act(records, repository);
        expect(records.pinsVersion).toBeGreaterThan(before);
      }
  });

  test('means the same when those who may see more hear what everybody heard', () => {
    const records = inMemory();
    records.pin(shown, 'latest');
    records.putTag(shown, 'latest', { digest: one, checkedAt: 1 });
    const before = records.pinsVersion;
    records.putTag(hidden, 'latest', { digest: one, checkedAt: 2 });
    expect(records.pinsVersion).toBe(before);
  });
});
