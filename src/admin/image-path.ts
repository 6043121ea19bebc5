// An image in a path of the API: REPO, REPO:TAG or REPO@DIGEST, as people write it.
import { parseDigest } from '../oci/digest.ts';
import { OciError } from '../oci/errors.ts';
import { decodePath } from '../oci/raw-path.ts';
import { isTag, type Reference } from '../oci/reference.ts';

export interface NamedImage {
  /** Of the repository, with or without a registry. */
  readonly name: string;
  /** The tag `latest` where there was none. */
  readonly reference: Reference;
}

/** From the raw target, as the log has it: before any URL parser has tidied it up. Throws `OciError`. */
export function parseImagePath(rawPath: string, form: RegExp): NamedImage {
  const text = form.exec(rawPath)?.[1];
  if (text === undefined) throw new OciError('NAME_INVALID', 'not an image: write REPO, REPO:TAG or REPO@DIGEST');
  return parseImage(decodePath(text));
}

function parseImage(text: string): NamedImage {
  const [, name = '', tag, digestText] = /^(.+?)(?::([^:/@]*))?(?:@(.*))?$/s.exec(text) ?? [];
  if (tag !== undefined && !isTag(tag)) throw new OciError('NAME_INVALID', `not a tag: ${JSON.stringify(tag)}`);
  if (digestText === undefined) return { name, reference: { tag: tag ?? 'latest' } };
  const digest = parseDigest(digestText);
  if (digest) return { name, reference: { digest } };
  throw new OciError('DIGEST_INVALID', `not a sha256 or sha512 digest: ${JSON.stringify(digestText)}`);
}
