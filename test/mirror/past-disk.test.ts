// Blobs streamed past a disk that takes no bytes: from their first byte, or from where the disk gave up.
import { describe, expect, test, vi } from 'vitest';
import { openPastDisk, type PassingOptions, SpooledContent } from '../../src/mirror/past-disk.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { DigestMismatchError } from '../../src/oci/errors.ts';
import type { Content } from '../../src/store/content.ts';
import { Gate } from '../support/gate.ts';
import { contentOf } from '../support/served-content.ts';
import { type Line, path, type ScriptedUpstream, scriptedUpstream } from './scripted-upstream.ts';
import { patient, readAll, readUntilCut } from './start-mirror.ts';

vi.mock('node:timers/promises', () => import('./no-pauses.ts'));

const size = 300_000;
const all = { start: 0, end: undefined };
const scene = (...script: Line[]) => scriptedUpstream({ size, script });
const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });

function optionsOf({ source, digest }: ScriptedUpstream, wanted: PassingOptions['wanted'] = all): PassingOptions {
  return { source, digest, wanted, onResume: () => {} };
}

async function pass(at: ScriptedUpstream, wanted?: PassingOptions['wanted']): Promise<Content> {
  const content = await openPastDisk(optionsOf(at, wanted), patient);
  if (!content) throw new Error('there is no such blob');
  at.upstream.server.forget(); // the proof of it
  return content;
}

/** As much as a client that asked for it reads. */
async function readRange(content: Content, start: number, end: number): Promise<Buffer> {
  const read = Buffer.alloc(end - start);
  for (let at = start; at < end; ) {
    const here = Math.min(end, await content.waitFor(at, patient));
    at += await content.read(read.subarray(at - start, here - start), at);
  }
  await content.close();
  return read;
}

describe('a blob past the disk', () => {
  test('arrives whole, from one request', async () => {
    await using at = await scene();
    const content = await pass(at);
    expect(content.size).toBe(size);
    expect((await readAll(content)).equals(at.bytes)).toBe(true);
    expect(at.ranges()).toEqual([`bytes=0-${size - 1}`]);
  });

  test.each([
    ['a range', 1000, 5000],
    ['its head', 0, 1],
    ['all but its last byte', 0, size - 1],
  ])('is asked for no more than %s', async (_what, start, end) => {
    await using at = await scene();
    const content = await pass(at, { start, end });
    expect((await readRange(content, start, end)).equals(at.bytes.subarray(start, end))).toBe(true);
    expect(at.ranges()).toEqual([`bytes=${start}-${end - 1}`]);
  });

  test.each([
    ['without an end', 250_000, undefined],
    ['to its last byte', 250_000, size],
    ['past its end', 250_000, size + 1000],
  ])('for a range %s is read from its head, to be proven', async (_what, start, end) => {
    await using at = await scene();
    const content = await pass(at, { start, end });
    expect((await readRange(content, start, size)).equals(at.bytes.subarray(start))).toBe(true);
    expect(at.ranges()).toEqual([`bytes=0-${size - 1}`]);
  });

  test.each([
    ['at its head', 0],
    ['at its end', size - 1],
  ])('with a wrong byte %s never arrives whole', async (_where, flipByteAt) => {
    await using at = await scene({}, { flipByteAt });
    const { received, failure } = await readUntilCut(await pass(at));
    expect(received).toBeLessThan(size);
    expect(failure).toBeInstanceOf(DigestMismatchError);
  });

  test('goes on where its transfer breaks', async () => {
    await using at = await scene({}, { truncateAfter: 100_000 });
    expect((await readAll(await pass(at))).equals(at.bytes)).toBe(true);
    expect(at.ranges()).toEqual([`bytes=0-${size - 1}`, `bytes=100000-${size - 1}`]);
  });

  test('comes from an upstream that gives no parts', async () => {
    await using at = await scene({ noRanges: true }, { noRanges: true });
    const content = await pass(at, { start: 1000, end: 2000 });
    expect((await readRange(content, 1000, 2000)).equals(at.bytes.subarray(1000, 2000))).toBe(true);
  });

  test('that is not there is undefined', async () => {
    await using at = await scene();
    at.upstream.repository(path).blobs.clear();
    expect(await openPastDisk(optionsOf(at), patient)).toBeUndefined();
  });

  test.each<[string, Line]>([
    ['an upstream that gives parts', {}],
    ['one that gives none', { noRanges: true }],
  ])('of no bytes is refused under the digest of something, from %s', async (_what, line) => {
    await using at = await scene(line);
    at.upstream.repository(path).blobs.set(at.digest, contentOf(''));
    await expect(openPastDisk(optionsOf(at), patient)).rejects.toBeInstanceOf(DigestMismatchError);
  });

  test.each(['sha256', 'sha512'] as const)(
    'of no bytes is what it is under its own digest, with %s',
    async (algorithm) => {
      await using at = await scene();
      const digest = digestOf(new Uint8Array(0), algorithm);
      at.upstream.repository(path).blobs.set(digest, contentOf(''));
      const content = await openPastDisk({ ...optionsOf(at), digest }, patient);
      expect(content?.size).toBe(0);
      await content?.close();
    },
  );

  test('ends its transfer when its reader closes it', async () => {
    const gate = new Gate();
    await using at = await scene({}, { holdBody: { after: 200_000, gate } });
    const content = await pass(at);
    await content.waitFor(0, patient);
    await content.close();
    await expect(content.waitFor(250_000, patient)).rejects.toThrow('abort');
    gate.open();
    expect(at.upstream.count()).toBe(1);
  });

  test('ends its transfer when its client leaves', async () => {
    await using at = await scene();
    const leaving = new AbortController();
    const content = await pass(at);
    await content.waitFor(0, leaving.signal);
    leaving.abort(new Error('gone'));
    await expect(readUntilCut(content)).resolves.toMatchObject({ failure: { message: 'gone' } });
  });
});

