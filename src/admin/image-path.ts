// An image in a path of the API: REPO, REPO:TAG or REPO@DIGEST, as people write it.
import { OciError } from '../oci/errors.ts';
import { type NamedImage, parseImageName, parsePartialImageName } from '../oci/image-name.ts';
import { decodePath } from '../oci/raw-path.ts';

/** From the raw target, as the log has it: before any URL parser has tidied it up. Throws `OciError`. */
export function parseImagePath(rawPath: string, form: RegExp): NamedImage {
  return parseImageName(imageText(rawPath, form));
}

/** As `parseImagePath`, where a name alone means all of the repository. */
export function parsePartialImagePath(rawPath: string, form: RegExp): ReturnType<typeof parsePartialImageName> {
  return parsePartialImageName(imageText(rawPath, form));
}

function imageText(rawPath: string, form: RegExp): string {
  const text = form.exec(rawPath)?.[1];
  if (text === undefined) throw new OciError('NAME_INVALID', 'not an image: write REPO, REPO:TAG or REPO@DIGEST');
  return decodePath(text);
}
