// Images on the command line that no registry can have.
import { describe, expect, test } from 'vitest';
import { checkImage, imagePath, nameFault } from '../../src/cli/image-argument.ts';

describe('an image that is named', () => {
  test.each([
    'redis',
    'redis:7',
    'docker.io/library/redis:7',
    'localhost/app',
    'localhost:5000/app',
    '[::1]:5000/app',
    'hub/app',
  ])('%s may be', (image) => {
    expect(() => checkImage(image)).not.toThrow();
  });

  test.each([
    ['BAD', '"BAD": not a repository: its name is in lower case'],
    ['docker.io/BAD:7', '"docker.io/BAD:7": not a repository: its name is in lower case'],
    ['ghcr.io/', '"ghcr.io/": not an image'],
    ['-x', '"-x": not a repository: write at most'],
    ['a b', '"a b": not a repository: write at most'],
    [`a/${'b'.repeat(255)}`, 'not a repository: write at most'],
    ['a/../b', '"a/../b": not an image'],
    ['redis:', '"redis:": not a tag'],
  ])('%s is wrong usage', (image, why) => {
    expect(() => imagePath(image)).toThrow(
      expect.objectContaining({ exitCode: 2, message: expect.stringContaining(why) }),
    );
  });

  test('that is not one says why in one line', () => {
    expect(nameFault('a\nb')).not.toContain('\n');
  });
});
