// Forgets what somebody names, and removes what nobody else holds then. Never anything that is pinned.
import type { Digest } from '../../oci/digest.ts';
import { formatImage } from '../../oci/image-name.ts';
import { isManifestType } from '../../oci/media-types.ts';
import type { Reference } from '../../oci/reference.ts';
import { formatRepository, type Repository } from '../../oci/repository.ts';
import type { Pin } from '../../store/records.ts';
import { Turns } from '../../store/turns.ts';
import { abandonable } from '../../upstream/abandonable.ts';
import type { Evictor } from '../evictor.ts';
import type { Pins } from '../pins.ts';
import { contentsOf } from './image-contents.ts';
import { viewsOf } from './image-entries.ts';
import { parseImageMatch } from './image-match.ts';
import { ImageReader, type ImageReaderOptions } from './image-reader.ts';
import { NamedPins } from './named-pins.ts';
import { Pace } from './pace.ts';
import type { Named } from './purge-names.ts';
import { PurgePlan, type Step } from './purge-plan.ts';

export type PurgeTarget =
  | { readonly repository: Repository; readonly reference: Reference | undefined }
  /** A blob or a manifest, wherever it is. */
  | { readonly digest: Digest }
  /** As in a list of images. */
  | { readonly match: string };

export interface Purged {
  /** As people write them; the first of them only. */
  readonly images: readonly string[];
  readonly imageCount: number;
  /** Those that rest here no longer. */
  readonly blobs: number;
  readonly bytes: number;
  /** Left alone; the first of them only. */
  readonly pinned: readonly string[];
}

export interface PurgeOptions extends ImageReaderOptions {
  readonly pins: Pick<Pins, 'isPinned' | 'isCurrent' | 'refresh'>;
  readonly evictor: Pick<Evictor, 'remove'>;
}

export class PinnedError extends Error {
  override readonly name = 'PinnedError';
}

interface Run {
  readonly signal: AbortSignal;
  readonly pace: Pace;
  readonly purged: { images: string[]; imageCount: number; blobs: number; bytes: number; pinned: string[] };
}

/** Of records and files; see `Evictor`. */
const turnSize = 32;
/** Of very much, the index's log has to be moved as fast as it grows, or a write waits for all of it. */
const pacing = { share: 1 / 4, headStartMs: 1000 };
const mostTold = 1000;
const namesAtOnce = 200;

export class Purge {
  readonly #options: PurgeOptions;
  readonly #reader: ImageReader;
  /** Two at once would each leave to the other what both hold. */
  readonly #runs = new Turns(1);

  constructor(options: PurgeOptions) {
    this.#options = options;
    this.#reader = new ImageReader(options);
  }

  /**
   * Throws `PinnedError`, and does nothing, when what is named alone is pinned or part of what is. Whoever reads what goes
   * reads on. When the signal fires it ends between two turns; what went stays gone.
   */
  run(target: PurgeTarget, signal: AbortSignal): Promise<Purged> {
    const work = async () => {
      const purged = { images: [], imageCount: 0, blobs: 0, bytes: 0, pinned: [] };
      const run = { signal, pace: new Pace(signal, pacing), purged };
      await run.pace.rest();
      if ('match' in target) await this.#matching(target.match, run);
      else if ('repository' in target) await this.#named(target, run);
      else await this.#digest(target.digest, run);
      return purged;
    };
    return abandonable(this.#runs.run(work), signal);
  }

  async #matching(match: string, run: Run): Promise<void> {
    const { prefix, isRepository, isTag } = parseImageMatch(match);
    for (let from: string | undefined = prefix; from !== undefined; ) {
      const page: Repository[] = this.#options.records.repositoriesFrom(from, namesAtOnce);
      for (const repository of page) {
        const name = formatRepository(repository);
        if (!name.startsWith(prefix)) return;
        await run.pace.rest();
        if (isRepository(name)) await this.#repository(repository, isTag ? { isTag } : 'all', run);
      }
      const last = page.at(-1);
      // A blank comes before all that names are made of.
      from = page.length === namesAtOnce && last ? `${formatRepository(last)} ` : undefined;
    }
  }

