// Parts of a blob: what an upstream that gives them may answer, and what one does that gives none.
import { describe, expect, test } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import { type FakeUpstreamOptions, startFakeUpstream } from '../support/fake-upstream.ts';
import { type FaultEffect, refusals } from '../support/faults.ts';
import type { Exchange } from '../support/recorded-server.ts';
import { never, openClient, textOf, upstreamError } from './upstream-scene.ts';

const path = 'library/app';
const text = '0123456789';
const part = { start: 2, end: 6 };

async function scene(options: FakeUpstreamOptions = {}, bytes = text) {
  const upstream = await startFakeUpstream(options);
  const { client, ...at } = openClient({ endpoint: upstream.url });
  const digest = upstream.addBlob(path, bytes).digest as Digest;
  return {
    upstream,
    fetch: (wanted = part) => client.fetchBlob(path, digest, never, wanted),
    async [Symbol.asyncDispose]() {
      await at[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

/** Answers every request as if it were for another part. */
function answering(range: string): FakeUpstreamOptions {
  const intercept = async ({ request }: Exchange) => {
    request.headers.range = range;
    return false;
  };
  return { intercept };
}

/** Answers 206 with this Content-Range and no word more. */
function claiming(contentRange: string): FakeUpstreamOptions {
  const intercept = async ({ response }: Exchange) => {
    response.writeHead(206, { 'content-range': contentRange }).end('2345');
    return true;
  };
  return { intercept };
}

describe('a part', () => {
  test('comes as it was asked for, with the size of the whole', async () => {
    await using at = await scene();
    const { body, ...about } = (await at.fetch()) ?? {};
    expect(about).toEqual({ size: 10, start: 2, end: 6 });
    expect(await textOf(body)).toBe('2345');
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=2-5']);
  });

  test('that reaches past the end comes up to it', async () => {
    await using at = await scene();
    const { body, ...about } = (await at.fetch({ start: 2, end: 8_000_000 })) ?? {};
    expect(about).toEqual({ size: 10, start: 2, end: 10 });
    expect(await textOf(body)).toBe('23456789');
  });

  test('follows a redirect with its range', async () => {
    await using at = await scene({ cdn: true });
    expect(await textOf((await at.fetch())?.body)).toBe('2345');
    expect(at.upstream.cdn?.requests[0]?.headers.range).toBe('bytes=2-5');
  });

  test('may be shorter than asked for, from the same place', async () => {
    await using at = await scene(answering('bytes=2-3'));
    const { body, ...about } = (await at.fetch()) ?? {};
    expect(about).toEqual({ size: 10, start: 2, end: 4 });
    expect(await textOf(body)).toBe('23');
  });

  test('may come without a word about the size', async () => {
    await using at = await scene(claiming('bytes 2-5/*'));
    const { body, ...about } = (await at.fetch()) ?? {};
    expect(about).toEqual({ size: undefined, start: 2, end: 6 });
    expect(await textOf(body)).toBe('2345');
  });

  test('is the whole from an upstream that gives no parts', async () => {
    await using at = await scene();
    at.upstream.faults.add({}, { noRanges: true });
    const { body, ...about } = (await at.fetch()) ?? {};
    expect(about).toEqual({ size: 10, start: 0, end: 10 });
    expect(await textOf(body)).toBe(text);
    expect(at.upstream.count()).toBe(1);
  });

  test('is the whole of unknown length where nothing else is said', async () => {
    await using at = await scene();
    at.upstream.faults.add({}, { noRanges: true, chunked: true });
    expect(await at.fetch()).toMatchObject({ size: undefined, start: 0, end: undefined });
  });

  test.each<[string, FaultEffect]>([
    ['refuses every range', { status: 400 }],
    ['cannot satisfy this one', { status: 416 }],
  ])('is the whole, asked for again, from an upstream that %s', async (_what, effect) => {
    await using at = await scene();
    at.upstream.faults.add({ times: 1 }, effect);
    const { body, ...about } = (await at.fetch()) ?? {};
    expect(about).toEqual({ size: 10, start: 0, end: 10 });
    expect(await textOf(body)).toBe(text);
    expect(at.upstream.requests.map(({ headers }) => headers.range)).toEqual(['bytes=2-5', undefined]);
  });

  test('of an empty blob is the whole', async () => {
    await using at = await scene({}, '');
    const { body, ...about } = (await at.fetch({ start: 0, end: 8_000_000 })) ?? {};
    expect(about).toEqual({ size: 0, start: 0, end: 0 });
    expect(await textOf(body)).toBe('');
  });

  test('of what is not there is undefined', async () => {
    await using at = await scene();
    at.upstream.repository(path).blobs.clear();
    expect(await at.fetch()).toBeUndefined();
  });
});

describe('an upstream lies that answers 206 with', () => {
  test.each([
    'bytes 3-5/10',
    'bytes 1-5/10',
    'bytes 2-6/10',
    'bytes 2-1/10',
    'bytes 0-9/10',
    'bytes */10',
    'bytes 2-5',
    'items 2-5/10',
    'bytes 2-5/10, 6-7/10',
    `bytes 2-${'9'.repeat(40)}/10`,
    '',
  ])('Content-Range %j', async (contentRange) => {
    await using at = await scene(claiming(contentRange));
    const error = await upstreamError(at.fetch());
    expect(error).toMatchObject({ failure: 'protocol', message: expect.stringContaining('asked for bytes 2-5') });
    expect(error.message).toContain(JSON.stringify(contentRange));
  });
});

test.each<[string, FaultEffect, number]>([
  ['failing', refusals.unavailable, 1],
  ['limited', refusals.pullLimit, 1],
  ['denied', refusals.denied, 1],
  // Asked for the whole as well: some refuse every Range so.
  ['protocol', { status: 400 }, 2],
])('an upstream is %s for a part as for the whole', async (failure, effect, requests) => {
  await using at = await scene();
  at.upstream.faults.add({}, effect);
  expect((await upstreamError(at.fetch())).failure).toBe(failure);
  expect(at.upstream.count()).toBe(requests);
});
