// What goes on behind the pulls, put together: begun with the cache, over by the time its disposal is.
import { utimes } from 'node:fs/promises';
import { describe, expect, test, vi } from 'vitest';
import { type HousekeepingOptions, startHousekeeping } from '../../src/jobs/housekeeping.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { type StartedMirror, type StartMirrorOptions, startMirror } from '../mirror/start-mirror.ts';
import { isPending } from '../store/scratch-store.ts';
import { Gate } from '../support/gate.ts';

const hour = 3_600_000;
const blobBytes = 10_000;

interface Scene extends AsyncDisposable {
  readonly mirror: StartedMirror;
  keep(options?: Partial<HousekeepingOptions>): AsyncDisposable;
  /** A stored blob of `blobBytes`, last used that long ago. */
  put(seed: number, ageMs?: number): Promise<Digest>;
  /** Those of them whose file is there. */
  stored(digests: readonly Digest[]): Promise<Digest[]>;
}

async function scene(options: Partial<StartMirrorOptions> = {}): Promise<Scene> {
  const mirror = await startMirror({ upstreams: {}, ...options });
  const { records, store } = mirror;
  return {
    mirror,
    keep: (more = {}) => startHousekeeping({ ...mirror, maxAgeMs: () => undefined, ...more }),
    put: async (seed, ageMs = 0) => {
      const digest = await putFile(mirror, seed);
      records.putUnproven(digest, blobBytes, Date.now() - ageMs);
      records.prove(digest);
      return digest;
    },
    stored: async (digests) => {
      const found = await Promise.all(digests.map((digest) => store.has(digest, blobBytes)));
      return digests.filter((_, index) => found[index]);
    },
    [Symbol.asyncDispose]: () => mirror[Symbol.asyncDispose](),
  };
}

async function putFile({ store }: StartedMirror, seed: number): Promise<Digest> {
  const bytes = Buffer.alloc(blobBytes, seed);
  const digest = digestOf(bytes);
  await store.put(digest, bytes);
  return digest;
}

describe('housekeeping', () => {
  test('trims a cache that a start finds too full, the least recently used first', async () => {
    await using at = await scene({ maxSize: { bytes: 3 * blobBytes } });
    const digests = await Promise.all([1, 2, 3, 4, 5].map((age) => at.put(age, age * 1000)));
    await using _ = at.keep();
    await vi.waitUntil(async () => (await at.stored(digests)).length <= 3);
    expect(await at.stored(digests)).toEqual(digests.slice(0, 3));
    expect(at.mirror.records.totals).toEqual({ bytes: 3 * blobBytes, blobs: 3 });
  });

  test('forgets what nobody has used for long, and nothing else', async () => {
    await using at = await scene();
    const [old, young] = [await at.put(1, 2 * hour), await at.put(2, hour / 2)];
    await using _ = at.keep({ maxAgeMs: () => hour });
    await vi.waitUntil(async () => (await at.stored([old])).length === 0);
    expect(at.mirror.records.blob(old)).toBeUndefined();
    expect(await at.stored([young])).toEqual([young]);
  });

  test('forgets nothing for its age where no age is set', async () => {
    await using at = await scene();
    const expire = vi.spyOn(at.mirror.evictor, 'expire');
    {
      await using _ = at.keep();
    }
    expect(expire).not.toHaveBeenCalled();
  });

  test('adopts a file that no record knows', async () => {
    await using at = await scene();
    const orphan = await putFile(at.mirror, 1);
    await utimes(at.mirror.layout.blob(orphan), 1000, 1000);
    await using _ = at.keep();
    await vi.waitUntil(() => at.mirror.records.blob(orphan));
    expect(at.mirror.records.oldest(1)).toMatchObject([{ digest: orphan, size: blobBytes, usedAt: 1_000_000 }]);
  });

  test('looks over the disk again when a damaged index was begun anew', async () => {
    await using at = await scene();
    const renewed = Promise.withResolvers<void>();
    vi.spyOn(at.mirror.records, 'renewed', 'get').mockReturnValueOnce(renewed.promise);
    const [first, second] = [await putFile(at.mirror, 1), digestOf(Buffer.alloc(blobBytes, 2))];
    await using _ = at.keep();
    await vi.waitUntil(() => at.mirror.logLines.some(({ adopted }) => adopted === 1));
    expect(at.mirror.records.blob(first)).toBeDefined();
    await putFile(at.mirror, 2);
    renewed.resolve();
    await vi.waitUntil(() => at.mirror.records.blob(second));
  });

  test('proves what was found', async () => {
    await using at = await scene();
    const found = await putFile(at.mirror, 1);
    at.mirror.records.putUnproven(found, blobBytes, Date.now());
    await using _ = at.keep();
    await vi.waitUntil(() => at.mirror.records.blob(found)?.proven);
  });

  test('ends when it is disposed, in the middle of its pauses, and does nothing more', async () => {
    await using at = await scene();
    const trim = vi.spyOn(at.mirror.budget, 'trim');
    const expire = vi.spyOn(at.mirror.evictor, 'expire');
    const keeping = at.keep({ maxAgeMs: () => hour });
    await vi.waitUntil(() => trim.mock.settledResults[0] && expire.mock.settledResults[0]);
    await keeping[Symbol.asyncDispose]();
    expect([trim.mock.calls.length, expire.mock.calls.length]).toEqual([1, 1]);
  });

  test('is not over before what it is in the middle of', async () => {
    await using at = await scene();
    const gate = new Gate();
    vi.spyOn(at.mirror.budget, 'trim').mockImplementation(() => gate.pass());
    const keeping = at.keep();
    await gate.reached;
    const ended = Promise.resolve(keeping[Symbol.asyncDispose]());
    // Everything else has long ended then.
    await using other = await scene();
    await other.keep()[Symbol.asyncDispose]();
    expect(await isPending(ended)).toBe(true);
    gate.open();
    await ended;
  });

  test('goes on when something of it fails', async () => {
    await using at = await scene();
    vi.spyOn(at.mirror.budget, 'trim').mockRejectedValue(new Error('no index'));
    vi.spyOn(at.mirror.evictor, 'expire').mockRejectedValue(new Error('no index'));
    const orphan = await putFile(at.mirror, 1);
    await using _ = at.keep({ maxAgeMs: () => hour });
    await vi.waitUntil(() => at.mirror.records.blob(orphan));
    expect(at.mirror.logLines.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['the cache could not be trimmed', 'old blobs could not be forgotten']),
    );
  });
});
