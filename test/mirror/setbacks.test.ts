// After a failure a tag is left alone for a while, which grows as it goes on failing and ends with the first success.
import { expect, test } from 'vitest';
import { Setbacks } from '../../src/mirror/setbacks.ts';
import { UpstreamError, type UpstreamFailure } from '../../src/upstream/upstream.ts';
import { laterClock } from '../support/later-clock.ts';

const tag = 'docker.io/library/app:latest';
const hour = 3_600_000;
const failing = new UpstreamError('failing', 'it fails');

test('a tag rests 10 s after its first failure, twice as long after each that follows, and 5 minutes at most', () => {
  using clock = laterClock();
  const setbacks = new Setbacks();
  for (const seconds of [10, 20, 40, 80, 160, 300, 300]) {
    setbacks.add(tag, failing, hour);
    clock.pass(seconds - 1);
    expect(setbacks.reason(tag)).toBe(failing);
    clock.pass(1);
    expect(setbacks.reason(tag)).toBeUndefined();
  }
});

test('a tag never rests longer than its ttl', () => {
  using clock = laterClock();
  const setbacks = new Setbacks();
  setbacks.add(tag, failing, 0);
  expect(setbacks.reason(tag)).toBeUndefined();
  for (let failures = 0; failures < 3; failures++) {
    setbacks.add(tag, failing, 2000);
    expect(setbacks.reason(tag)).toBe(failing);
    clock.pass(2);
    expect(setbacks.reason(tag)).toBeUndefined();
  }
});

test('a success ends the rest and the doubling', () => {
  using clock = laterClock();
  const setbacks = new Setbacks();
  for (let failures = 0; failures < 3; failures++) setbacks.add(tag, failing, hour);
  setbacks.delete(tag);
  expect(setbacks.reason(tag)).toBeUndefined();
  setbacks.add(tag, failing, hour);
  clock.pass(10);
  expect(setbacks.reason(tag)).toBeUndefined();
});

test.each<UpstreamFailure>(['away', 'offline'])('what was not even asked (%s) is no failure of the tag', (word) => {
  const setbacks = new Setbacks();
  setbacks.add(tag, new UpstreamError(word, 'not now'), hour);
  expect(setbacks.reason(tag)).toBeUndefined();
});

test('2000 tags are remembered, those that failed last', () => {
  const setbacks = new Setbacks();
  for (let number = 0; number <= 2000; number++) setbacks.add(`t${number}`, failing, hour);
  expect(['t0', 't1', 't2000'].map((key) => setbacks.reason(key))).toEqual([undefined, failing, failing]);
});