/** What is left of a spool that its disk has ended: what is in `extents` can be read, the rest will never come. */
class EndedSpool implements Content {
  readonly size = size;
  readonly fd = 1000;
  readonly close = vi.fn(async () => {});
  readonly #bytes: Uint8Array;
  readonly #extents: readonly (readonly [number, number])[];
  readonly #failure: Error;

  constructor(bytes: Uint8Array, extents: readonly (readonly [number, number])[], failure: Error = full) {
    this.#bytes = bytes;
    this.#extents = extents;
    this.#failure = failure;
  }

  async waitFor(position: number): Promise<number> {
    const found = this.#extents.find(([start, end]) => start <= position && position < end);
    if (!found) throw this.#failure;
    return found[1];
  }

  async read(buffer: Uint8Array, position: number): Promise<number> {
    const read = this.#bytes.subarray(position, position + buffer.length);
    buffer.set(read);
    return read.length;
  }
}

describe('a reader of a spool that its disk ends', () => {
  const opened = (at: ScriptedUpstream, spool: EndedSpool, wanted?: PassingOptions['wanted']) =>
    new SpooledContent(spool, { ...optionsOf(at, wanted), onClosed: () => {} });

  test('reads what is there, and goes on behind it', async () => {
    await using at = await scene();
    const spool = new EndedSpool(at.bytes, [[0, 120_000]]);
    expect((await readAll(opened(at, spool))).equals(at.bytes)).toBe(true);
    expect(at.ranges()).toEqual([`bytes=120000-${size - 1}`]);
    expect(spool.close).toHaveBeenCalledOnce();
  });

  test('has a file until it goes on behind it', async () => {
    await using at = await scene();
    const content = opened(at, new EndedSpool(at.bytes, [[0, 120_000]]));
    await content.waitFor(0, patient);
    expect(content.fd).toBe(1000);
    await content.waitFor(120_000, patient);
    expect(content.fd).toBeUndefined();
    await content.close();
  });

  test('asks for everything when nothing is there', async () => {
    await using at = await scene();
    expect((await readAll(opened(at, new EndedSpool(at.bytes, [])))).equals(at.bytes)).toBe(true);
    expect(at.ranges()).toEqual([`bytes=0-${size - 1}`]);
  });

  test('far ahead has what lies between proven too', async () => {
    await using at = await scene();
    const spool = new EndedSpool(at.bytes, [[0, 50_000]]);
    const content = opened(at, spool, { start: 150_000, end: undefined });
    expect((await readRange(content, 150_000, size)).equals(at.bytes.subarray(150_000))).toBe(true);
    expect(at.ranges()).toEqual([`bytes=50000-${size - 1}`]);
  });

  test.each([
    ['its head', [[0, 50_000]]],
    ['nothing', []],
  ] as const)(
    'far ahead that has bytes which nobody can prove, for %s is there before them, gets no more',
    async (_what, head) => {
      await using at = await scene();
      const onDisk = Buffer.from(at.bytes);
      onDisk[160_000] = (onDisk[160_000] ?? 0) ^ 1;
      const content = opened(at, new EndedSpool(onDisk, [...head, [150_000, 170_000]]), {
        start: 150_000,
        end: undefined,
      });
      const { received, failure } = await readUntilCut(content, 150_000);
      expect(received).toBe(170_000);
      expect(failure).toMatchObject({ message: expect.stringContaining(`${at.digest} cannot be proven`) });
      expect(at.upstream.count()).toBe(0);
    },
  );

  test('far ahead of a range that ends early goes on, for its client sees that there is more', async () => {
    await using at = await scene();
    const spool = new EndedSpool(at.bytes, [[150_000, 170_000]]);
    const content = opened(at, spool, { start: 150_000, end: 200_000 });
    expect((await readRange(content, 150_000, 200_000)).equals(at.bytes.subarray(150_000, 200_000))).toBe(true);
  });

  test('of a range asks for no more than the rest of it', async () => {
    await using at = await scene();
    const spool = new EndedSpool(at.bytes, [[0, 120_000]]);
    const content = opened(at, spool, { start: 100_000, end: 130_000 });
    expect((await readRange(content, 100_000, 130_000)).equals(at.bytes.subarray(100_000, 130_000))).toBe(true);
    expect(at.ranges()).toEqual(['bytes=120000-129999']);
  });

  test.each<[string, number, number | undefined]>([
    ['in what is on the disk', 1000, undefined],
    ['in what comes past it', 200_000, 200_000],
  ])('never gets the end of a blob with a wrong byte %s', async (_where, wrong, flipByteAt) => {
    await using at = await scene(flipByteAt === undefined ? {} : { flipByteAt });
    const onDisk = Buffer.from(at.bytes);
    onDisk[wrong] = (onDisk[wrong] ?? 0) ^ 1;
    const { received, failure } = await readUntilCut(opened(at, new EndedSpool(onDisk, [[0, 120_000]])));
    expect(received).toBeLessThan(size);
    expect(failure).toBeInstanceOf(DigestMismatchError);
  });

  test('is told every other failure as it is', async () => {
    await using at = await scene();
    const failure = new Error('the upstream is gone');
    const read = await readUntilCut(opened(at, new EndedSpool(at.bytes, [[0, 120_000]], failure)));
    expect(read).toEqual({ received: 120_000, failure });
    expect(at.upstream.count()).toBe(0);
  });
});
