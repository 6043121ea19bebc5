// Which tags and manifests of a repository a purge means, and which of them are pinned.
import type { Digest } from '../../oci/digest.ts';
import { formatImage } from '../../oci/image-name.ts';
import { isManifestType } from '../../oci/media-types.ts';
import type { Repository } from '../../oci/repository.ts';
import type { ListedTag, Records } from '../../store/records.ts';
import { entriesOf, tagsOfView, viewsOf } from './image-entries.ts';
import type { ImageReader } from './image-reader.ts';
import { NamedPins } from './named-pins.ts';
import type { Pace } from './pace.ts';

/** Of one repository: tags, what a digest means with all its tags, or everything. */
export type Named = { readonly isTag: (tag: string) => boolean } | { readonly digest: Digest } | 'all';

export interface NamesOptions {
  readonly records: Records;
  readonly reader: ImageReader;
  readonly pace: Pace;
  readonly repository: Repository;
}

export interface SeenTag extends ListedTag {
  /** Which of the two views of the repository has it. */
  readonly view: Repository;
}

export interface Names {
  readonly going: readonly SeenTag[];
  readonly staying: readonly SeenTag[];
  /** Manifests that are named. */
  readonly roots: ReadonlySet<Digest>;
  /** What goes, as people write it. */
  readonly images: ReadonlySet<string>;
  /** What was meant too and is pinned. */
  readonly pinned: ReadonlySet<string>;
}

export async function namesOf(options: NamesOptions, named: Named): Promise<Names> {
  const { records, pace, repository } = options;
  const pins = new NamedPins(records);
  const [going, staying]: [SeenTag[], SeenTag[]] = [[], []];
  const [images, pinned] = [new Set<string>(), new Set<string>()];
  for (const view of viewsOf(repository))
    for (const listed of tagsOfView(records, view)) {
      await pace.rest();
      const isMeant = means(named, listed);
      const isPinned = isMeant && pins.keeping({ repository, ...listed }) !== undefined;
      (isMeant && !isPinned ? going : staying).push({ ...listed, view });
      if (isMeant) (isPinned ? pinned : images).add(formatImage(repository, listed));
    }
  const roots = new Set(going.map(({ digest }) => digest));
  for (const digest of await untaggedOf(options, named)) {
    const isPinned = pins.keeping({ repository, tag: undefined, digest }) !== undefined;
    roots.add(digest);
    if (!going.some((tag) => tag.digest === digest))
      (isPinned ? pinned : images).add(formatImage(repository, { digest }));
  }
  return { going, staying, roots, images, pinned };
}

function means(named: Named, { tag, digest }: ListedTag): boolean {
  if (named === 'all') return true;
  return 'digest' in named ? digest === named.digest : named.isTag(tag);
}

async function untaggedOf({ repository, ...options }: NamesOptions, named: Named): Promise<Digest[]> {
  const { records } = options;
  if (named === 'all') {
    const found: Digest[] = [];
    // Behind all tags.
    for await (const { tag, digest } of entriesOf(options, repository)) if (tag === undefined) found.push(digest);
    return found;
  }
  if (!('digest' in named)) return [];
  const { digest } = named;
  const link = viewsOf(repository)
    .map((view) => records.link(view, digest))
    .find((each) => each !== undefined);
  const isHere = link && isManifestType(link.mediaType) && (link.proven || records.blob(digest) !== undefined);
  return isHere ? [digest] : [];
}