  async #named(
    { repository, reference }: { repository: Repository; reference: Reference | undefined },
    run: Run,
  ): Promise<void> {
    const { records } = this.#options;
    const pins = new NamedPins(records);
    if (reference === undefined) return this.#repository(repository, 'all', run);
    if ('digest' in reference) {
      await this.#refuseHeld(pins.of(repository), { ...reference, repository }, run);
      return this.#repository(repository, reference, run);
    }
    const { tag } = reference;
    for (const view of viewsOf(repository)) {
      const found = records.tag(view, tag);
      const pin = found && pins.keeping({ repository, tag, digest: found.digest });
      if (pin) throw pinnedError(formatImage(repository, reference), pin);
    }
    return this.#repository(repository, { isTag: (each) => each === tag }, run);
  }

  async #digest(digest: Digest, run: Run): Promise<void> {
    const { records, pins, fills, evictor } = this.#options;
    while (!pins.isCurrent) await pins.refresh();
    if (pins.isPinned(digest)) {
      await this.#refuseHeld(records.pins(), { digest }, run);
      throw new PinnedError(`nothing was purged: ${digest} is needed by an image that is pinned; unpin that first`);
    }
    for (let after: number | undefined = -1; after !== undefined; ) {
      const page = records.holders(digest, namesAtOnce, after);
      for (const { repository } of page) {
        const link = records.link(repository, digest);
        if (link && isManifestType(link.mediaType)) await this.#repository(repository, { digest }, run);
      }
      after = page.length === namesAtOnce ? page.at(-1)?.id : undefined;
    }
    while (!pins.isCurrent) await pins.refresh();
    const record = records.blob(digest);
    if (!record || pins.isPinned(digest) || fills.find(digest)) return;
    const gone = [{ digest, size: record.size }];
    count(run, gone);
    await evictor.remove(gone);
  }

  async #repository({ registry, path }: Repository, named: Named, run: Run): Promise<void> {
    const { records, pins } = this.#options;
    const repository = { registry, path };
    using watch = records.watch(repository);
    const plan = await PurgePlan.make({ ...run, records, reader: this.#reader, repository, watch }, named);
    tell(run, plan.names);
    for (;;) {
      while (!pins.isCurrent || !plan.isCurrent) {
        await pins.refresh();
        await plan.refresh();
      }
      // From here to the removal it is one turn: nobody can pin, use or replace what is about to go.
      const step = plan.next(turnSize);
      if (!step) return;
      await this.#take(repository, step, run);
      await run.pace.rest();
    }
  }

  async #take(repository: Repository, { tags, digests }: Step, run: Run): Promise<void> {
    const { records, pins, fills, evictor } = this.#options;
    const gone = digests.flatMap((digest) => {
      const record = records.blob(digest);
      const isHeld = pins.isPinned(digest) || fills.find(digest) || records.isHeldElsewhere(repository, digest);
      return record && !isHeld ? [{ digest, size: record.size }] : [];
    });
    count(run, gone);
    await evictor.remove(gone, () => {
      for (const view of viewsOf(repository)) {
        const own = tags.filter((tag) => tag.view.isPrivate === view.isPrivate);
        records.letGo(view, { tags: own.map(({ tag }) => tag), digests });
      }
    });
  }

  async #refuseHeld(
    pins: readonly Pin[],
    { digest, repository }: { readonly digest: Digest; readonly repository?: Repository },
    { pace }: Run,
  ): Promise<void> {
    const { records } = this.#options;
    const contents = { childrenOf: (each: Digest) => this.#reader.children(each), referrersOf: () => [] };
    for (const pin of pins)
      for await (const held of contentsOf(records.meanings(pin), contents)) {
        if (held === digest) throw pinnedError(repository ? formatImage(repository, { digest }) : digest, pin);
        await pace.rest();
      }
  }
}

function pinnedError(what: string, { repository, reference }: Pin): PinnedError {
  const pin = formatImage(repository, reference);
  if (pin === what) return new PinnedError(`nothing was purged: ${what} is pinned; unpin it first`);
  return new PinnedError(`nothing was purged: ${what} is kept by the pin on ${pin}; unpin that first`);
}

function tell({ purged }: Run, { images, pinned }: PurgePlan['names']): void {
  purged.imageCount += images.size;
  for (const image of images) if (purged.images.length < mostTold) purged.images.push(image);
  for (const image of pinned) if (purged.pinned.length < mostTold) purged.pinned.push(image);
}

function count({ purged }: Run, blobs: readonly { readonly size: number }[]): void {
  purged.blobs += blobs.length;
  for (const { size } of blobs) purged.bytes += size;
}
