// One part of a blob over connections that break in every way there is.
import fc from 'fast-check';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { type PartRequest, receivePart } from '../../src/mirror/receive-part.ts';
import { type Upstream, UpstreamError } from '../../src/upstream/upstream.ts';
import type { FaultEffect } from '../support/faults.ts';
import { refusals } from '../support/faults.ts';
import type { Exchange } from '../support/recorded-server.ts';
import { generateContent } from '../support/served-content.ts';
import { upstreamError } from '../upstream/upstream-scene.ts';
import { pauses } from './no-pauses.ts';
import { answerRange, type Line, path, type ScriptedUpstream, scriptedUpstream } from './scripted-upstream.ts';
import { altered, patient } from './start-mirror.ts';

vi.mock('node:timers/promises', () => import('./no-pauses.ts'));

const size = 300_000;
const scene = (...script: Line[]) => scriptedUpstream({ size, script, idleTimeoutMs: 100 });

beforeEach(() => {
  pauses.length = 0;
});

/** All pieces, each where the one before ended. */
async function receive(at: ScriptedUpstream, request: Partial<PartRequest> = {}): Promise<Buffer> {
  const { start = 0, end = at.blob.size } = request;
  const { source, digest } = at;
  const pieces: Uint8Array[] = [];
  let position = start;
  for await (const piece of receivePart({
    source,
    digest,
    size: at.blob.size,
    start,
    end,
    signal: patient,
    ...request,
  })) {
    expect(piece.position).toBe(position);
    pieces.push(piece.bytes);
    position += piece.bytes.length;
  }
  return Buffer.concat(pieces);
}

const isTrue = (at: ScriptedUpstream, bytes: Buffer, start = 0, end = size) =>
  bytes.equals(at.bytes.subarray(start, end));

describe('a part', () => {
  test.each([
    ['at the head', 0, 1000],
    ['in the middle', 1000, 250_000],
    ['at the end', 250_000, size],
    ['of one byte', 77, 78],
    ['of everything', 0, size],
  ])('%s comes exactly, in one request', async (_where, start, end) => {
    await using at = await scene();
    expect(isTrue(at, await receive(at, { start, end }), start, end)).toBe(true);
    expect(at.ranges()).toEqual([`bytes=${start}-${end - 1}`]);
    expect(at.upstream.bytesSent('blob')).toBe(end - start);
  });

  test('of an upstream that gives no parts is cut out of the whole, and that is said', async () => {
    await using at = await scene({ noRanges: true });
    const onWhole = vi.fn();
    expect(isTrue(at, await receive(at, { start: 1000, end: 2000, onWhole }), 1000, 2000)).toBe(true);
    expect(onWhole).toHaveBeenCalledOnce();
  });

  test('ends where it is, with its response, when nobody wants the whole', async () => {
    await using at = await scriptedUpstream({ size });
    let whole: Exchange | undefined;
    at.script.push((exchange) => {
      whole = exchange;
      Object.assign(exchange.effect, { noRanges: true, stallAfter: 200_000 });
    });
    expect(await receive(at, { start: 1000, onWhole: () => false })).toHaveLength(0);
    await vi.waitUntil(() => whole?.response.destroyed);
    expect(at.upstream.count()).toBe(1);
  });

  test('ends where it broke when what goes on is the whole and nobody wants it', async () => {
    await using at = await scene({ truncateAfter: 100_000 }, { noRanges: true });
    expect(isTrue(at, await receive(at, { onWhole: () => false }), 0, 100_000)).toBe(true);
    expect(at.upstream.count()).toBe(2);
  });

  test('begins with the answer that is here already', async () => {
    await using at = await scene();
    const first = await at.source.upstream.fetchBlob(path, at.digest, patient);
    expect(isTrue(at, await receive(at, { start: 5000, end: 6000, first }), 5000, 6000)).toBe(true);
    expect(at.ranges()).toEqual([undefined]);
  });

  test('that was read to its end leaves its connection to the next', async () => {
    await using at = await scene();
    for (let start = 0; start < size; start += size / 10) await receive(at, { start, end: start + size / 10 });
    // One may still be on its way back when the next part is asked for.
    expect(new Set(at.ports).size).toBeLessThanOrEqual(2);
  });
});

