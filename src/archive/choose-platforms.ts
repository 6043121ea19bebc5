// Which of an image's platforms go into an archive: all, those that are wished for, or those that are here.
import { machine } from 'node:os';
import type { Digest } from '../oci/digest.ts';
import { OciError } from '../oci/errors.ts';
import { formatPlatform, isSamePlatform, type Platform, parsePlatform } from '../oci/platform.ts';
import { type ImageTree, imagesOf } from './image-tree.ts';

/** `undefined`, or an empty list: those that are here whole, and at least one. `all`: every one that the image has. */
export type PlatformWish = readonly Platform[] | 'all' | undefined;

export interface Choice {
  readonly name: string;
  readonly wish: PlatformWish;
  /** As the image's own config says. */
  readonly platformOf: (image: ImageTree) => Promise<Platform | undefined>;
}

export interface Chosen {
  /** Whole, in the order of the index. */
  readonly images: readonly ImageTree[];
  /** Beside them, as far as they are here. */
  readonly attestations: readonly ImageTree[];
}

/** Throws `OciError` NAME_UNKNOWN for a platform that it has not, or that is not here whole. */
export async function choosePlatforms(root: ImageTree, { name, wish, platformOf }: Choice): Promise<Chosen> {
  const { images, attestations } = leavesOf(root);
  const along = attestations.filter((attestation) => firstMissing(attestation) === undefined);
  const isAnyWished = wish === undefined || wish.length === 0;
  if (isAnyWished) {
    const whole = images.filter((image) => firstMissing(image) === undefined);
    if (whole.length > 0) return { images: whole, attestations: along };
  }
  if (isAnyWished || wish === 'all') {
    for (const image of images) checkHere(name, image, wish === 'all' ? ' --all-platforms' : '');
    return { images, attestations: along };
  }
  const platforms = new Map<ImageTree, Platform | undefined>();
  for (const image of images) platforms.set(image, image.platform ?? (await platformOf(image)));
  const wished = new Set<ImageTree>();
  for (const platform of wish) {
    const found = images.filter((image) => {
      const has = platforms.get(image);
      return has !== undefined && isSamePlatform(has, platform);
    });
    if (found.length === 0) throw absent(name, platform, [...platforms.values()]);
    for (const image of found) {
      checkHere(name, image, ` --platform ${formatPlatform(platform)}`);
      wished.add(image);
    }
  }
  return { images: images.filter((image) => wished.has(image)), attestations: along };
}

/** That of this machine, if it is among them: `docker load` takes one, and mostly here. */
export function forThisMachine(images: readonly ImageTree[]): ImageTree | undefined {
  const here = parsePlatform(`linux/${machine()}`);
  return images.find(({ platform }) => here && platform && isSamePlatform(platform, here)) ?? images[0];
}

/** Of an index, and of the indexes in it, each image once. */
function leavesOf(root: ImageTree): { images: ImageTree[]; attestations: ImageTree[] } {
  const images = new Map<Digest, ImageTree>();
  const attestations = new Map<Digest, ImageTree>();
  const seen = new Set<Digest>();
  const visit = (tree: ImageTree): void => {
    if (seen.has(tree.descriptor.digest)) return;
    seen.add(tree.descriptor.digest);
    if (tree.children.length === 0) images.set(tree.descriptor.digest, tree);
    const real = new Set(imagesOf(tree));
    for (const child of tree.children)
      if (real.has(child)) visit(child);
      else attestations.set(child.descriptor.digest, child);
  };
  visit(root);
  return { images: [...images.values()], attestations: [...attestations.values()] };
}

function firstMissing({ manifest, descriptor, missing }: ImageTree): Digest | undefined {
  return manifest ? missing[0]?.digest : descriptor.digest;
}

function checkHere(name: string, image: ImageTree, flag: string): void {
  const missing = firstMissing(image);
  if (missing === undefined) return;
  const what = image.platform ? `${name} for ${formatPlatform(image.platform)}` : name;
  throw notWhole(what, missing, `${name}${flag}`);
}

export function notWhole(what: string, missing: Digest, wanted: string): OciError {
  return new OciError(
    'NAME_UNKNOWN',
    `${what} is not here whole: ${missing} is missing; stillwater prefetch ${wanted} brings it`,
  );
}

function absent(name: string, platform: Platform, all: readonly (Platform | undefined)[]): OciError {
  const known = all.flatMap((has) => (has ? [formatPlatform(has)] : [])).join(', ');
  const has = known === '' ? 'does not say what it is for' : `is for ${known}`;
  return new OciError('NAME_UNKNOWN', `${name} is not for ${formatPlatform(platform)}: it ${has}`);
}
