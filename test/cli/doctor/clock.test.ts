// Whose clock is wrong, as far as the others can tell.
import { expect, test } from 'vitest';
import { judgeClocks } from '../../../src/cli/doctor/clock.ts';

const minute = 60_000;
const readings = (...aheadMs: readonly number[]) =>
  aheadMs.map((ahead, place) => ({ of: `r${place}.test`, aheadMs: ahead }));

test.each([
  [readings(0), 0, ['ok']],
  [readings(minute - 1), undefined, ['ok']],
  [readings(minute + 1), undefined, ['fail']],
  [readings(-minute - 1), 0, ['fail']],
  // One of many is wrong itself.
  [readings(0, 1000, 60 * minute), 0, ['ok']],
  [readings(0, 0, -60 * minute), 0, ['ok']],
  [readings(60 * minute, 61 * minute, 0), 0, ['fail']],
  [readings(0), 2 * minute, ['ok', 'fail']],
  [readings(), -2 * minute, ['fail']],
  [readings(), 0, ['ok']],
  [readings(), undefined, ['skip']],
])('upstreams %j, the mirror %j: %j', (upstreams, mirror, marks) => {
  expect(judgeClocks(upstreams, mirror).map(({ mark }) => mark)).toEqual(marks);
});

test.each([
  [90_000, '90 s behind'],
  [-90_000, '90 s ahead'],
  [30 * minute, '30 min behind'],
  [300 * minute, '5 h behind'],
])('tells by how much it is wrong: %i', (aheadMs, told) => {
  expect(judgeClocks(readings(aheadMs), 0)[0]?.what).toContain(`the clock of this machine is ${told}`);
});
