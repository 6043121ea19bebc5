// Repository names by the grammar of the distribution spec.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatRepository, isRepositoryPath } from '../../src/oci/repository.ts';

describe('a repository path', () => {
  test.each([
    'a',
    '0',
    'redis',
    'library/redis',
    'a/b/c/d/e/f',
    'foo.bar',
    'foo_bar',
    'foo__bar',
    'foo-bar',
    'foo-----bar',
    'a.b_c__d-e/f',
    'ghcr.io/owner/app',
  ])('is %s', (text) => {
    expect(isRepositoryPath(text)).toBe(true);
  });

  test.each([
    '',
    '/',
    '/redis',
    'redis/',
    'library//redis',
    'Redis',
    'library/Redis',
    '.',
    '..',
    '../etc',
    'library/../redis',
    'a..b',
    'a___b',
    'a._b',
    'a.-b',
    '-a',
    'a-',
    '_a',
    'a_',
    '.a',
    'a.',
    'a b',
    'a%2fb',
    'a\\b',
    'a:b',
    'a@b',
    'a\n',
    'a\r\nb',
    'a\0',
    'é',
    'а', // the Cyrillic letter
  ])('is not %j', (text) => {
    expect(isRepositoryPath(text)).toBe(false);
  });

  test('is at most 255 characters long', () => {
    expect(isRepositoryPath('a'.repeat(255))).toBe(true);
    expect(isRepositoryPath('a'.repeat(256))).toBe(false);
    expect(isRepositoryPath(`${'a/'.repeat(127)}a`)).toBe(true);
    expect(isRepositoryPath(`${'a/'.repeat(128)}a`)).toBe(false);
  });

  test('is built of components and separators, and nothing else is one', () => {
    const letters = fc.constantFrom('a', 'z', '0', '.', '_', '-', '/', 'A', ':');
    fc.assert(
      fc.property(fc.string({ unit: letters, maxLength: 12 }), (text) => {
        expect(isRepositoryPath(text)).toBe(isPathBySplitting(text));
      }),
      { numRuns: 2000 },
    );
  });

  test('is judged at once, even where the grammar could be tried in many ways', () => {
    const startedAt = performance.now();
    for (const unit of ['a-', 'a_', 'a.', '-', 'a', 'a/']) isRepositoryPath(`${unit.repeat(50_000)}!`);
    for (const unit of ['a-', 'a__', '-']) isRepositoryPath(`a${unit.repeat(80)}!`);
    expect(performance.now() - startedAt).toBeLessThan(500);
  });
});

test('a repository is written as users write it', () => {
  expect(formatRepository({ registry: 'docker.io', path: 'library/redis' })).toBe('docker.io/library/redis');
});

/** The grammar in other words: split at the separators, and look at what is left. */
function isPathBySplitting(text: string): boolean {
  return text.split('/').every((component) => {
    const separators = component.match(/[^a-z0-9]+/g) ?? [];
    const words = component.split(/[^a-z0-9]+/);
    return words.every((word) => word !== '') && separators.every((one) => /^(\.|_|__|-+)$/.test(one));
  });
}
