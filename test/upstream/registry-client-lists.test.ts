// Lists of an upstream: tags in pages, and the referrers of a digest.
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-types.ts';
import { startFakeUpstream } from '../support/fake-upstream.ts';
import { refusals } from '../support/faults.ts';
import { never, openClient, startServer, upstreamError } from './upstream-scene.ts';

const path = 'library/app';

async function scene() {
  const upstream = await startFakeUpstream();
  for (const tag of ['a', 'b', 'c', 'd', 'e']) upstream.addImage(path, { tag });
  const { client, ...at } = openClient({ endpoint: upstream.url });
  return {
    upstream,
    client,
    tags: (n = 10) => client.listTags(path, { n }, never),
    async [Symbol.asyncDispose]() {
      await at[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

describe('tags', () => {
  test('come in pages, each with where the next one starts', async () => {
    await using at = await scene();
    expect(await at.tags()).toEqual({ tags: ['a', 'b', 'c', 'd', 'e'], last: undefined });
    expect(await at.tags(2)).toEqual({ tags: ['a', 'b'], last: 'b' });
    expect(await at.client.listTags(path, { n: 2, last: 'b' }, never)).toEqual({ tags: ['c', 'd'], last: 'd' });
    expect(await at.client.listTags(path, { n: 2, last: 'd' }, never)).toEqual({ tags: ['e'], last: undefined });
    expect(at.upstream.requests.at(-1)?.path).toBe(`/v2/${path}/tags/list?n=2&last=d`);
  });

  test('of a repository that is not there are undefined', async () => {
    await using at = await scene();
    expect(await at.client.listTags('library/other', { n: 1 }, never)).toBeUndefined();
  });

  test.each([
    ['a path', `</v2/${path}/tags/list?n=2&last=b%2Ec>; rel="next"`],
    ['a relative path', '<list?last=b%2Ec&n=2>; rel="next"'],
    ['a query', '<?last=b%2Ec>; rel=next'],
    ['an address', `<https://registry.example/v2/${path}/tags/list?last=b%2Ec>;rel="next"`],
    ['one of several', '</docs>; rel="help", <?last=b%2Ec>; rel="next"'],
    ['with more parameters', '<?last=b%2Ec>; title="more"; rel="next"'],
  ])('go on where a link says that is %s', async (_, link) => {
    await using at = await scene();
    at.upstream.faults.add({}, { headers: { link } });
    expect((await at.tags())?.last).toBe('b.c');
  });

  test('go on as a link says that names no tag, without handing that on', async () => {
    await using at = await scene();
    for (const last of ['b%2B', '%41'.repeat(129), 'a%20b', 'x%0d%0ay']) {
      const fault = at.upstream.faults.add({}, { headers: { link: `<?last=${last}&n=2>; rel="next"` } });
      expect((await at.tags())?.last).toBe('e');
      fault.remove();
      await at.client.listTags(path, { n: 2, last: 'e' }, never);
      expect(at.upstream.requests.at(-1)?.path).toBe(`/v2/${path}/tags/list?last=${last}&n=2`);
    }
  });

  test('end where a link is longer than any page needs', async () => {
    await using at = await scene();
    at.upstream.faults.add({}, { headers: { link: `<?next_page=${'z'.repeat(2100)}>; rel="next"` } });
    expect((await at.tags())?.last).toBeUndefined();
  });

  test.each([
    '',
    '<',
    '<?last=b>',
    '<?last=b>; rel="prev"',
    '<http://[>; rel="next"',
    '?last=b; rel="next"',
    '<?n=2>; rel="next"',
  ])('end where a link says nothing of a next page: %j', async (link) => {
    await using at = await scene();
    at.upstream.faults.add({}, { headers: { link } });
    expect((await at.tags())?.last).toBeUndefined();
  });

  test('never lead to another origin', async () => {
    await using at = await scene();
    await using other = await startServer();
    at.upstream.faults.add({}, { headers: { link: `<${other.url}/v2/x/tags/list?last=b>; rel="next"` } });
    const page = await at.tags(2);
    await at.client.listTags(path, { n: 2, ...(page?.last !== undefined && { last: page.last }) }, never);
    expect(other.requests).toEqual([]);
    expect(at.upstream.requests).toHaveLength(2);
  });

  // A header of 32 KiB, the largest that reaches us, must not hold up everybody else.
  test.each([
    ['opening brackets', '<'.repeat(30_000)],
    ['links that are none', '<>;'.repeat(10_000)],
  ])('are not held up by a link of %s', async (_, link) => {
    await using at = await scene();
    at.upstream.faults.add({}, { headers: { link } });
    await at.tags();
    const startedAt = performance.eventLoopUtilization();
    await at.tags();
    expect(performance.eventLoopUtilization(startedAt).active).toBeLessThan(100);
  });

  test.each([
    ['no tags', '{"name":"x","tags":null}'],
    ['no list', '{"name":"x"}'],
  ])('may be none: %s', async (_, body) => {
    await using at = await scene();
    at.upstream.faults.add({}, { body });
    expect(await at.tags()).toEqual({ tags: [], last: undefined });
  });

  test('are those of the list that are texts', async () => {
    await using at = await scene();
    at.upstream.faults.add({}, { body: '{"tags":["a",1,null,{"b":1},"c"]}' });
    expect((await at.tags())?.tags).toEqual(['a', 'c']);
  });

  test('are those of the list that can be tags', async () => {
    await using at = await scene();
    const tags = [
      'a',
      '',
      '.b',
      'a b',
      '../c',
      'x\r\ny',
      '\u001b[31m',
      't'.repeat(129),
      't'.repeat(4_000_000),
      'é',
      'c',
    ];
    at.upstream.faults.add({}, { body: JSON.stringify({ tags }) });
    expect(await at.tags()).toEqual({ tags: ['a', 'c'], last: undefined });
  });

  test.each(['<html></html>', '', 'null', '{"tags":"a"}', '{"tags":{}}'])('are not read from %j', async (body) => {
    await using at = await scene();
    at.upstream.faults.add({}, { body });
    expect((await upstreamError(at.tags())).failure).toBe('protocol');
  });

  test('are bounded in bytes', async () => {
    await using at = await scene();
    at.upstream.faults.add({}, { endless: true });
    expect((await upstreamError(at.tags())).message).toContain('more than 4194304 bytes');
  });

  test('cannot be had from an upstream that limits', async () => {
    await using at = await scene();
    at.upstream.faults.add({}, refusals.pullLimit);
    expect((await upstreamError(at.tags())).failure).toBe('limited');
  });
});

describe('referrers', () => {
  const digest = digestOf(Buffer.from('subject'));

  test('are the bytes of an index', async () => {
    await using at = await scene();
    const bytes = await at.client.fetchReferrers(path, digest, never);
    expect(JSON.parse(Buffer.from(bytes ?? '').toString())).toMatchObject({ mediaType: mediaTypes.ociIndex });
    expect(at.upstream.requests[0]?.path).toBe(`/v2/${path}/referrers/${digest}`);
  });

  test('are undefined where the upstream does not know them', async () => {
    await using at = await scene();
    at.upstream.faults.add({ times: 1 }, refusals.notFound);
    expect(await at.client.fetchReferrers(path, digest, never)).toBeUndefined();
    at.upstream.faults.add({ times: 1 }, refusals.html); // ghcr.io sends people to a web page
    expect(await at.client.fetchReferrers(path, digest, never)).toBeUndefined();
  });

  test('are bounded in bytes', async () => {
    await using at = await scene();
    at.upstream.faults.add({}, { endless: true });
    const asking = at.client.fetchReferrers(path, digest, never);
    expect((await upstreamError(asking)).failure).toBe('protocol');
  });
});