describe('a transfer that', () => {
  test.each<[string, FaultEffect]>([
    ['is dropped', { dropAfter: 100_000 }],
    ['is dropped before its first byte', { dropAfter: 0 }],
    ['is dropped before its last byte', { dropAfter: size - 1 }],
    ['is reset', { resetAfter: 100_000 }],
    ['stalls', { stallAfter: 100_000 }],
    ['is cut short as if that were all', { truncateAfter: 100_000 }],
    ['gets no answer', { hangUp: true }],
    ['meets a broken server', refusals.unavailable],
  ])('%s goes on at the first byte that is missing', async (_what, effect) => {
    await using at = await scene(effect);
    const resumed: number[] = [];
    expect(isTrue(at, await receive(at, { onResume: (position) => resumed.push(position) }))).toBe(true);
    expect(at.ranges()).toEqual([`bytes=0-${size - 1}`, `bytes=${resumed[0]}-${size - 1}`]);
    expect(resumed).toHaveLength(1);
  });

  test('is refused by a limit waits for as long as it was told to', async () => {
    await using at = await scene({ truncateAfter: 100_000 });
    const { upstream, repository } = at.source;
    let asked = 0;
    const fetchBlob: Upstream['fetchBlob'] = (...question) => {
      if (++asked === 2) throw new UpstreamError('limited', 'too many', { retryAfterMs: 3000 });
      return upstream.fetchBlob(...question);
    };
    const source = { repository, upstream: altered(upstream, { fetchBlob }) };
    expect(isTrue(at, await receive(at, { source }))).toBe(true);
    expect(at.ranges()).toEqual([`bytes=0-${size - 1}`, `bytes=100000-${size - 1}`]);
    expect(pauses).toHaveLength(1);
    expect(pauses[0]).toBeGreaterThanOrEqual(3000);
  });

  test('goes on with the whole from an upstream that gives no parts any more skips what it has', async () => {
    await using at = await scene({ truncateAfter: 100_000 }, { noRanges: true });
    const onWhole = vi.fn();
    expect(isTrue(at, await receive(at, { onWhole }))).toBe(true);
    expect(at.ranges()).toEqual([`bytes=0-${size - 1}`, `bytes=100000-${size - 1}`]);
    expect(onWhole).toHaveBeenCalledOnce();
  });

  test('brings less than it was asked for, in order, asks for the rest', async () => {
    await using at = await scene(answerRange('bytes=0-99999'), answerRange('bytes=100000-199999'));
    expect(isTrue(at, await receive(at))).toBe(true);
    expect(at.upstream.bytesSent('blob')).toBe(size);
    expect(pauses).toEqual([]);
  });

  test('breaks whenever a little has come goes on for long', async () => {
    await using at = await scene(...Array.from({ length: 20 }, () => ({ truncateAfter: 10 })));
    expect(isTrue(at, await receive(at))).toBe(true);
    expect(at.upstream.count()).toBe(21);
  });

  test('breaks at any places brings every byte once, in order', async () => {
    const upTo = fc.nat({ max: 40_000 });
    const line = fc.oneof(
      upTo.map((truncateAfter) => ({ truncateAfter })),
      upTo.map((dropAfter) => ({ dropAfter })),
      upTo.map((truncateAfter) => ({ truncateAfter, noRanges: true })),
      fc.constant({ chunked: true }),
    );
    await using at = await scriptedUpstream({ size: 40_000 });
    const part = fc
      .tuple(upTo, upTo)
      .map(([one, other]) => ({ start: Math.min(one, other), end: Math.max(one, other) }));
    await fc.assert(
      fc.asyncProperty(part, fc.array(line, { maxLength: 4 }), async ({ start, end }, script) => {
        at.script.splice(0, Infinity, ...script);
        if (start < end) expect(isTrue(at, await receive(at, { start, end }), start, end)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe('attempts without a new byte', () => {
  test('are five in a row at most, the pauses between them ever longer', async () => {
    await using at = await scene({ truncateAfter: 100_000 });
    at.last = { hangUp: true };
    expect((await upstreamError(receive(at))).failure).toBe('unreachable');
    expect(at.upstream.count()).toBe(1 + 5);
    expect(pauses).toHaveLength(4);
    for (const [index, pause] of pauses.entries()) {
      expect(pause).toBeGreaterThanOrEqual(100 * 2 ** index);
      expect(pause).toBeLessThanOrEqual(200 * 2 ** index);
    }
  });

  test('are counted anew after one byte', async () => {
    const four = Array.from({ length: 4 }, () => ({ hangUp: true }));
    await using at = await scene(...four, { truncateAfter: 1 }, ...four, { truncateAfter: 1 }, ...four);
    expect(isTrue(at, await receive(at))).toBe(true);
    expect(at.upstream.count()).toBe(4 + 1 + 4 + 1 + 4 + 1);
  });

  test('are as many when the upstream gives only what is here already', async () => {
    await using at = await scene();
    at.last = { noRanges: true, truncateAfter: 100_000 };
    const received = receive(at, { start: 100_000 });
    expect((await upstreamError(received)).message).toContain('broke off at byte 100000');
    expect(at.upstream.count()).toBe(5);
  });
});

describe('attempts that bring next to nothing', () => {
  const drops = (count: number) => Array.from({ length: count }, () => ({ truncateAfter: 1 }));

  test('are fifty in a row at most', async () => {
    await using at = await scene();
    at.last = { truncateAfter: 1 };
    expect((await upstreamError(receive(at))).message).toContain('broke off at byte 50 of');
    expect(at.upstream.count()).toBe(50);
  });

  test('are counted anew after 64 KiB', async () => {
    await using at = await scene(...drops(49), { truncateAfter: 64 * 1024 }, ...drops(49));
    expect(isTrue(at, await receive(at))).toBe(true);
    expect(at.upstream.count()).toBe(49 + 1 + 49 + 1);
  });

  test('are not counted anew after less', async () => {
    await using at = await scene(...drops(49), { truncateAfter: 64 * 1024 - 1 });
    await upstreamError(receive(at));
    expect(at.upstream.count()).toBe(50);
  });
});

describe('what cannot be mended ends it at once:', () => {
  const lies: [string, string, Line, string][] = [
    ['another place than asked for', 'protocol', answerRange('bytes=1-5'), 'bytes 1-5/300000'],
    ['more than asked for', 'protocol', answerRange(`bytes=100000-${size - 1}`), `bytes 100000-${size - 1}/300000`],
    ['a compressed body', 'protocol', { gzip: true, noRanges: true }, 'gzip encoding'],
    ['a refusal of the right', 'denied', refusals.denied, 'DENIED'],
    ['a refusal of the token', 'unauthorized', refusals.unauthorized, 'answered 401'],
    ['another answer than the protocol knows', 'protocol', { status: 204 }, 'answered 204'],
  ];
  test.each(lies)('%s', async (_what, failure, line, said) => {
    await using at = await scene({ truncateAfter: 100_000 }, line);
    const error = await upstreamError(receive(at, { end: 200_000 }));
    expect(error).toMatchObject({ failure, message: expect.stringContaining(said) });
    expect(at.upstream.count()).toBe(2);
  });

  test('a blob that is gone in the middle', async () => {
    await using at = await scene({ truncateAfter: 100_000 }, () => at.upstream.repository(path).blobs.clear());
    const error = await upstreamError(receive(at));
    expect(error).toMatchObject({ failure: 'protocol', message: expect.stringContaining('vanished') });
  });

  test('a blob whose size is another in the middle', async () => {
    const other = await generateContent({ size: size + 1, seed: 2 });
    await using at = await scene({ truncateAfter: 100_000 }, () => {
      at.upstream.repository(path).blobs.set(at.digest, other);
    });
    const error = await upstreamError(receive(at));
    expect(error).toMatchObject({ failure: 'protocol', message: expect.stringContaining('300001 bytes') });
  });

  test('more bytes than there are', async () => {
    await using at = await scene({ noRanges: true, endless: true });
    const error = await upstreamError(receive(at, { size: size - 1, end: size - 1 }));
    expect(error).toMatchObject({ failure: 'protocol', message: expect.stringContaining('more than the 299999') });
  });
});

test('a reader that leaves ends the request', async () => {
  await using at = await scene({ stallAfter: 200_000 });
  const { source, digest } = at;
  for await (const _ of receivePart({ source, digest, size, start: 0, end: size, signal: patient })) break;
  await at.upstream.close();
  expect(at.upstream.requests.map(({ isComplete }) => isComplete)).toEqual([false]);
  expect(at.upstream.count()).toBe(1);
});
