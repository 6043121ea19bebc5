// The rules in order: the first that speaks of both the principal and the repository decides.
import { compileGlob } from '../oci/glob.ts';
import { anonymousName, nobody, type Principal } from './principal.ts';

export interface Rule {
  readonly effect: 'allow' | 'deny';
  /** Names and globs of them; `*` is everybody, `anonymous` whoever has no name. */
  readonly principals: readonly string[];
  /** Globs over `registry/path`. */
  readonly repositories: readonly string[];
}

export interface RuleDecision {
  /** `none` where no rule speaks of it. */
  readonly effect: 'allow' | 'deny' | 'none';
  /** The place of the rule in the list, from 0. */
  readonly rule: number | undefined;
}

interface CompiledRule {
  readonly effect: Rule['effect'];
  readonly isFor: (name: string | undefined) => boolean;
  readonly isOf: (repository: string) => boolean;
}

const everybody = '*';

export class Rules {
  readonly isEmpty: boolean;
  readonly #rules: readonly CompiledRule[];

  constructor(rules: readonly Rule[]) {
    this.isEmpty = rules.length === 0;
    this.#rules = rules.map(({ effect, principals, repositories }) => ({
      effect,
      isFor: anyOf(principals.map(compilePrincipal)),
      isOf: anyOf(repositories.map(compileGlob)),
    }));
  }

  /** A repository is `registry/path`. Who may not be used for it at all, such as a token of another scope, is nobody. */
  decide(principal: Principal, repository: string): RuleDecision {
    const { name } = principal.covers?.(repository) === false ? nobody : principal;
    const rule = this.#rules.findIndex(({ isFor, isOf }) => isFor(name) && isOf(repository));
    return { effect: this.#rules[rule]?.effect ?? 'none', rule: rule === -1 ? undefined : rule };
  }
}

/** No glob but `*` matches who has no name: `ci-*` and `**` are about names. */
function compilePrincipal(pattern: string): (name: string | undefined) => boolean {
  if (pattern === everybody) return () => true;
  if (pattern === anonymousName) return (name) => name === undefined;
  const matches = compileGlob(pattern);
  return (name) => name !== undefined && matches(name);
}

function anyOf<Value>(tests: readonly ((value: Value) => boolean)[]): (value: Value) => boolean {
  return (value) => tests.some((test) => test(value));
}
