// Which cached images a glob means: `docker.io/library/*`, `**:latest`.
import { compileGlob } from '../../oci/glob.ts';

export interface ImageMatch {
  /** What every repository that matches begins with. */
  readonly prefix: string;
  readonly isRepository: (name: string) => boolean;
  /** `undefined`: every image of a repository, those without a tag too. */
  readonly isTag: ((tag: string) => boolean) | undefined;
}

/** A colon before the last slash belongs to the registry's port. */
export function parseImageMatch(match = '**'): ImageMatch {
  const colon = match.indexOf(':', match.lastIndexOf('/') + 1);
  const repository = colon === -1 ? match : match.slice(0, colon);
  return {
    prefix: repository.split('*', 1)[0] ?? '',
    isRepository: compileGlob(repository),
    isTag: colon === -1 ? undefined : compileGlob(match.slice(colon + 1)),
  };
}
