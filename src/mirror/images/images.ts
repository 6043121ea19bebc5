// What is cached, for people: every image under its names, with how much of it is here.
import type { Reference } from '../../oci/reference.ts';
import { formatRepository, type Repository } from '../../oci/repository.ts';
import { entriesOf, type ImageEntry, placeOf, viewsOf } from './image-entries.ts';
import { type ImageMatch, parseImageMatch } from './image-match.ts';
import { ImageReader, type ImageReaderOptions } from './image-reader.ts';
import { type CachedImage, storedBytesOf, type ViewOptions, viewOf } from './image-view.ts';
import { NamedPins } from './named-pins.ts';
import { Pace } from './pace.ts';

export type { CachedImage, ImagePlatform } from './image-view.ts';

export interface ImageQuery {
  /** A glob on registry/path, with an optional `:tag` glob; without that, all tags and all that has none. */
  readonly match?: string | undefined;
  /** Largest first, and used last first; without one, by name. */
  readonly sort?: 'name' | 'size' | 'used' | undefined;
  readonly limit: number;
  /** As the page before gave it. */
  readonly cursor?: string | undefined;
}

export interface ImagePage {
  readonly images: readonly CachedImage[];
  /** `undefined` on the last page. */
  readonly cursor: string | undefined;
}

/** What whoever asked has to ask differently. */
export class ImageQueryError extends Error {
  override readonly name = 'ImageQueryError';
}

interface Ranked {
  readonly entry: ImageEntry;
  readonly rank: number;
  readonly place: string;
}

interface Looking extends ViewOptions {
  readonly pins: NamedPins;
}

const mostAsked = 1000;
const mostSorted = 20_000;
const namesAtOnce = 200;

export class Images {
  readonly #options: ImageReaderOptions;
  readonly #reader: ImageReader;

  constructor(options: ImageReaderOptions) {
    this.#options = options;
    this.#reader = new ImageReader(options);
  }

  /** Throws `ImageQueryError`. By size and by use it looks at all that match, in turns, for each page. */
  async list({ match, sort = 'name', limit, cursor }: ImageQuery, signal: AbortSignal): Promise<ImagePage> {
    if (!Number.isInteger(limit) || limit < 1 || limit > mostAsked)
      throw new ImageQueryError(`not a number of images: ${limit}: ask for 1 to ${mostAsked} at a time`);
    const [looking, matching] = [this.#look(signal), parseImageMatch(match)];
    const after = cursor === undefined ? undefined : positionOf(cursor);
    return sort === 'name'
      ? this.#byName(looking, { matching, limit, after })
      : this.#byRank(looking, { matching, limit, after, sort });
  }

  /** One tag, one digest or, without a reference, all of a repository. Empty when nothing is cached under that name. */
  async find(
    { registry, path }: Repository,
    reference: Reference | undefined,
    signal: AbortSignal,
  ): Promise<readonly CachedImage[]> {
    const looking = this.#look(signal);
    const found: CachedImage[] = [];
    for await (const entry of this.#named(looking, { registry, path }, reference)) {
      const image = await this.#view(looking, entry);
      if (image) found.push(image);
      if (found.length > mostAsked)
        throw new ImageQueryError(
          `too many images: ${registry}/${path} has more than ${mostAsked}: list them page by page`,
        );
    }
    return found;
  }

  async #byName(
    looking: Looking,
    { matching, limit, after }: { matching: ImageMatch; limit: number; after: Position | undefined },
  ): Promise<ImagePage> {
    const images: CachedImage[] = [];
    let last: string | undefined;
    for await (const entry of this.#matching(looking, matching, after?.place)) {
      if (images.length === limit && last) return { images, cursor: cursorOf({ rank: 0, place: last }) };
      const image = await this.#view(looking, entry);
      if (image) images.push(image);
      last = placeOf(entry);
    }
    return { images, cursor: undefined };
  }

