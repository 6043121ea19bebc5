// The known word that a mistyped one probably meant.
import { expect, test } from 'vitest';
import { nearest } from '../../src/config/nearest.ts';

test.each([
  ['maxsize', 'maxSize'],
  ['maxSzie', 'maxSize'],
  ['minfre', 'minFree'],
  ['directory', undefined],
  ['x', undefined],
])('takes %s for %s', (word, meant) => {
  expect(nearest(word, ['minFree', 'maxSize', 'siblings'])).toBe(meant);
});
