// An image as people write it: REPO, REPO:TAG or REPO@DIGEST.
import { parseDigest } from './digest.ts';
import { OciError } from './errors.ts';
import { formatReference, isTag, type Reference } from './reference.ts';
import { formatRepository, type Repository } from './repository.ts';

export interface NamedImage {
  /** Of the repository, with or without a registry. */
  readonly name: string;
  /** The tag `latest` where there was none. */
  readonly reference: Reference;
}

/** Throws `OciError` that says what of it is wrong. */
export function parseImageName(text: string): NamedImage {
  const { name, reference } = parsePartialImageName(text);
  return { name, reference: reference ?? { tag: 'latest' } };
}

/** As `parseImageName`, where a name alone means all of the repository. */
export function parsePartialImageName(text: string): { name: string; reference: Reference | undefined } {
  const [, name = '', tag, digestText] = /^([^@:][^@]*?)(?::([^:/@]*))?(?:@(.*))?$/s.exec(text) ?? [];
  if (name === '') throw new OciError('NAME_INVALID', 'not an image: write REPO, REPO:TAG or REPO@DIGEST');
  if (tag !== undefined && !isTag(tag)) throw new OciError('NAME_INVALID', `not a tag: ${JSON.stringify(tag)}`);
  if (digestText === undefined) return { name, reference: tag === undefined ? undefined : { tag } };
  const digest = parseDigest(digestText);
  if (digest) return { name, reference: { digest } };
  throw new OciError('DIGEST_INVALID', `not a sha256 or sha512 digest: ${JSON.stringify(digestText)}`);
}

export function formatImage(repository: Repository, reference: Reference): string {
  return `${formatRepository(repository)}${'tag' in reference ? ':' : '@'}${formatReference(reference)}`;
}

/** Of a glob over `registry/path:tag`; without a tag it is for all of them. A colon before the last slash is that of a port. */
export function splitImageGlob(glob: string): { readonly repository: string; readonly tag: string | undefined } {
  const colon = glob.indexOf(':', glob.lastIndexOf('/') + 1);
  if (colon === -1) return { repository: glob, tag: undefined };
  return { repository: glob.slice(0, colon), tag: glob.slice(colon + 1) };
}