  async #byRank(
    looking: Looking,
    {
      matching,
      limit,
      after,
      sort,
    }: { matching: ImageMatch; limit: number; after: Position | undefined; sort: 'size' | 'used' },
  ): Promise<ImagePage> {
    const { records } = this.#options;
    let [best, looked]: [Ranked[], number] = [[], 0];
    for await (const entry of this.#matching(looking, matching)) {
      if (++looked > mostSorted)
        throw new ImageQueryError(
          `too many images to sort: more than ${mostSorted}: narrow them down with match, or list them by name`,
        );
      const { repository, digest } = entry;
      const rank = sort === 'used' ? (records.lastUse(digest) ?? 0) : await storedBytesOf(looking, repository, digest);
      const ranked = { entry, rank, place: placeOf(entry) };
      if (after && byRank(after, ranked) >= 0) continue;
      best.push(ranked);
      if (best.length > 2 * limit) best = best.sort(byRank).slice(0, limit + 1);
    }
    const shown = best.sort(byRank).slice(0, limit);
    const images: CachedImage[] = [];
    for (const { entry } of shown) {
      const image = await this.#view(looking, entry);
      if (image) images.push(image);
    }
    const last = shown.at(-1);
    return { images, cursor: last && best.length > limit ? cursorOf(last) : undefined };
  }

  /** Of a name, both what everybody sees and what only some do. */
  async *#named(looking: Looking, name: Repository, reference: Reference | undefined): AsyncGenerator<ImageEntry> {
    const { records } = this.#options;
    const parts = { records, reader: this.#reader, pace: looking.pace };
    if (reference && 'digest' in reference) {
      const { digest } = reference;
      const view = viewsOf(name).find(
        (each) => records.link(each, digest) && this.#reader.storedBytes(each, digest) > 0,
      );
      if (view) yield { repository: view, tag: undefined, digest, checkedAt: undefined };
      return;
    }
    const tag = reference?.tag;
    yield* entriesOf(parts, name, tag === undefined ? {} : { isTag: (each) => each === tag });
  }

  async *#matching(looking: Looking, matching: ImageMatch, after = ''): AsyncGenerator<ImageEntry> {
    const { records } = this.#options;
    const { prefix, isRepository, isTag } = matching;
    const parts = { records, reader: this.#reader, pace: looking.pace };
    const [name = ''] = after.split(' ', 1);
    for (let from: string | undefined = name > prefix ? name : prefix; from !== undefined; ) {
      const page: Repository[] = records.repositoriesFrom(from, namesAtOnce);
      for (const repository of page) {
        const each = formatRepository(repository);
        if (!each.startsWith(prefix)) return;
        await looking.pace.rest();
        if (isRepository(each)) yield* entriesOf(parts, repository, { isTag, after: each === name ? after : '' });
      }
      const last = page.at(-1);
      // The first behind it: a blank comes before all that names are made of.
      from = page.length === namesAtOnce && last ? `${formatRepository(last)} ` : undefined;
    }
  }

  async #view(looking: Looking, entry: ImageEntry): Promise<CachedImage | undefined> {
    await looking.pace.rest();
    const view = await viewOf(looking, entry);
    if (!view) return undefined;
    return { ...view, isPinned: looking.pins.keeping(entry) !== undefined };
  }

  #look(signal: AbortSignal): Looking {
    const { records, store } = this.#options;
    return { records, store, reader: this.#reader, pace: new Pace(signal), signal, pins: new NamedPins(records) };
  }
}

interface Position {
  readonly rank: number;
  readonly place: string;
}

function byRank(one: Position, other: Position): number {
  return other.rank - one.rank || (one.place < other.place ? -1 : Number(one.place > other.place));
}

function cursorOf({ rank, place }: Position): string {
  return Buffer.from(`${rank} ${place}`).toString('base64url');
}

function positionOf(cursor: string): Position {
  const [, rank, place] = /^(\S+) (\S+ \S+ [01])$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (place === undefined || !Number.isFinite(Number(rank)))
    throw new ImageQueryError('not a cursor: take the one that the page before gave');
  return { rank: Number(rank), place };
}
