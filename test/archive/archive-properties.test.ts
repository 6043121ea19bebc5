// Whatever happens to an archive on its way: it is taken in whole, with what it said, or nothing of it stays.
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ArchiveScene } from './archive-scene.ts';
import { dockerArchive, type Entry, inPieces, namedLayout, sampleImage, tarOf } from './tar-content.ts';

const image = sampleImage('property');
const redis = 'docker.io/library/redis:7';
const saved = await dockerArchive([redis], 'property');
const archives: readonly (readonly Entry[])[] = [namedLayout(image, redis), saved.entries];

describe('an archive', () => {
  let scene: ArchiveScene;
  let empty: object;
  /** By archive, what is here once it was taken in. */
  const full: object[] = [];

  beforeAll(async () => {
    scene = await ArchiveScene.start();
    empty = await scene.kept();
    for (const entries of archives) {
      await scene.import(entries);
      full.push(await scene.kept());
      await forget();
    }
  });

  afterAll(() => scene?.[Symbol.asyncDispose]());

  /** As before the first archive. */
  async function forget(): Promise<void> {
    const { records, store } = scene.mirror;
    for (const { digest } of records.blobsAfter('', 1000)) {
      records.deleteBlob(digest);
      await store.remove(digest);
    }
    expect(await scene.kept()).toEqual(empty);
  }

  /** How it went: taken in, or refused with nothing left. */
  async function outcome(bytes: Uint8Array, pieceSize: number): Promise<'whole' | 'other' | 'refused'> {
    const failure = await scene.import(bytes, { body: inPieces(bytes, pieceSize) }).then(
      () => undefined,
      (error: unknown) => error as Error,
    );
    const kept = await scene.kept();
    if (failure) {
      expect(failure).toMatchObject({ name: 'ArchiveError', message: expect.stringMatching(/^[^\n]+$/) });
      expect(kept).toEqual(empty);
      return 'refused';
    }
    const isWhole = full.some((one) => JSON.stringify(one) === JSON.stringify(kept));
    if (!isWhole) {
      // The lists are under no hash: they may name the same images otherwise, and nothing else.
      const { stored, arriving } = kept as { stored: string[]; arriving: string[] };
      expect(arriving).toEqual([]);
      expect(full.map((one) => (one as { stored: string[] }).stored)).toContainEqual(stored);
    }
    await forget();
    return isWhole ? 'whole' : 'other';
  }

  const archive = fc.constantFrom(...archives.keys());
  const pieceSize = fc.integer({ min: 1, max: 5000 });

  test('is taken in whatever the order of its entries, and in whatever pieces it comes', async () => {
    const shuffled = archive.chain((at) =>
      fc.shuffledSubarray([...(archives[at] ?? [])], { minLength: archives[at]?.length ?? 0 }),
    );
    await fc.assert(
      fc.asyncProperty(shuffled, pieceSize, fc.boolean(), async (entries, size, isPacked) => {
        const tar = await tarOf(entries);
        expect(await outcome(isPacked ? gzipSync(tar) : tar, size)).toBe('whole');
      }),
      { numRuns: 25 },
    );
  });

  test('that is cut anywhere is refused, unless only its end was cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        archive,
        fc.double({ min: 0, max: 0.9999, noNaN: true }),
        pieceSize,
        fc.boolean(),
        async (at, share, size, isPacked) => {
          const tar = await tarOf(archives[at] ?? []);
          const whole = isPacked ? gzipSync(tar) : tar;
          const cut = Math.floor(whole.length * share);
          const found = await outcome(whole.subarray(0, cut), size);
          // A tar ends in two empty blocks, and before them stands what of the older kind nobody needs.
          if (isPacked || cut < tar.length - 2048) expect(found).toBe('refused');
        },
      ),
      { numRuns: 40 },
    );
  });

  test('of which a bit has changed is refused, or taken in with what it says', async () => {
    const found = new Set<string>();
    await fc.assert(
      fc.asyncProperty(archive, fc.nat(), fc.integer({ min: 0, max: 7 }), async (at, where, bit) => {
        const tar = await tarOf(archives[at] ?? []);
        const byte = where % tar.length;
        tar.writeUInt8(tar.readUInt8(byte) ^ (1 << bit), byte);
        found.add(await outcome(tar, 5000));
      }),
      { numRuns: 60 },
    );
    expect(found).toContain('refused');
  });

  test('that lacks an entry is refused, or did not need it', async () => {
    await fc.assert(
      fc.asyncProperty(archive, fc.nat(), async (at, which) => {
        const entries = archives[at] ?? [];
        const lacking = entries.filter((_, index) => index !== which % entries.length);
        const isNeeded = !/\/$|VERSION$|^repositories$/.test(entries[which % entries.length]?.name ?? '');
        expect(await outcome(await tarOf(lacking), 5000)).toBe(isNeeded ? 'refused' : 'whole');
      }),
      { numRuns: 20 },
    );
  });

  test('with any name for an entry is refused, or has only one more file that nobody needs', async () => {
    const part = fc.oneof(fc.constantFrom('..', '.', '', 'blobs', 'sha256', 'index.json', '\0', '\n'), fc.string());
    const anyName = fc.array(part, { minLength: 1, maxLength: 5 }).map((parts) => parts.join('/'));
    await fc.assert(
      fc.asyncProperty(anyName, fc.constantFrom('file', 'symlink', 'link'), anyName, async (name, type, linkname) => {
        const entries: Entry[] = [
          ...namedLayout(image, redis),
          { name, type, ...(type !== 'file' && { linkname }) } as Entry,
        ];
        const tar = await tarOf(entries).catch(() => undefined);
        if (tar) expect(['refused', 'whole']).toContain(await outcome(tar, 5000));
      }),
      { numRuns: 60 },
    );
  });
});
