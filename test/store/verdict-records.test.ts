// Whether repositories were found to be public: the last word on each, of not too many.
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Records } from '../../src/store/records.ts';
import { tempDir } from '../support/temp-dir.ts';

const redis = { registry: 'docker.io', path: 'library/redis' };
const elsewhere = { registry: 'ghcr.io', path: 'library/redis' };
const numbered = (number: number) => ({ registry: 'example.com', path: `a/${number}` });

test('the last verdict on a repository is known, over a restart too, and none on another', async () => {
  await using dir = await tempDir('verdicts');
  const path = join(dir.path, 'index.db');
  const before = new Records(path);
  expect(before.verdict(redis)).toBeUndefined();
  before.putVerdict(redis, true, 1_900_000_000_123);
  expect(before.verdict(redis)).toEqual({ isPublic: true, checkedAt: 1_900_000_000_123 });
  before.putVerdict(redis, false, 42);
  before.close();
  const after = new Records(path);
  expect(after.verdict(redis)).toEqual({ isPublic: false, checkedAt: 42 });
  expect([after.verdict(elsewhere), after.verdict({ ...redis, path: 'library' })]).toEqual([undefined, undefined]);
  after.close();
});

test('a verdict is on the repository, whoever may see it', () => {
  const records = new Records(':memory:');
  const hidden = { ...redis, isPrivate: true };
  records.putVerdict(hidden, false, 1);
  records.putVerdict(redis, true, 2);
  expect(records.verdict(hidden)).toEqual({ isPublic: true, checkedAt: 2 });
  expect(records.verdict(redis)).toEqual({ isPublic: true, checkedAt: 2 });
});

test('those put longest ago go when there are too many, whatever their time says', () => {
  const most = 100_000;
  const records = new Records(':memory:');
  records.batch(() => {
    for (let number = 0; number < most; number++) records.putVerdict(numbered(number), true, most - number);
  });
  // Putting one again makes no more of them.
  for (let again = 0; again < 5; again++) records.putVerdict(numbered(0), false, 0);
  expect(records.verdict(numbered(1))).toBeDefined();
  records.putVerdict(redis, true, 0);
  records.putVerdict(elsewhere, true, 0);
  expect([1, 2, 3].map((number) => records.verdict(numbered(number)) !== undefined)).toEqual([false, false, true]);
  expect(records.verdict(numbered(0))).toEqual({ isPublic: false, checkedAt: 0 });
  expect([redis, elsewhere].map((repository) => records.verdict(repository)?.isPublic)).toEqual([true, true]);
});
