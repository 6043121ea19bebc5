// What is remembered as absent: for how long, for whom, and how much of it.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Absences } from '../../src/mirror/absences.ts';
import { TagPolicy } from '../../src/mirror/tag-policy.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { mediaTypes } from '../../src/oci/media-types.ts';

const here = { registry: 'docker.io', path: 'library/app' };
const elsewhere = { registry: 'docker.io', path: 'library/other' };
const digest = digestOf(Buffer.from('content'));

interface Remember {
  readonly negativeTtlMs?: number;
  readonly rules?: { match: string }[];
  /** To what every repository has a link. */
  readonly linked?: ReadonlySet<string>;
}

function remember({ negativeTtlMs = 30_000, rules, linked = new Set() }: Remember = {}) {
  const times = { ttlMs: 0, staleWhileRevalidateMs: 0, staleIfErrorMs: 0, revalidateTimeoutMs: 0, negativeTtlMs };
  const link = (_: unknown, found: Digest) =>
    linked.has(found) ? { digest: found, size: 7, mediaType: mediaTypes.octetStream, proven: false } : undefined;
  return new Absences(new TagPolicy({ ...times, rules }), { link });
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe('what is absent', () => {
  test('is remembered until its time is over', () => {
    const absences = remember();
    absences.add(here, { tag: 'latest' });
    vi.advanceTimersByTime(29_999);
    expect(absences.has(here, { tag: 'latest' })).toBe(true);
    vi.advanceTimersByTime(1);
    expect(absences.has(here, { tag: 'latest' })).toBe(false);
  });

  test('lasts as long whatever the clock on the wall does', () => {
    const absences = remember();
    absences.add(here, { tag: 'latest' });
    vi.setSystemTime(Date.now() - 3_600_000);
    vi.advanceTimersByTime(30_000);
    expect(absences.has(here, { tag: 'latest' })).toBe(false);
  });

  test('is so in one repository, as a tag, a manifest or a blob', () => {
    const absences = remember();
    absences.add(here, { blob: digest });
    expect(absences.has(here, { blob: digest })).toBe(true);
    expect(absences.has(elsewhere, { blob: digest })).toBe(false);
    expect(absences.has(here, { digest })).toBe(false);
    absences.add(here, { tag: 'latest' });
    expect(absences.has(here, { tag: 'other' })).toBe(false);
    expect(absences.has(elsewhere, { tag: 'latest' })).toBe(false);
  });

  test('is never what the repository has a link to, whichever was first', () => {
    const linked = new Set<string>();
    const absences = remember({ linked });
    const asManifest = { digest };
    const asBlob = { blob: digest };
    absences.add(here, asBlob);
    linked.add(digest);
    absences.add(here, asManifest);
    expect([absences.has(here, asBlob), absences.has(here, asManifest)]).toEqual([false, false]);
    linked.clear();
    expect([absences.has(here, asBlob), absences.has(here, asManifest)]).toEqual([true, false]);
  });

  test('is forgotten as soon as it is there', () => {
    const absences = remember();
    absences.add(here, { digest });
    absences.delete(here, { digest });
    expect(absences.has(here, { digest })).toBe(false);
  });

  test('is not remembered at all with a time of 0, by default or by a rule', () => {
    const never = remember({ negativeTtlMs: 0 });
    never.add(here, { tag: 'latest' });
    expect(never.has(here, { tag: 'latest' })).toBe(false);
    const rules = [{ match: 'docker.io/library/app:nightly', negativeTtlMs: 0 }];
    const ruled = remember({ rules });
    for (const tag of ['nightly', 'latest']) ruled.add(here, { tag });
    expect([ruled.has(here, { tag: 'nightly' }), ruled.has(here, { tag: 'latest' })]).toEqual([false, true]);
  });

  test('takes the place of what was asked for longest ago when there is too much of it', () => {
    const absences = remember();
    for (let number = 0; number <= 10_000; number++) absences.add(here, { tag: `t${number}` });
    expect(absences.has(here, { tag: 't0' })).toBe(false);
    expect(absences.has(here, { tag: 't1' })).toBe(true);
    expect(absences.has(here, { tag: 't10000' })).toBe(true);
  });
});
