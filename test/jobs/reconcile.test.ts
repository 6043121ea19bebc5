// Disk and index brought together, whatever each of them lost, and whatever else goes on meanwhile.
import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ReconcileOptions, reconcile } from '../../src/jobs/reconcile.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { type JobScene, openJobScene } from './job-scene.ts';

const redis = { registry: 'docker.io', path: 'library/redis' };
const nothing = { adopted: 0, forgotten: 0, strays: 0 };

function run(at: JobScene, options: Partial<ReconcileOptions> = {}) {
  return reconcile({ ...at, isFilling: () => false, wait: async () => {}, ...options });
}

/** For `wait`: acts when the pass rests for the first time, which is after it has read the first folder with files. */
function once(act: () => Promise<void> | void): () => Promise<void> {
  let isDone = false;
  return async () => {
    if (isDone) return;
    isDone = true;
    await act();
  };
}

/** Blobs of the first folder, which are looked at together, before everything else. */
function inOneFolder(count: number): string[] {
  const found: string[] = [];
  for (let number = 0; found.length < count; number++)
    if (createHash('sha256').update(`${number}`).digest('hex').startsWith('00')) found.push(`${number}`);
  return found;
}

describe('a pass over the disk', () => {
  test('changes nothing where disk and index agree', async () => {
    await using at = await openJobScene();
    const digests = await Promise.all(['one', 'two', 'three', ''].map((bytes) => at.putBlob(bytes)));
    const before = at.records.oldest(9);
    expect(await run(at)).toEqual(nothing);
    expect(at.records.oldest(9)).toEqual(before);
    expect(at.warnings).toEqual([]);
    expect(await Promise.all(digests.map((digest) => at.sizeOnDisk(digest)))).toEqual([3, 3, 5, 0]);
  });

  test('ends on a cache in which nothing ever was', async () => {
    await using at = await openJobScene();
    expect(await run(at)).toEqual(nothing);
  });

  test('adopts files that no record knows, unproven, last used when they were written', async () => {
    await using at = await openJobScene();
    const digest = await at.writeBlobFile('an orphan');
    const long = await at.writeBlobFile('long', digestOf(Buffer.from('long'), 'sha512'));
    await utimes(at.layout.blob(digest), 1000, 1234.5);
    expect(await run(at)).toEqual({ ...nothing, adopted: 2 });
    expect(at.records.blob(digest)).toMatchObject({ size: 9, proven: false, mediaType: undefined });
    expect(at.records.blob(long)).toMatchObject({ size: 4, proven: false });
    expect(at.records.oldest(1)).toMatchObject([{ digest, usedAt: 1_234_500 }]);
    expect(at.warnings).toEqual(['the blobs on the disk were not those of the index; they are now']);
    expect(await run(at)).toEqual(nothing);
  });

  test('forgets records whose file is gone, with what hangs on them', async () => {
    await using at = await openJobScene();
    const [kept, gone] = [await at.putBlob('kept'), await at.putBlob('gone')];
    at.records.addLinks(redis, [{ digest: gone, size: 4, mediaType: 'm' }]);
    await rm(at.layout.blob(gone));
    expect(await run(at)).toEqual({ ...nothing, forgotten: 1 });
    expect(at.records.blob(gone)).toBeUndefined();
    expect(at.records.link(redis, gone)).toBeUndefined();
    expect(at.records.blob(kept)).toBeDefined();
  });

  test.each<[string, (path: string) => Promise<void>]>([
    ['cut short', (path) => truncate(path, 2)],
    ['emptied', (path) => truncate(path, 0)],
    ['longer than it was', (path) => truncate(path, 99)],
  ])('forgets a blob whose file was %s, and removes the file', async (_what, damage) => {
    await using at = await openJobScene();
    const digest = await at.putBlob('a layer');
    await damage(at.layout.blob(digest));
    expect(await run(at)).toEqual({ ...nothing, forgotten: 1 });
    expect(at.records.blob(digest)).toBeUndefined();
    expect(await at.sizeOnDisk(digest)).toBeUndefined();
    expect(await run(at)).toEqual(nothing);
  });

  test('finds everything again after the index was lost', async () => {
    await using at = await openJobScene();
    const texts = Array.from({ length: 700 }, (_, number) => `blob ${number}`);
    const digests = await Promise.all(texts.map((text) => at.writeBlobFile(text)));
    expect(await run(at)).toEqual({ ...nothing, adopted: 700 });
    expect(at.records.totals).toEqual({ blobs: 700, bytes: texts.join('').length });
    expect(digests.every((digest) => at.records.blob(digest)?.proven === false)).toBe(true);
  });

  test('goes through more than a turn of one folder', async () => {
    await using at = await openJobScene();
    const texts = inOneFolder(200);
    for (const text of texts.slice(0, 150)) await at.putBlob(text);
    for (const text of texts.slice(150)) await at.writeBlobFile(text);
    for (const text of texts.slice(0, 70)) await rm(at.layout.blob(digestOf(Buffer.from(text))));
    expect(await run(at)).toEqual({ adopted: 50, forgotten: 70, strays: 0 });
    expect(at.records.totals.blobs).toBe(130);
  });
});

