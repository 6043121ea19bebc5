// Who sees what of the index, whatever was written to it: nobody sees what only others may.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import type { Repository } from '../../src/oci/repository.ts';
import { type Link, Records } from '../../src/store/records.ts';

const digests = ['1', '2', '3'].map((text) => digestOf(Buffer.from(text))).sort();
const manifestType = 'application/vnd.oci.image.manifest.v1+json';

const inMemory = () => new Records(':memory:');

describe('whatever is written in whatever order', () => {
  const names = ['docker.io/a', 'docker.io/b', 'ghcr.io/a'].map((name) => {
    const [registry = '', path = ''] = name.split('/');
    return { registry, path };
  });
  const tags = ['x', 'y'];
  const anyDigest = fc.constantFrom(...digests);
  const anyTag = fc.constantFrom(...tags);
  type Write = (records: Records, repository: Repository) => void;
  const written = fc.oneof<fc.Arbitrary<Write>[]>(
    fc.record({ digest: anyDigest, size: fc.nat(9), mediaType: fc.constantFrom('m', manifestType) }).map(
      (descriptor): Write =>
        (records, repository) =>
          records.addLinks(repository, [descriptor]),
    ),
    fc.record({ digest: anyDigest, size: fc.nat(9), mediaType: fc.constantFrom('m', manifestType) }).map(
      (descriptor): Write =>
        (records, repository) =>
          records.proveLink(repository, descriptor),
    ),
    fc.tuple(anyTag, anyDigest, fc.nat(9), fc.option(anyDigest, { nil: undefined })).map(
      ([tag, digest, checkedAt, earlier]): Write =>
        (records, repository) =>
          records.putTag(repository, tag, { digest, checkedAt, earlier }),
    ),
    fc.tuple(anyDigest, anyDigest).map(
      ([subject, digest]): Write =>
        (records, repository) =>
          records.addReferrer(repository, subject, digest),
    ),
    anyDigest.map(
      (digest): Write =>
        (records, repository) =>
          records.addOrigin(digest, repository),
    ),
  );
  const unclassed = fc.oneof<fc.Arbitrary<Write>[]>(
    anyDigest.map(
      (digest): Write =>
        (records) =>
          records.putBlob(digest, 1),
    ),
    anyDigest.map(
      (digest): Write =>
        (records) =>
          records.deleteBlob(digest),
    ),
    anyTag.map(
      (tag): Write =>
        (records, repository) =>
          records.pin(repository, tag),
    ),
    anyTag.map(
      (tag): Write =>
        (records, repository) =>
          records.unpin(repository, tag),
    ),
  );
  const anyStep = fc.record({
    name: fc.constantFrom(...names),
    isPrivate: fc.boolean(),
    act: fc.oneof(
      written.map((write) => ({ write, seenBy: 'own' as const })),
      unclassed.map((write) => ({ write, seenBy: 'all' as const })),
      anyTag.map((tag): { write: Write; seenBy: 'down' } => ({
        write: (records, repository) => records.deleteTag(repository, tag),
        seenBy: 'down',
      })),
    ),
  });

  /** All that a reader can be told. */
  const view = (records: Records, repository: Repository) => ({
    links: digests.map((digest) => records.link(repository, digest)),
    tagged: tags.map((tag) => records.tag(repository, tag)),
    tags: records.tags(repository, 9),
    referrers: digests.map((digest) => records.referrers(repository, digest, 9)),
    from: digests.map((digest) => records.isFrom(repository, digest)),
    public: digests.map((digest) => records.isPublic(digest)),
  });
  /** Their own, unless only everybody's is proven. */
  const seenFirst = (own: Link | undefined, all: Link | undefined) =>
    own?.proven || !all?.proven ? (own ?? all) : all;
  const union = <T>(first: readonly T[], second: readonly T[]) => [...new Set([...first, ...second])].sort();

  test('everybody sees what they would had nobody else been there, and the others their own on top of that', () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 40 }), (steps) => {
        const [both, shownOnly, hiddenOnly] = [inMemory(), inMemory(), inMemory()];
        for (const { name, isPrivate, act } of steps) {
          act.write(both, { ...name, isPrivate });
          if (!isPrivate || act.seenBy !== 'own') act.write(shownOnly, name);
          if (isPrivate || act.seenBy === 'all') act.write(hiddenOnly, name);
        }
        for (const name of names) {
          const toAll = view(shownOnly, name);
          expect(view(both, name)).toEqual(toAll);
          const toSome = view(hiddenOnly, name);
          expect(view(both, { ...name, isPrivate: true })).toEqual({
            links: digests.map((_, at) => seenFirst(toSome.links[at], toAll.links[at])),
            tagged: tags.map((_, at) => toSome.tagged[at] ?? toAll.tagged[at]),
            tags: union(toSome.tags, toAll.tags),
            referrers: digests.map((_, at) => union(toSome.referrers[at] ?? [], toAll.referrers[at] ?? [])),
            from: digests.map((_, at) => toSome.from[at] || toAll.from[at]),
            public: toAll.public,
          });
        }
        for (const records of [both, shownOnly, hiddenOnly]) records.close();
      }),
      { numRuns: 300 },
    );
  });
});
