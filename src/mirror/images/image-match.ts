// Which cached images a glob means: `docker.io/library/*`, `**:latest`.
import { compileGlob } from '../../oci/glob.ts';
import { splitImageGlob } from '../../oci/image-name.ts';

export interface ImageMatch {
  /** What every repository that matches begins with. */
  readonly prefix: string;
  readonly isRepository: (name: string) => boolean;
  /** `undefined`: every image of a repository, those without a tag too. */
  readonly isTag: ((tag: string) => boolean) | undefined;
}

export function parseImageMatch(match = '**'): ImageMatch {
  const { repository, tag } = splitImageGlob(match);
  return {
    prefix: repository.split('*', 1)[0] ?? '',
    isRepository: compileGlob(repository),
    isTag: tag === undefined ? undefined : compileGlob(tag),
  };
}
