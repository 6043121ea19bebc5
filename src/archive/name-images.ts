// Under which names an archive's images are taken in: those that the archive gives, or the one that whoever sent it gives.
import { formatImage, parsePartialImageName } from '../oci/image-name.ts';
import type { Reference } from '../oci/reference.ts';
import type { Repository } from '../oci/repository.ts';
import { ArchiveError } from './archive-error.ts';
import type { FoundImage } from './found-image.ts';

export interface NamedFind {
  readonly found: FoundImage;
  readonly repository: Repository;
  readonly reference: Reference;
}

export interface Naming {
  /** Of a repository as people write it: `redis` is one of the default registry. Throws when it cannot be pulled here. */
  readonly resolve: (name: string) => Repository;
  /** REPO or REPO:TAG, instead of what the archive says. */
  readonly name?: string | undefined;
}

/** Every image of a large site; each costs a little in a turn that nobody else gets. */
const mostNames = 4096;

/** Throws `ArchiveError` for a list of more images, or names of them, than are taken in at once. */
export function checkNames(list: string, count: number): void {
  if (count > mostNames) throw new ArchiveError(`${list} lists more than ${mostNames} images; save fewer at once`);
}

/** Each name once. Throws `ArchiveError` for an image without one, and for two images under the same. */
export function nameImages(images: readonly FoundImage[], { resolve, name }: Naming): NamedFind[] {
  if (images.length === 0) throw new ArchiveError('the archive lists no image');
  if (name !== undefined && images.length > 1)
    throw new ArchiveError(`the archive has ${images.length} images, and a name can be given to a single one`);
  const named = new Map<string, NamedFind>();
  for (const found of images) {
    const names = name === undefined ? found.names : [name];
    if (names.length === 0) throw nameless(found, images.length);
    for (const text of names) {
      const image = nameImage(found, text, resolve);
      const key = formatImage(image.repository, image.reference);
      const other = named.get(key)?.found.digest ?? found.digest;
      if (other !== found.digest)
        throw new ArchiveError(`${key} is in the archive twice, as ${other} and as ${found.digest}`);
      named.set(key, image);
    }
  }
  return [...named.values()];
}

function nameImage(found: FoundImage, text: string, resolve: Naming['resolve']): NamedFind {
  try {
    const { name, reference = { tag: found.tag ?? 'latest' } } = parsePartialImageName(text);
    const repository = resolve(name);
    // A name with a digest says only where the image is from: what it is, its bytes say.
    return { found, repository, reference: 'tag' in reference ? reference : { digest: found.digest } };
  } catch (cause) {
    const why = (cause as Error).message;
    throw new ArchiveError(
      `the archive's image ${JSON.stringify(text.slice(0, 200))} cannot be named so: ${why}; give it another name`,
      { cause },
    );
  }
}

function nameless({ digest, tag }: FoundImage, images: number): ArchiveError {
  const what = tag === undefined ? digest : `${digest} (tag ${tag})`;
  const advice = images === 1 ? 'give it one' : 'save each of its images alone, and give it a name';
  return new ArchiveError(`the archive does not say the name of its image ${what}: ${advice} (--name REPO:TAG)`);
}