describe('what is named as no blob', () => {
  test('is removed where only our files are', async () => {
    await using at = await openJobScene();
    const digest = await at.putBlob('a layer');
    const folder = dirname(at.layout.blob(digest));
    const elsewhere = digestOf(Buffer.from(inOneFolder(1)[0] ?? '')).slice(7);
    for (const name of ['junk', elsewhere, digest.slice(7).toUpperCase(), `${digest.slice(7)}.part`])
      await writeFile(join(folder, name), 'x');
    expect(await run(at)).toEqual({ ...nothing, strays: 4 });
    expect(await readdir(folder)).toEqual([digest.slice(7)]);
    expect(at.warnings).toContain('removed a file that is named as no blob here is');
  });

  test('is left alone where it may be somebody else’s', async () => {
    await using at = await openJobScene();
    const digest = await at.putBlob('a layer');
    const folder = dirname(at.layout.blob(digest));
    const others = [
      join(folder, '.nfs0001'),
      join(folder, 'folder', 'file'),
      join(dirname(folder), 'note.txt'),
      join(dirname(folder), 'zz', 'file'),
      join(dirname(dirname(folder)), 'lost+found', 'file'),
    ];
    for (const path of others) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, 'x');
    }
    await symlink('/nowhere', join(folder, 'link'));
    expect(await run(at)).toEqual(nothing);
    for (const path of others) expect((await stat(path)).size).toBe(1);
  });

  test('may even be a folder named as a blob is: it is no file of a blob', async () => {
    await using at = await openJobScene();
    const digest = digestOf(Buffer.from('a layer'));
    at.records.putBlob(digest, 7);
    await mkdir(at.layout.blob(digest), { recursive: true });
    expect(await run(at)).toEqual({ ...nothing, forgotten: 1 });
    expect((await stat(at.layout.blob(digest))).isDirectory()).toBe(true);
    expect(await run(at)).toEqual(nothing);
  });
});

