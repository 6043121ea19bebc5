// What the rules under `tags` say that cannot be meant: globs that no tag of any image matches.
import { splitImageGlob } from '../oci/image-name.ts';
import { globObjection } from './access-problems.ts';

export interface TagProblem {
  readonly path: (string | number)[];
  readonly allowed: string;
}

interface Given {
  readonly tags: { readonly rules: readonly { readonly match: string }[] };
  readonly upstreams: Readonly<Record<string, unknown>>;
}

export function tagProblems({ tags, upstreams }: Given): TagProblem[] {
  return tags.rules.flatMap(({ match }, rule) => {
    const allowed = matchObjection(match, Object.keys(upstreams));
    return allowed === undefined ? [] : [{ path: ['tags', 'rules', rule, 'match'], allowed }];
  });
}

/** What a glob over `registry/path:tag` would have to be instead of this one; without a tag it is for all of them. */
function matchObjection(match: string, upstreams: readonly string[]): string | undefined {
  if (match.includes('@')) return `a glob over tags, ${example}: what a digest means never changes`;
  const { repository, tag } = splitImageGlob(match);
  return globObjection(repository, upstreams) ?? (tag === undefined ? undefined : tagObjection(tag));
}

function tagObjection(glob: string): string | undefined {
  if (/^[\w*][\w.*-]*$/.test(glob) && glob.length <= longestTag) return undefined;
  return `a glob with one over tags behind its last ":", ${example}, of at most ${longestTag} characters as tags are`;
}

const example = 'such as "docker.io/library/*:latest"';
const longestTag = 128;
