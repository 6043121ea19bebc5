// The pages of a tag list, made regular: registries link the next one in their own ways, or send everything at once.
import { LRUCache } from 'lru-cache';
import { isTag } from '../oci/reference.ts';
import type { UpstreamResponse } from './transport.ts';
import type { TagPage, TagQuery } from './upstream.ts';

/** What is known of pages that clients may ask for next. */
const maxCursors = 1000;
const maxCursorLength = 2048;

export class TagPages {
  /** quay.io's `next_page`, by repository and last tag: it goes on nowhere else, whatever `last` says. */
  readonly #cursors = new LRUCache<string, string>({ maxSize: maxCursors, sizeCalculation: () => 1 });

  /** The query for a page of this repository. */
  query(path: string, { n, last }: TagQuery): string {
    const cursor = last === undefined ? undefined : this.#cursors.get(key(path, last));
    return cursor ?? `?${new URLSearchParams({ n: String(n), ...(last !== undefined && { last }) })}`;
  }

  /** At most `n` tags, all behind `last`, and never a next page that is this one again. */
  page(path: string, { n, last }: TagQuery, tags: readonly string[], response: UpstreamResponse): TagPage {
    // Some ignore `last` and begin anew.
    const behind = last === undefined ? tags : tags.slice(tags.indexOf(last) + 1);
    if (behind.length > n) return this.#cut(path, last, behind.slice(0, n));
    const next = this.#next(path, behind, response);
    return { tags: behind, last: next === last || (behind.length === 0 && tags.length > 0) ? undefined : next };
  }

  /** A page that was longer than asked for goes on in itself, where only its cursor leads to it. */
  #cut(path: string, asked: string | undefined, tags: readonly string[]): TagPage {
    const last = tags.at(-1);
    const cursor = asked === undefined ? undefined : this.#cursors.get(key(path, asked));
    if (cursor !== undefined && last !== undefined) this.#cursors.set(key(path, last), cursor);
    return { tags, last };
  }

  /** Where the next page starts, by what the response links. Only the query of a link is ever used. */
  #next(path: string, tags: readonly string[], { url, header }: UpstreamResponse): string | undefined {
    const target = nextTarget(header('link') ?? '');
    const link = target === undefined ? null : URL.parse(target, url);
    if (!link) return undefined;
    const told = link.searchParams.get('last');
    if (told !== null && isTag(told)) return told;
    const last = tags.at(-1);
    if (last === undefined || link.origin !== url.origin || !hasCursor(link)) return undefined;
    if (link.search.length > maxCursorLength) return undefined;
    this.#cursors.set(key(path, last), link.search);
    return last;
  }
}

function key(path: string, last: string): string {
  return `${path}:${last}`;
}

/** Anything but the size of a page says where it begins. */
function hasCursor({ searchParams }: URL): boolean {
  return [...searchParams.keys()].some((name) => name !== 'n');
}

/** RFC 8288; the piece before a `<` is matched once, so that a hostile header costs no more than its length. */
function nextTarget(link: string): string | undefined {
  for (const [, target, parameters] of link.matchAll(/<([^<>]*)>([^<]*)/g))
    if (/;\s*rel="?next"?/i.test(parameters ?? '')) return target;
  return undefined;
}

/** Whether it says of itself that it is one: a repository without tags has `null` there, in places. */
export function isTagList(bytes: Uint8Array): boolean {
  try {
    const { tags } = JSON.parse(Buffer.from(bytes).toString()) as { tags?: unknown };
    return tags === null || Array.isArray(tags);
  } catch {
    return false;
  }
}

/** Those that can be asked for: the others are no tags, and what a client would be linked on with. */
export function parseTags(bytes: Uint8Array): string[] | undefined {
  try {
    const { tags } = JSON.parse(Buffer.from(bytes).toString()) as { tags?: unknown };
    if (tags === null || tags === undefined) return [];
    if (!Array.isArray(tags)) return undefined;
    return tags.filter((tag): tag is string => typeof tag === 'string' && isTag(tag));
  } catch {
    return undefined;
  }
}
