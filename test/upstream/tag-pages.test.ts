// Tag lists of registries that page in their own ways, as clients see them: in order, in bounds, and with an end.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseTags, TagPages } from '../../src/upstream/tag-pages.ts';
import type { UpstreamResponse } from '../../src/upstream/transport.ts';

const url = new URL('https://registry.example/v2/org/app/tags/list');

interface Manners {
  /** Gives no more tags than it was asked for; else all that are left. */
  readonly countsTags: boolean;
  /** Begins behind `last`; else anew, unless a cursor says where. */
  readonly hearsLast: boolean;
  readonly links: 'nothing' | 'last' | 'a cursor' | 'itself';
}

/** What a registry answers to this query. */
function answer(all: readonly string[], manners: Manners, query: string): { tags: string[]; link: string } {
  const asked = new URLSearchParams(query);
  const cursor = asked.get('next_page');
  const last = asked.get('last');
  let from = 0;
  if (cursor !== null) from = Number(cursor);
  else if (last !== null && manners.hearsLast) from = all.indexOf(last) + 1;
  const to = manners.countsTags ? from + Number(asked.get('n')) : all.length;
  const tags = all.slice(from, to);
  const next = {
    nothing: '',
    last: `<?n=${asked.get('n')}&last=${tags.at(-1)}>; rel="next"`,
    'a cursor': `</v2/org/app/tags/list?n=${asked.get('n')}&next_page=${to}>; rel="next"`,
    itself: `<${query}>; rel="next"`,
  }[manners.links];
  return { tags, link: manners.links === 'itself' || to < all.length ? next : '' };
}

/** All pages that a client gets who asks for `n` each, up to a bound. */
function walk(
  all: readonly string[],
  manners: Manners,
  sizes: readonly number[],
): { pages: string[][]; isWhole: boolean } {
  const lists = new TagPages();
  const pages: string[][] = [];
  let last: string | undefined;
  for (let index = 0; index < 3 * all.length + 3; index++) {
    const n = sizes[index % sizes.length] ?? 1;
    const query = { n, ...(last !== undefined && { last }) };
    const { tags, link } = answer(all, manners, lists.query('org/app', query));
    const response = { url, header: (name: string) => (name === 'link' ? link : undefined) } as UpstreamResponse;
    const page = lists.page('org/app', query, tags, response);
    expect(page.tags.length).toBeLessThanOrEqual(n);
    pages.push([...page.tags]);
    last = page.last;
    if (last === undefined) return { pages, isWhole: true };
  }
  return { pages, isWhole: false };
}

const tagsOf = (count: number) => Array.from({ length: count }, (_, index) => `v${String(index).padStart(3, '0')}`);

describe('the pages of a registry that', () => {
  test.each<[string, Manners]>([
    ['does as the spec says', { countsTags: true, hearsLast: true, links: 'last' }],
    ['goes on by a cursor of its own, as quay.io does', { countsTags: true, hearsLast: false, links: 'a cursor' }],
    ['sends everything at once', { countsTags: false, hearsLast: false, links: 'nothing' }],
    ['sends everything that is left', { countsTags: false, hearsLast: true, links: 'nothing' }],
  ])('%s hold every tag once, whatever sizes are asked for', (_, manners) => {
    fc.assert(
      fc.property(
        fc.nat({ max: 60 }),
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }),
        (count, sizes) => {
          const all = tagsOf(count);
          const { pages, isWhole } = walk(all, manners, sizes);
          expect(isWhole).toBe(true);
          expect(pages.flat()).toEqual(all);
        },
      ),
    );
  });

  test('has whatever manners come to an end', () => {
    const manners = fc.record({
      countsTags: fc.boolean(),
      hearsLast: fc.boolean(),
      links: fc.constantFrom('nothing' as const, 'last' as const, 'a cursor' as const, 'itself' as const),
    });
    fc.assert(
      fc.property(fc.nat({ max: 30 }), manners, fc.integer({ min: 1, max: 7 }), (count, how, n) => {
        expect(walk(tagsOf(count), how, [n]).isWhole).toBe(true);
      }),
    );
  });
});

describe('a link', () => {
  const page = (link: string) => {
    const lists = new TagPages();
    const response = { url, header: () => link } as unknown as UpstreamResponse;
    const { last } = lists.page('org/app', { n: 2 }, ['a', 'b'], response);
    return { last, next: lists.query('org/app', { n: 2, last: last ?? '' }) };
  };

  test('without a last tag is gone on with by its query alone', () => {
    expect(page('</v2/org/app/tags/list?n=2&next_page=gAAAAA%3D>; rel="next"')).toEqual({
      last: 'b',
      next: '?n=2&next_page=gAAAAA%3D',
    });
    expect(page('</v2/other/secret/tags/list?next_page=x>; rel="next"').next).toBe('?next_page=x');
  });

  test('to another origin leads nowhere', () => {
    expect(page('<https://elsewhere.example/v2/org/app/tags/list?next_page=x>; rel="next"').last).toBeUndefined();
  });

  test('that says nothing new leads nowhere', () => {
    expect(page('</v2/org/app/tags/list?n=2>; rel="next"').last).toBeUndefined();
    expect(page('</v2/org/app/tags/list>; rel="next"').last).toBeUndefined();
  });
});

test.each([
  ['{"tags":["a","b",3,null]}', ['a', 'b']],
  ['{"tags":null}', []],
  ['{}', []],
  ['{"tags":"a"}', undefined],
  ['null', undefined],
  ['<html>', undefined],
])('the tags of %s', (text, tags) => {
  expect(parseTags(Buffer.from(text))).toEqual(tags);
});
