// The rules: the first that speaks of both the principal and the repository decides.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nobody, type Principal } from '../../src/access/principal.ts';
import { type Rule, Rules } from '../../src/access/rules.ts';

const named = (name: string): Principal => ({ name, by: 'password' });

function decide(rules: readonly Rule[], principal: Principal | string, repository: string) {
  return new Rules(rules).decide(typeof principal === 'string' ? named(principal) : principal, repository);
}

describe('rules', () => {
  const rules: readonly Rule[] = [
    { effect: 'deny', principals: ['*'], repositories: ['docker.io/acme/secret'] },
    { effect: 'allow', principals: ['ci', 'ops-*'], repositories: ['docker.io/acme/**', 'ghcr.io/acme/*'] },
    { effect: 'deny', principals: ['anonymous'], repositories: ['docker.io/**'] },
    { effect: 'allow', principals: ['boss'], repositories: ['**'] },
  ];

  test.each([
    ['the first that matches', 'ci', 'docker.io/acme/app', 'allow', 1],
    ['one for everybody', 'ci', 'docker.io/acme/secret', 'deny', 0],
    ['one for everybody, of who has no name', nobody, 'docker.io/acme/secret', 'deny', 0],
    ['a glob over names', 'ops-eu', 'docker.io/acme/team/app', 'allow', 1],
    ['another of its globs', 'ci', 'ghcr.io/acme/app', 'allow', 1],
    ['one for who has no name', nobody, 'docker.io/library/redis', 'deny', 2],
    ['a later one', 'boss', 'quay.io/x/y', 'allow', 3],
  ] as const)('%s decides', (_what, principal, repository, effect, rule) => {
    expect(decide(rules, principal, repository)).toEqual({ effect, rule });
  });

  test.each([
    ['another principal', 'dev', 'docker.io/acme/app'],
    ['a name that is longer', 'ci2', 'docker.io/acme/app'],
    ['a name in other letters', 'CI', 'docker.io/acme/app'],
    ['another repository', 'ci', 'ghcr.io/acme/team/app'],
    ['a registry that ends alike', 'ci', 'evil-docker.io/acme/app'],
    ['a path that begins alike', 'ci', 'docker.io/acme2/app'],
    ['who has no name, on another registry', nobody, 'ghcr.io/acme/app'],
  ] as const)('do not speak of %s', (_what, principal, repository) => {
    expect(decide(rules, principal, repository)).toEqual({ effect: 'none', rule: undefined });
  });

  test('of which there are none speak of nobody', () => {
    expect(decide([], 'ci', 'a/b')).toEqual({ effect: 'none', rule: undefined });
    expect(new Rules([]).isEmpty).toBe(true);
    expect(new Rules(rules).isEmpty).toBe(false);
    expect(decide([{ effect: 'allow', principals: [], repositories: ['**'] }], 'ci', 'a/b').effect).toBe('none');
    expect(decide([{ effect: 'allow', principals: ['*'], repositories: [] }], 'ci', 'a/b').effect).toBe('none');
  });

  test.each(['**', 'a*', '*s', 'anonymous*', 'anon', ''])(
    'about the names %j do not speak of who has none',
    (pattern) => {
      const one: Rule = { effect: 'allow', principals: [pattern], repositories: ['**'] };
      expect(decide([one], nobody, 'a/b').effect).toBe('none');
    },
  );

  test('for "**" speak of everybody who has a name, however it is written', () => {
    const one: Rule = { effect: 'allow', principals: ['**'], repositories: ['**'] };
    expect(decide([one], 'repo:acme/app:ref:refs/heads/main', 'a/b').effect).toBe('allow');
  });

  test('for "*" speak of names with slashes too', () => {
    const one: Rule = { effect: 'deny', principals: ['*'], repositories: ['**'] };
    expect(decide([one], 'repo:acme/app', 'a/b').effect).toBe('deny');
  });

  test('for "anonymous" do not speak of who has a name', () => {
    const one: Rule = { effect: 'allow', principals: ['anonymous'], repositories: ['**'] };
    expect(decide([one], 'ci', 'a/b').effect).toBe('none');
  });

  test('take a principal that does not cover the repository for nobody', () => {
    const scoped: Principal = { name: 'ci', by: 'token', covers: (repository) => repository.startsWith('docker.io/') };
    const list: readonly Rule[] = [
      { effect: 'allow', principals: ['ci'], repositories: ['**'] },
      { effect: 'deny', principals: ['anonymous'], repositories: ['**'] },
    ];
    expect(decide(list, scoped, 'docker.io/acme/app')).toEqual({ effect: 'allow', rule: 0 });
    expect(decide(list, scoped, 'ghcr.io/acme/app')).toEqual({ effect: 'deny', rule: 1 });
  });

  test('agree with the plain reading of them', () => {
    const name = fc.constantFrom('ci', 'cd', 'ops');
    const rule = fc.record({
      effect: fc.constantFrom('allow' as const, 'deny' as const),
      principals: fc.array(fc.oneof(name, fc.constantFrom('*', 'anonymous', 'c*')), { maxLength: 3 }),
      repositories: fc.array(fc.constantFrom('a/b', 'a/c', 'a/*', '**', 'b/**'), { maxLength: 3 }),
    });
    const speaksOf = (pattern: string, who: string | undefined) => {
      if (pattern === '*') return true;
      if (who === undefined) return pattern === 'anonymous';
      return pattern === 'c*' ? who.startsWith('c') : pattern === who;
    };
    const holds: Record<string, (repository: string) => boolean> = {
      'a/b': (repository) => repository === 'a/b',
      'a/c': (repository) => repository === 'a/c',
      'a/*': (repository) => /^a\/[^/]*$/.test(repository),
      '**': () => true,
      'b/**': (repository) => repository.startsWith('b/'),
    };
    const repositories = fc.constantFrom('a/b', 'a/c', 'a/b/c', 'b/x/y', 'c/d');
    fc.assert(
      fc.property(fc.array(rule), fc.option(name, { nil: undefined }), repositories, (list, who, repository) => {
        const at = list.findIndex(
          (one) =>
            one.principals.some((pattern) => speaksOf(pattern, who)) &&
            one.repositories.some((glob) => holds[glob]?.(repository)),
        );
        const principal = who === undefined ? nobody : named(who);
        expect(decide(list, principal, repository)).toEqual(
          at === -1 ? { effect: 'none', rule: undefined } : { effect: list[at]?.effect, rule: at },
        );
      }),
      { numRuns: 1000 },
    );
  });
});
