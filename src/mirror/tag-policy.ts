// How long each tag is believed, and how long its old answer may be used: the defaults, or the first rule that matches.
import { compileGlob } from '../oci/glob.ts';
import { splitImageGlob } from '../oci/image-name.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';

export interface TagTimes {
  /** How long a tag is believed without a question; `Infinity` for one that never moves. */
  readonly ttlMs: number;
  /** How long past its ttl it is still given out at once, while it is checked behind. */
  readonly staleWhileRevalidateMs: number;
  /** How long past its ttl it may stand in for an upstream that cannot confirm it. */
  readonly staleIfErrorMs: number;
  /** How long "not found" is remembered. */
  readonly negativeTtlMs: number;
  /** How long a cached tag waits for its confirmation before the old answer goes out. */
  readonly revalidateTimeoutMs: number;
}

type Given<T> = { readonly [Key in keyof T]?: T[Key] | undefined };

export interface TagRule extends Given<TagTimes> {
  /** `registry/path:tag` in globs; without a tag it is for all of them. */
  readonly match: string;
}

export interface TagPolicyOptions extends TagTimes {
  /** The first that matches counts; what it leaves out is as by default. */
  readonly rules?: readonly TagRule[] | undefined;
}

interface Rule {
  readonly isRepository: (name: string) => boolean;
  readonly isTag: ((tag: string) => boolean) | undefined;
  readonly times: TagTimes;
}

export class TagPolicy {
  #usual: TagTimes;
  #rules: readonly Rule[];

  constructor(options: TagPolicyOptions) {
    [this.#usual, this.#rules] = parse(options);
  }

  /** From now on, of tags that were recorded before too. */
  use(options: TagPolicyOptions): void {
    [this.#usual, this.#rules] = parse(options);
  }

  /** Without any rule. */
  get usual(): TagTimes {
    return this.#usual;
  }

  /** Without a tag: of what is asked for by digest. Rules for certain tags do not count then. */
  times(repository: Repository, tag?: string): TagTimes {
    if (this.#rules.length === 0) return this.usual;
    const name = formatRepository(repository);
    const rule = this.#rules.find(
      ({ isRepository, isTag }) => (!isTag || (tag !== undefined && isTag(tag))) && isRepository(name),
    );
    return rule?.times ?? this.usual;
  }
}

function parse({ rules = [], ...usual }: TagPolicyOptions): [TagTimes, Rule[]] {
  return [usual, rules.map(({ match, ...times }) => ({ ...parseMatch(match), times: withGiven(usual, times) }))];
}

function parseMatch(match: string): Pick<Rule, 'isRepository' | 'isTag'> {
  const { repository, tag } = splitImageGlob(match);
  return { isRepository: compileGlob(repository), isTag: tag === undefined ? undefined : compileGlob(tag) };
}

function withGiven(usual: TagTimes, given: Given<TagTimes>): TagTimes {
  return { ...usual, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}
