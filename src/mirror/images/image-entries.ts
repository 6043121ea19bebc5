// The names under which images are cached: each tag and, where only the digest of one is known, that. In order, page by page.
import type { Digest } from '../../oci/digest.ts';
import { isManifestType, mediaTypes } from '../../oci/media-types.ts';
import { formatRepository, type Repository } from '../../oci/repository.ts';
import type { Link, ListedTag, Records } from '../../store/records.ts';
import type { ImageReader } from './image-reader.ts';
import type { Pace } from './pace.ts';

export interface ImageEntry {
  /** `isPrivate`: it is what only some may see. */
  readonly repository: Repository;
  readonly tag: string | undefined;
  readonly digest: Digest;
  readonly checkedAt: number | undefined;
}

export interface EntriesOptions {
  readonly records: Records;
  readonly reader: Pick<ImageReader, 'children' | 'storedBytes'>;
  readonly pace: Pace;
}

/** What both views of a repository have under one key; at least one of them has it. */
interface Pair<T> {
  readonly shown: T | undefined;
  readonly hidden: T | undefined;
}

const pageSize = 200;

/** In the order of tags, then of digests; of one tag first what everybody sees. After the entry of that place. */
export async function* entriesOf(
  options: EntriesOptions,
  name: Repository,
  { after = '', isTag }: { readonly after?: string; readonly isTag?: ((tag: string) => boolean) | undefined } = {},
): AsyncGenerator<ImageEntry> {
  for await (const entry of inOrder(options, name, { after, isTag })) if (placeOf(entry) > after) yield entry;
}

/** Of an entry among all others: as text it is in their order. A blank comes before all that names are made of. */
export function placeOf({ repository, tag, digest }: ImageEntry): string {
  const key = tag === undefined ? `u${digest}` : `t${tag}`;
  return `${formatRepository(repository)} ${key} ${repository.isPrivate ? 1 : 0}`;
}

async function* inOrder(
  options: EntriesOptions,
  name: Repository,
  { after, isTag }: { readonly after: string; readonly isTag: ((tag: string) => boolean) | undefined },
): AsyncGenerator<ImageEntry> {
  const { reader } = options;
  const [shown, hidden] = viewsOf(name);
  const [, kind, from] = /^\S+ (.)(\S+) /.exec(after) ?? [];
  if (kind !== 'u')
    for await (const pair of tagsOf(options, name, kind === 't' ? from : '')) {
      const own = pair.hidden ?? pair.shown;
      if (!own || isTag?.(own.tag) === false) continue;
      const seen = pair.shown && reader.storedBytes(shown, pair.shown.digest) > 0 ? pair.shown : undefined;
      if (seen) yield { repository: shown, ...seen };
      if (own.digest !== seen?.digest) yield { repository: hidden, ...own };
    }
  if (isTag) return;
  for (const [digest, pair] of await untagged(options, name)) {
    const isSeen = pair.shown && reader.storedBytes(shown, digest) > 0;
    yield { repository: isSeen ? shown : hidden, tag: undefined, digest, checkedAt: undefined };
  }
}

async function* tagsOf(
  { records, pace }: EntriesOptions,
  name: Repository,
  from = '',
): AsyncGenerator<Pair<ListedTag>> {
  const [shown, hidden] = viewsOf(name);
  for (const pair of paired(tagsOfView(records, shown, from), tagsOfView(records, hidden, from), ({ tag }) => tag)) {
    await pace.rest();
    yield pair;
  }
}

/**
 * Manifests that the registry gave under this name, which no tag of it means, no index here names and which refer to nothing
 * here: what belongs to an image is none of its own.
 */
async function untagged({ records, reader, pace }: EntriesOptions, name: Repository): Promise<Map<Digest, Pair<Link>>> {
  const [shown, hidden] = viewsOf(name);
  const found = new Map<Digest, Pair<Link>>();
  const indexes: Digest[] = [];
  for (const pair of paired(linksOf(records, shown), linksOf(records, hidden), ({ digest }) => digest)) {
    await pace.rest();
    const link = pair.shown?.proven ? pair.shown : (pair.hidden ?? pair.shown);
    if (!link || !isManifestType(link.mediaType)) continue;
    const { digest } = link;
    if (isIndexType(records.blob(digest)?.mediaType)) indexes.push(digest);
    if (link.proven && !isTagged(records, name, digest) && !refersToOther(records, name, digest))
      found.set(digest, pair);
  }
  for (const index of found.size > 0 ? indexes : []) {
    await pace.rest();
    for (const { digest } of (await reader.children(index))?.manifests ?? []) found.delete(digest);
  }
  return found;
}

export function isTagged(records: Records, name: Repository, digest: Digest): boolean {
  return viewsOf(name).some((view) => records.tagsMeaning(view, digest, { limit: 1 }).length > 0);
}

function refersToOther(records: Records, name: Repository, digest: Digest): boolean {
  return viewsOf(name).some((view) => {
    const subject = records.subject(view, digest);
    return subject !== undefined && records.blob(subject) !== undefined && records.link(view, subject) !== undefined;
  });
}

/** What everybody sees of a name, and what only some do. */
export function viewsOf({ registry, path }: Repository): readonly [Repository, Repository] {
  return [
    { registry, path },
    { registry, path, isPrivate: true },
  ];
}

export function* tagsOfView(records: Records, view: Repository, from = ''): Generator<ListedTag> {
  for (let at: string | undefined = from; at !== undefined; ) {
    const page: ListedTag[] = records.tagsFrom(view, at, pageSize);
    yield* page;
    const last = page.at(-1);
    // The first behind it: nothing is between them.
    at = page.length === pageSize && last ? `${last.tag} ` : undefined;
  }
}

export function* linksOf(records: Records, view: Repository): Generator<Link> {
  for (let last: string | undefined = ''; last !== undefined; ) {
    const page: Link[] = records.linksAfter(view, last, pageSize);
    yield* page;
    last = page.length === pageSize ? page.at(-1)?.digest : undefined;
  }
}

/** Two lists in the order of their keys, as one. */
function* paired<T>(one: Iterator<T>, other: Iterator<T>, keyOf: (item: T) => string): Generator<Pair<T>> {
  let [shown, hidden] = [nextOf(one), nextOf(other)];
  while (shown !== undefined || hidden !== undefined) {
    const [key, otherKey] = [shown && keyOf(shown), hidden && keyOf(hidden)];
    const isFirst = key !== undefined && (otherKey === undefined || key <= otherKey);
    const isSecond = otherKey !== undefined && (key === undefined || otherKey <= key);
    yield { shown: isFirst ? shown : undefined, hidden: isSecond ? hidden : undefined };
    if (isFirst) shown = nextOf(one);
    if (isSecond) hidden = nextOf(other);
  }
}

function nextOf<T>(items: Iterator<T>): T | undefined {
  const { value, done } = items.next();
  return done ? undefined : (value as T);
}

function isIndexType(mediaType: string | undefined): boolean {
  return mediaType === mediaTypes.ociIndex || mediaType === mediaTypes.dockerList;
}
