// An image on the command line: checked before anybody is asked, and written into a path of the API.
import { CommanderError } from 'commander';
import { OciError } from '../oci/errors.ts';
import { parsePartialImageName } from '../oci/image-name.ts';
import { isRepositoryPath } from '../oci/repository.ts';

export const ifMissing = 'see stillwater ls';

/** Below /images/. Throws wrong usage for what is no image. */
export function imagePath(image: string): string {
  checkImage(image);
  return image.split('/').map(encodePart).join('/');
}

export function checkImage(image: string): void {
  const wrong = (why: string) => new CommanderError(2, 'stillwater.image', `${JSON.stringify(image)}: ${why}`);
  try {
    const { name } = parsePartialImageName(image);
    // Of these a URL would make something else.
    if (name.split('/').some((part) => /^\.*$/.test(part)))
      throw wrong('not an image: write REPO, REPO:TAG or REPO@DIGEST');
    const fault = nameFault(name);
    if (fault !== undefined) throw wrong(fault);
  } catch (error) {
    if (error instanceof OciError) throw wrong(error.message);
    throw error;
  }
}

/** Of what no registry can have, whatever it is called. */
export function nameFault(name: string): string | undefined {
  const [, path = name] = /^(?:localhost|[^/]*[.:][^/]*)\/(.*)$/s.exec(name) ?? [];
  if (isRepositoryPath(path)) return undefined;
  if (/[A-Z]/.test(path)) return 'not a repository: its name is in lower case';
  return 'not a repository: write at most 255 letters and digits, and between them ".", "_", "-" and "/"';
}

function encodePart(part: string): string {
  return encodeURIComponent(part).replaceAll('%3A', ':').replaceAll('%40', '@');
}
