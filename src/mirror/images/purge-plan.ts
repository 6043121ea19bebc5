// What of a repository goes in a purge, and what stays because something else of it needs it.
import type { Digest } from '../../oci/digest.ts';
import { isManifestType } from '../../oci/media-types.ts';
import type { Watch } from '../../store/records.ts';
import { type ContentsOptions, contentsOf } from './image-contents.ts';
import { linksOf, viewsOf } from './image-entries.ts';
import { referrersIn } from './image-view.ts';
import { NamedPins } from './named-pins.ts';
import { type Named, type Names, type NamesOptions, namesOf, type SeenTag } from './purge-names.ts';

export interface PlanOptions extends NamesOptions {
  readonly signal: AbortSignal;
  /** Of the repository, since before the plan is made: what comes meanwhile stays. */
  readonly watch: Watch;
}

export interface Step {
  readonly tags: readonly SeenTag[];
  /** A manifest comes before what it names. */
  readonly digests: readonly Digest[];
}

/** Of what stays too, in one turn. */
const mostLooked = 200;

export class PurgePlan {
  readonly names: Pick<Names, 'images' | 'pinned'>;
  readonly #options: PlanOptions;
  readonly #contents: ContentsOptions;
  #tags: readonly SeenTag[];
  /** `undefined`: all there is. */
  readonly #doomed: ReadonlySet<Digest> | undefined;
  readonly #digests: Iterator<Digest>;
  /** It goes, whatever names it. */
  readonly #forced: Set<Digest>;
  /** What stays, and what is forced: nothing is followed through that. */
  readonly #seen: Set<Digest>;
  #pinsVersion: number;

  private constructor(
    options: PlanOptions,
    names: Names,
    {
      doomed,
      forced,
      pinsVersion,
    }: {
      readonly doomed: ReadonlySet<Digest> | undefined;
      readonly forced: readonly Digest[];
      readonly pinsVersion: number;
    },
  ) {
    this.names = names;
    this.#options = options;
    this.#contents = contentsIn(options);
    this.#tags = names.going;
    this.#doomed = doomed;
    this.#digests = (doomed ?? allLinked(options))[Symbol.iterator]();
    this.#forced = new Set(forced);
    this.#seen = new Set(forced);
    this.#pinsVersion = pinsVersion;
  }

  static async make(options: PlanOptions, named: Named): Promise<PurgePlan> {
    // A pin that is set from here on is seen later.
    const { pinsVersion } = options.records;
    const names = await namesOf(options, named);
    const forced = named !== 'all' && 'digest' in named ? [named.digest] : [];
    const doomed = named === 'all' ? undefined : new Set(await listed(options, names.roots));
    const plan = new PurgePlan(options, names, { doomed, forced, pinsVersion });
    await plan.#keep(names.staying.map(({ digest }) => digest));
    await plan.#keepPinned();
    if (doomed && doomed.size > 0) await plan.#keepOthers();
    await plan.#keepEarlier(names.staying);
    return plan;
  }

  /** Whether it knows, in this turn, of all that must stay. */
  get isCurrent(): boolean {
    return this.#options.watch.added.size === 0 && this.#pinsVersion === this.#options.records.pinsVersion;
  }

  async refresh(): Promise<void> {
    const { watch, records, repository } = this.#options;
    const added = [...watch.added];
    watch.added.clear();
    for (const digest of added) if (this.#forced.delete(digest)) this.#seen.delete(digest);
    await this.#keep(added);
    if (this.#pinsVersion === records.pinsVersion) return;
    this.#pinsVersion = records.pinsVersion;
    const pins = new NamedPins(records);
    this.#tags = this.#tags.filter((tag) => !pins.keeping({ ...tag, repository }));
    await this.#keepPinned();
  }

  /** What goes next, at most so much; `undefined` when all has. To be taken and done while `isCurrent`. */
  next(most: number): Step | undefined {
    const tags = this.#tags.slice(0, most);
    this.#tags = this.#tags.slice(most);
    const digests: Digest[] = [];
    let looked = tags.length;
    for (; tags.length + digests.length < most && looked < mostLooked; looked++) {
      const { value, done } = this.#digests.next();
      if (done) break;
      if (this.#forced.has(value) || !this.#seen.has(value)) digests.push(value);
    }
    return looked > 0 ? { tags: tags.filter((tag) => this.#isAsItWas(tag)), digests } : undefined;
  }

  /** One that has moved, or was confirmed for somebody who pulls, is no longer what was meant. */
  #isAsItWas({ view, tag, digest, checkedAt }: SeenTag): boolean {
    const [now] = this.#options.records.tagsFrom(view, tag, 1);
    return now?.tag === tag && now.digest === digest && now.checkedAt === checkedAt;
  }

  /** What they are, and what they name. */
  async #keep(digests: Iterable<Digest>): Promise<void> {
    const { pace } = this.#options;
    const roots = new Set<Digest>();
    for (const digest of digests) {
      await pace.rest();
      if (this.#isDoomed(digest)) roots.add(digest);
      else if (!this.#seen.has(digest))
        for (const child of await this.#namedBy(digest)) if (this.#isDoomed(child)) roots.add(child);
    }
    for await (const _kept of contentsOf(roots, this.#contents, this.#seen)) await pace.rest();
  }

  /** Of what stays anyway. */
  async #namedBy(digest: Digest): Promise<readonly Digest[]> {
    this.#seen.add(digest);
    const children = await this.#options.reader.children(digest);
    return children ? [...children.manifests, ...children.blobs].map((child) => child.digest) : [];
  }

  #isDoomed(digest: Digest): boolean {
    return this.#doomed === undefined || this.#doomed.has(digest);
  }

  async #keepPinned(): Promise<void> {
    const { records, repository } = this.#options;
    await this.#keep(new NamedPins(records).of(repository).flatMap((pin) => records.meanings(pin)));
  }

  /** Every other manifest of the repository: whether a tag means it does not matter to who pulls by digest. */
  async #keepOthers(): Promise<void> {
    const { records, repository } = this.#options;
    for (const view of viewsOf(repository))
      for (const { digest, mediaType } of linksOf(records, view))
        if (isManifestType(mediaType) && !this.#isDoomed(digest)) await this.#keep([digest]);
  }

  /** What a tag meant before is of use to somebody while what it means now is here in part. */
  async #keepEarlier(staying: readonly SeenTag[]): Promise<void> {
    const { reader, signal, pace } = this.#options;
    for (const { view, digest, earlier } of staying) {
      if (earlier === undefined || !this.#isDoomed(earlier) || this.#seen.has(earlier)) continue;
      await pace.rest();
      const manifest = await reader.stored(view, digest);
      if (!manifest || !(await reader.isWhole(view, manifest, signal))) await this.#keep([earlier]);
    }
  }
}

async function listed(options: PlanOptions, roots: ReadonlySet<Digest>): Promise<Digest[]> {
  const found: Digest[] = [];
  for await (const digest of contentsOf(roots, contentsIn(options))) {
    found.push(digest);
    await options.pace.rest();
  }
  return found;
}

function* allLinked({ records, repository }: PlanOptions): Generator<Digest> {
  for (const view of viewsOf(repository)) for (const { digest } of linksOf(records, view)) yield digest;
}

function contentsIn({ records, reader, repository }: PlanOptions): ContentsOptions {
  const [, all] = viewsOf(repository);
  return { childrenOf: (digest) => reader.children(digest), referrersOf: referrersIn(records, all) };
}