describe('while others work', () => {
  const [first = '', second = ''] = inOneFolder(2);

  test('a digest that is being filled is left alone, with and without a record', async () => {
    await using at = await openJobScene();
    const orphan = await at.writeBlobFile(first);
    const gone = await at.putBlob(second);
    await rm(at.layout.blob(gone));
    const filling: Digest[] = [orphan, gone];
    expect(await run(at, { isFilling: (digest) => filling.includes(digest) })).toEqual(nothing);
    expect(at.records.blob(orphan)).toBeUndefined();
    expect(at.records.blob(gone)).toBeDefined();
  });

  test('a blob that is committed after its folder was read keeps its record', async () => {
    await using at = await openJobScene();
    await at.putBlob(first);
    let late: Digest | undefined;
    const wait = once(async () => {
      late = await at.putBlob(second);
    });
    expect(await run(at, { wait })).toEqual(nothing);
    expect(late && at.records.blob(late)?.proven).toBe(true);
  });

  test('a file whose record comes after its folder was read is not adopted', async () => {
    await using at = await openJobScene();
    const digest = await at.writeBlobFile(first);
    expect(await run(at, { wait: once(() => at.records.putBlob(digest, first.length, 'm')) })).toEqual(nothing);
    expect(at.records.blob(digest)).toMatchObject({ proven: true, mediaType: 'm' });
  });

  test('a blob that is evicted after its folder was read does not come back', async () => {
    await using at = await openJobScene();
    const digest = await at.putBlob(first);
    const wait = once(async () => {
      at.records.deleteBlob(digest);
      await at.store.remove(digest);
    });
    expect(await run(at, { wait })).toEqual(nothing);
    expect(at.records.totals.blobs).toBe(0);
  });

  test('an orphan that is removed after its folder was read is not adopted', async () => {
    await using at = await openJobScene();
    const digest = await at.writeBlobFile(first);
    expect(await run(at, { wait: once(() => at.store.remove(digest)) })).toEqual(nothing);
    expect(at.records.blob(digest)).toBeUndefined();
    expect(at.warnings).toEqual([]);
  });

  test('commits and evictions at random leave disk and index agreeing', async () => {
    const texts = inOneFolder(12);
    const digestFor = (which: number) => digestOf(Buffer.from(texts[which] ?? ''));
    const move = fc.tuple(fc.nat({ max: 11 }), fc.constantFrom('commit', 'evict', 'rest', 'rest'));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat({ max: 11 }), fc.constantFrom('both', 'file', 'record')), { maxLength: 12 }),
        fc.array(move, { maxLength: 12 }),
        async (given, moves) => {
          await using at = await openJobScene();
          for (const [which, what] of given) {
            if (what !== 'record') await at.writeBlobFile(texts[which] ?? '');
            if (what !== 'file') at.records.putBlob(digestFor(which), (texts[which] ?? '').length);
          }
          const filling = new Set<Digest>();
          let turn = 0;
          const wait = async () => {
            const [which = 0, what] = moves[turn++] ?? [];
            const digest = digestFor(which);
            // One fill a digest, and the evictor leaves alone what is being filled.
            if (what === 'commit' && !filling.has(digest)) {
              filling.add(digest);
              await at.writeBlobFile(texts[which] ?? '');
              setImmediate(() => {
                at.records.putBlob(digest, (texts[which] ?? '').length);
                filling.delete(digest);
              });
            } else if (what === 'evict' && !filling.has(digest)) {
              at.records.deleteBlob(digest);
              void at.store.remove(digest);
            } else await new Promise((resolve) => setImmediate(resolve));
          };
          await run(at, { wait, isFilling: (digest) => filling.has(digest) });
          while (filling.size > 0) await new Promise((resolve) => setImmediate(resolve));
          for (const which of texts.keys()) {
            const size = await at.sizeOnDisk(digestFor(which));
            expect(at.records.blob(digestFor(which))?.size).toBe(size);
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('a pass that cannot', () => {
  test('read a folder tells so once, tries again later, and goes on with the others', async () => {
    await using at = await openJobScene();
    const blocked = digestOf(Buffer.from(inOneFolder(1)[0] ?? ''));
    await at.writeBlobFile('an orphan');
    const folder = dirname(at.layout.blob(blocked));
    await rm(folder, { recursive: true, force: true });
    await writeFile(folder, 'a file in its place');
    const waits: number[] = [];
    const wait = async (ms: number) => {
      if (ms < 60_000) return;
      waits.push(ms);
      if (waits.length < 2) return;
      await rm(folder, { force: true });
      await at.writeBlobFile(inOneFolder(1)[0] ?? '');
    };
    expect(await run(at, { wait })).toEqual({ ...nothing, adopted: 2 });
    expect(waits).toEqual([60_000, 60_000]);
    expect(at.warnings.filter((line) => line === 'blobs could not be checked')).toHaveLength(2);
  });

  test('ever read a folder comes to an end all the same', async () => {
    await using at = await openJobScene();
    const folder = dirname(at.layout.blob(digestOf(Buffer.from('x'))));
    await mkdir(dirname(folder), { recursive: true });
    await writeFile(folder, 'a file in its place');
    expect(await run(at)).toEqual(nothing);
    expect(at.warnings).toHaveLength(5);
  });

  test('go on because the process stops ends at once, without an error', async () => {
    await using at = await openJobScene();
    for (const text of inOneFolder(3)) await at.writeBlobFile(text);
    let waits = 0;
    const wait = async () => {
      waits++;
      at.stopping.abort(new Error('stopping'));
    };
    expect(await run(at, { wait })).toEqual(nothing);
    expect(waits).toBe(1);
    expect(await run(at)).toEqual(nothing);
    expect([at.records.totals.blobs, at.warnings.length]).toEqual([0, 0]);
  });
});
