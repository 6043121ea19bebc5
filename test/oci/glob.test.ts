// Globs: what each star stands for, and that nothing else stands for anything but itself.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileGlob } from '../../src/oci/glob.ts';

describe('a glob', () => {
  test.each([
    ['library/redis', 'library/redis'],
    ['library/*', 'library/redis'],
    ['library/*', 'library/'],
    ['*', 'redis'],
    ['**', ''],
    ['**', 'a/b/c'],
    ['acme/**', 'acme/team/app'],
    ['**/app', 'acme/team/app'],
    ['acme/**/app', 'acme/team/one/app'],
    ['acme/*/app', 'acme/team/app'],
    ['docker.io/library/*:latest', 'docker.io/library/redis:latest'],
    ['re*s', 'redis'],
    ['*re*di*s*', 'redis'],
    ['***', 'a/b'],
    ['*/**', 'a/b/c'],
    ['', ''],
  ])('%j matches %j', (pattern, text) => {
    expect(compileGlob(pattern)(text)).toBe(true);
  });

  test.each([
    ['library/*', 'library/a/b'],
    ['*', 'a/b'],
    ['acme/**', 'acme'],
    ['**/app', 'app'],
    ['acme/*/app', 'acme/app'],
    ['acme/*/app', 'acme/a/b/app'],
    ['library/redis', 'library/redis2'],
    ['library/redis', 'a/library/redis'],
    ['docker.io/library/*:latest', 'dockerXio/library/redis:latest'],
    ['a?c', 'abc'],
    ['[ab]', 'a'],
    ['{a,b}', 'a'],
    ['a.c', 'abc'],
    ['Redis', 'redis'],
    ['', 'a'],
    ['a', ''],
    ['*', '/'],
  ])('%j does not match %j', (pattern, text) => {
    expect(compileGlob(pattern)(text)).toBe(false);
  });

  test('agrees with the regular expression that says the same', () => {
    const pieces = fc.array(fc.constantFrom('a', 'b', '/', '.', '*', '**', '\\', '(', '+'), { maxLength: 8 });
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '.', '\\', '(', '+'), maxLength: 10 });
    fc.assert(
      fc.property(pieces, text, (given, tried) => {
        const pattern = given.join('');
        const source = pattern.replaceAll(/\*+|[^*]/g, (step) =>
          step === '*' ? '[^/]*' : step.startsWith('*') ? '.*' : step.replace(/[\\(+.]/, '\\$&'),
        );
        expect(compileGlob(pattern)(tried)).toBe(new RegExp(`^${source}$`, 's').test(tried));
      }),
      { numRuns: 2000 },
    );
  });

  test('without stars matches itself alone', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (pattern, other) => {
        fc.pre(!pattern.includes('*'));
        expect(compileGlob(pattern)(pattern)).toBe(true);
        expect(compileGlob(pattern)(other)).toBe(pattern === other);
      }),
    );
  });

  test('takes no time for a pattern that is made to take it', () => {
    const startedAt = performance.now();
    for (const star of ['*', '**']) expect(compileGlob(`${`${star}a`.repeat(100)}b`)('a'.repeat(2000))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });
});
