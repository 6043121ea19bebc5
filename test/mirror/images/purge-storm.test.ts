// Random images that share their layers, and random purges: what was not meant loses nothing, and nothing is left over.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contentsOf } from '../../../src/mirror/images/image-contents.ts';
import type { CachedImage } from '../../../src/mirror/images/images.ts';
import { PinnedError, type PurgeTarget } from '../../../src/mirror/images/purge.ts';
import type { Digest } from '../../../src/oci/digest.ts';
import type { Repository } from '../../../src/oci/repository.ts';
import { hidden, imageOf, indexOf, nginx, redis, Shelf } from './image-shelf.ts';

const repositories = [redis, hidden(redis), nginx, { registry: 'ghcr.io', path: 'library/redis' }];
const layers = fc.array(fc.integer({ min: 0, max: 6 }).map(String), { minLength: 1, maxLength: 3 });

/** Of one, an image; of more, an index of them. */
const pull = fc.record({
  repository: fc.constantFrom(...repositories),
  platforms: fc.array(layers, { minLength: 1, maxLength: 3 }),
  tags: fc.array(fc.constantFrom('1', '2', '3'), { maxLength: 2 }),
  isSigned: fc.boolean(),
  isWhole: fc.boolean(),
});
const purge = fc.record({
  at: fc.nat(),
  how: fc.constantFrom(
    'name' as const,
    'digest' as const,
    'repository' as const,
    'match' as const,
    'everywhere' as const,
  ),
  pin: fc.option(fc.nat(), { freq: 3, nil: undefined }),
});

type Pull = typeof pull extends fc.Arbitrary<infer T> ? T : never;
type How = 'name' | 'digest' | 'repository' | 'match' | 'everywhere';

function put(shelf: Shelf, { repository, platforms, tags, isSigned, isWhole }: Pull): void {
  const images = platforms.map((each) => imageOf({ layers: each }));
  const [only] = images;
  const root = images.length === 1 && only ? only : indexOf(...images);
  for (const image of images) shelf.add(repository, image);
  for (const tag of tags.length > 0 ? tags : [undefined]) shelf.add(repository, root, tag);
  shelf.fill(repository, ...(isWhole ? ['{}'] : []), ...platforms.flat());
  if (isSigned) shelf.pull(repository, { layers: ['signature'], subject: root });
}

function nameOf({ repository }: CachedImage): Repository {
  const slash = repository.indexOf('/');
  return { registry: repository.slice(0, slash), path: repository.slice(slash + 1) };
}

function targetOf(how: How, image: CachedImage): PurgeTarget {
  const { tag, digest } = image;
  const repository = nameOf(image);
  if (how === 'everywhere') return { digest };
  if (how === 'match') return { match: 'docker.io/**:1' };
  if (how === 'repository') return { repository, reference: undefined };
  return { repository, reference: how === 'digest' || tag === undefined ? { digest } : { tag } };
}

function isMeant(how: How, target: CachedImage, image: CachedImage): boolean {
  if (how === 'everywhere') return image.digest === target.digest;
  if (how === 'match') return image.repository.startsWith('docker.io/') && image.tag === '1';
  if (image.repository !== target.repository) return false;
  if (how === 'repository') return true;
  return how === 'digest' || target.tag === undefined ? image.digest === target.digest : image.tag === target.tag;
}

async function contents(shelf: Shelf, roots: readonly Digest[]): Promise<Set<Digest>> {
  const found = new Set<Digest>();
  const referrersOf = (digest: Digest) => repositories.flatMap((each) => shelf.records.referrers(each, digest, 99));
  const childrenOf = (digest: Digest) => shelf.reader.children(digest);
  for await (const digest of contentsOf(roots, { childrenOf, referrersOf })) found.add(digest);
  return found;
}

/** Every blob is in an image that is listed, its file is here, and the totals are theirs. */
async function holdsTogether(shelf: Shelf): Promise<void> {
  const stored = shelf.records.blobsAfter('', 10_000);
  const held = await contents(
    shelf,
    (await shelf.list()).images.map(({ digest }) => digest),
  );
  expect(stored.filter(({ digest }) => !held.has(digest))).toEqual([]);
  expect([...shelf.files.keys()].sort()).toEqual(stored.map(({ digest }) => digest));
  expect(shelf.records.totals).toEqual({
    blobs: stored.length,
    bytes: stored.reduce((sum, { size }) => sum + size, 0),
  });
}

test('whatever is pulled, pinned and purged', async () => {
  const seen = { purges: 0, refused: 0, shared: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(pull, { minLength: 1, maxLength: 8 }),
      fc.array(purge, { minLength: 1, maxLength: 5 }),
      fc.boolean(),
      async (pulls, purges, mayShare) => {
        const shelf = new Shelf();
        shelf.mayShare = mayShare;
        for (const each of pulls) put(shelf, each);
        await holdsTogether(shelf);
        for (const { at, how, pin } of purges) {
          const known = (await shelf.list()).images;
          const [target, pinned] = [
            known[at % known.length],
            pin === undefined ? undefined : known[pin % known.length],
          ];
          if (!target) return;
          if (pinned) shelf.records.pin(nameOf(pinned), pinned.tag ?? pinned.digest);
          const before = (await shelf.list()).images;
          const [isByDigest, hasNamed] = [how === 'digest' || how === 'everywhere', new Set<CachedImage>()];
          for (const image of before)
            if ((await contents(shelf, [image.digest])).has(target.digest)) hasNamed.add(image);

          const purged = await shelf.run(targetOf(how, target)).catch((error: unknown) => error);
          const after = (await shelf.list()).images;
          if (purged instanceof PinnedError) {
            seen.refused++;
            expect(after).toEqual(before);
            continue;
          }
          expect(purged).toMatchObject({ imageCount: expect.any(Number) });
          seen.purges++;
          for (const image of before) {
            const now = after.find((other) => keyOf(other) === keyOf(image));
            if (isMeant(how, target, image) && !image.isPinned) expect(now).toBeUndefined();
            // What it is made of was named itself.
            else if (isByDigest && hasNamed.has(image) && image.digest !== target.digest) expect(now).toBeDefined();
            else {
              expect(now).toEqual(image);
              seen.shared += Number(now !== undefined && after.length < before.length);
            }
          }
          expect(after.filter((image) => !before.some((other) => keyOf(other) === keyOf(image)))).toEqual([]);
          await holdsTogether(shelf);
        }
      },
    ),
    { numRuns: 200 },
  );
  // Each of these was met.
  for (const times of Object.values(seen)) expect(times).toBeGreaterThan(20);
});

function keyOf({ repository, tag, digest, isPrivate }: CachedImage): string {
  return [repository, tag, digest, isPrivate].join(' ');
}
