// What repositories hold, gone through page by page, and let go of.
import { describe, expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import type { Repository } from '../../src/oci/repository.ts';
import { Records } from '../../src/store/records.ts';

const digests = ['1', '2', '3'].map((text) => digestOf(Buffer.from(text))).sort();
const [one, two, three] = digests as [Digest, Digest, Digest];
const shown: Repository = { registry: 'docker.io', path: 'library/redis' };
const hidden: Repository = { ...shown, isPrivate: true };
const elsewhere: Repository = { registry: 'ghcr.io', path: 'library/redis' };
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const linkOf = (digest: Digest) => ({ digest, size: 7, mediaType: manifestType });

const inMemory = () => new Records(':memory:');

describe('repositories', () => {
  test('are listed from a name on, each once, whoever may see what of it', () => {
    const records = inMemory();
    for (const repository of [shown, hidden, elsewhere]) records.addLinks(repository, [linkOf(one)]);
    records.putTag({ registry: 'docker.io', path: 'a' }, 'latest', { digest: one, checkedAt: 1 });
    records.pin({ registry: 'docker.io', path: 'pinned' }, 'latest');
    const names = (from: string, limit = 9) =>
      records.repositoriesFrom(from, limit).map(({ registry, path }) => `${registry} ${path}`);
    expect(names('')).toEqual(['docker.io a', 'docker.io library/redis', 'ghcr.io library/redis']);
    expect(names('docker.io/library/redis')).toEqual(['docker.io library/redis', 'ghcr.io library/redis']);
    expect(names('docker.io/library/redis ')).toEqual(['ghcr.io library/redis']);
    expect(names('', 1)).toEqual(['docker.io a']);
  });
});

describe('of one view of a repository', () => {
  function written(): Records {
    const records = inMemory();
    records.putTag(shown, 'b', { digest: one, checkedAt: 1, earlier: two });
    records.putTag(shown, 'a', { digest: one, checkedAt: 2 });
    records.putTag(hidden, 'a', { digest: two, checkedAt: 3 });
    records.addLinks(shown, [linkOf(one), linkOf(three)]);
    records.proveLink(hidden, linkOf(two));
    records.addReferrer(hidden, one, two);
    return records;
  }

  test('tags are listed from one on, with all that is known of them', () => {
    const records = written();
    const [a, b] = [
      { tag: 'a', digest: one, checkedAt: 2 },
      { tag: 'b', digest: one, checkedAt: 1, earlier: two },
    ];
    expect(records.tagsFrom(shown, '', 9)).toEqual([a, b]);
    expect(records.tagsFrom(shown, 'b', 9)).toEqual([b]);
    expect(records.tagsFrom(shown, 'a ', 9)).toEqual([b]);
    expect(records.tagsFrom(shown, '', 1)).toEqual([a]);
    expect(records.tagsFrom(hidden, '', 9)).toEqual([{ tag: 'a', digest: two, checkedAt: 3 }]);
    expect(records.tagsFrom(elsewhere, '', 9)).toEqual([]);
  });

  test('the tags of a digest are found', () => {
    const records = written();
    expect(records.tagsMeaning(shown, one, { limit: 9 })).toEqual(['a', 'b']);
    expect(records.tagsMeaning(shown, one, { limit: 1 })).toEqual(['a']);
    expect(records.tagsMeaning(shown, one, { limit: 9, last: 'a' })).toEqual(['b']);
    expect(records.tagsMeaning(hidden, one, { limit: 9 })).toEqual([]);
    expect(records.tagsMeaning(shown, two, { limit: 9 })).toEqual([]);
  });

  test('links are listed after one, with who says so', () => {
    const records = written();
    expect(records.linksAfter(shown, '', 9)).toEqual(
      [one, three].map((digest) => ({ ...linkOf(digest), proven: false })),
    );
    expect(records.linksAfter(shown, one, 9).map(({ digest }) => digest)).toEqual([three]);
    expect(records.linksAfter(shown, '', 1).map(({ digest }) => digest)).toEqual([one]);
    expect(records.linksAfter(hidden, '', 9)).toEqual([{ ...linkOf(two), proven: true }]);
  });

  test('it is known what a manifest refers to', () => {
    const records = written();
    expect([records.subject(hidden, two), records.subject(shown, two), records.subject(hidden, one)]).toEqual([
      one,
      undefined,
      undefined,
    ]);
  });
});

test('who holds a digest is told in pages, each view by itself, and whether anybody else does', () => {
  const records = inMemory();
  for (const repository of [shown, hidden, elsewhere]) records.addLinks(repository, [linkOf(one)]);
  records.addLinks(shown, [linkOf(two)]);
  records.addLinks(hidden, [linkOf(two)]);
  const whole = records.holders(one, 9);
  expect(whole.map(({ repository }) => repository)).toEqual([
    { ...shown, isPrivate: false },
    hidden,
    { ...elsewhere, isPrivate: false },
  ]);
  expect(records.holders(one, 2, whole[0]?.id)).toEqual(whole.slice(1));
  expect(records.holders(one, 1)).toEqual(whole.slice(0, 1));
  expect([
    records.isHeldElsewhere(shown, one),
    records.isHeldElsewhere(hidden, one),
    records.isHeldElsewhere(elsewhere, one),
  ]).toEqual([true, true, true]);
  expect([
    records.isHeldElsewhere(shown, two),
    records.isHeldElsewhere(elsewhere, two),
    records.isHeldElsewhere(shown, three),
  ]).toEqual([false, true, false]);
});

describe('what a repository lets go of', () => {
  function written(): Records {
    const records = inMemory();
    for (const digest of digests) records.putBlob(digest, 7, manifestType);
    for (const repository of [shown, hidden, elsewhere]) {
      records.addLinks(repository, digests.map(linkOf));
      for (const tag of ['a', 'b']) records.putTag(repository, tag, { digest: one, checkedAt: 1 });
      records.addReferrer(repository, one, two);
    }
    return records;
  }

  test('is its own alone, and rests here still', () => {
    const records = written();
    const [before, totals] = [records.losses, records.totals];
    records.letGo(hidden, { tags: ['a', 'none'], digests: [two, three] });
    expect(records.losses).toBeGreaterThan(before);
    expect(records.totals).toEqual(totals);
    const left = (repository: Repository) => [
      records.tagsFrom(repository, '', 9).length,
      records.linksAfter(repository, '', 9).length,
      records.subject(repository, two),
    ];
    expect([left(shown), left(hidden), left(elsewhere)]).toEqual([
      [2, 3, one],
      [1, 1, undefined],
      [2, 3, one],
    ]);
    // Those who may see more still see what everybody sees.
    expect([records.tag(hidden, 'a')?.digest, records.link(hidden, two)?.digest]).toEqual([one, two]);
    records.letGo(shown, { tags: ['a'], digests: [two] });
    expect([
      records.tag(hidden, 'a'),
      records.link(hidden, two),
      records.tag(shown, 'a'),
      records.link(shown, two),
    ]).toEqual([undefined, undefined, undefined, undefined]);
    expect(records.tag(elsewhere, 'a')).toBeDefined();
  });

  test('may be what a pin meant', () => {
    const records = written();
    records.pin(shown, 'a');
    const before = records.pinsVersion;
    records.letGo(shown, { tags: [], digests: [one] });
    records.letGo(elsewhere, { tags: ['a'], digests: [] });
    expect(records.pinsVersion).toBe(before);
    records.letGo(hidden, { tags: ['a'], digests: [] });
    expect(records.pinsVersion).toBeGreaterThan(before);
  });

  test('is nothing where it has nothing', () => {
    const records = written();
    const before = records.losses;
    records.letGo({ registry: 'quay.io', path: 'a' }, { tags: ['a'], digests });
    expect(records.losses).toBe(before);
  });
});

describe('a watch', () => {
  test('sees what is linked to its repository or tagged in it, in either view, until it ends', () => {
    const records = inMemory();
    const watch = records.watch(shown);
    records.addLinks(shown, [linkOf(one)]);
    expect([...watch.added]).toEqual([one]);
    watch.added.clear();
    records.putTag(hidden, 'a', { digest: two, checkedAt: 1 });
    records.proveLink(hidden, linkOf(three));
    expect([...watch.added]).toEqual([two, three]);
    watch.added.clear();
    records.addLinks(elsewhere, [linkOf(one)]);
    records.putTag(elsewhere, 'a', { digest: one, checkedAt: 1 });
    expect(watch.added.size).toBe(0);
    watch[Symbol.dispose]();
    records.addLinks(shown, [linkOf(one)]);
    expect(watch.added.size).toBe(0);
  });
});

describe('the last use of a digest', () => {
  test('is that of its blob, and none where nothing rests', () => {
    const records = inMemory();
    records.putBlob(one, 1);
    records.putUnproven(two, 1, 1000);
    expect([records.lastUse(two), records.lastUse(three)]).toEqual([1000, undefined]);
    const before = records.lastUse(one) ?? 0;
    expect(Math.abs(before - Date.now())).toBeLessThan(60_000);
    records.touchBlob(one);
    expect(records.lastUse(one)).toBeGreaterThan(before);
    records.deleteBlob(one);
    expect(records.lastUse(one)).toBeUndefined();
  });
});
