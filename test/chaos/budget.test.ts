// Sixteen clients want ten times what the cache may hold. The full size of this is `npm run bench:budget`.
import { describe, expect, test } from 'vitest';
import { runBudget } from '../support/budget-run.ts';
import { tell } from '../support/tell.ts';
import { requireRoot } from '../support/tool.ts';

const mebibyte = 1024 * 1024;
const budgetBytes = 64 * mebibyte;
const blobBytes = mebibyte / 4;

describe.skipIf(!requireRoot())('a budget of a tenth of what is asked for', { timeout: 90_000 }, () => {
  test('is kept, is used as well as an ideal cache would, and spares what is pinned', async () => {
    const blobs = (10 * budgetBytes) / blobBytes;
    const figures = await runBudget({ budgetBytes, blobBytes, blobs, requests: 4000, clients: 16 });
    const { mostBytes, hitRatio, idealHitRatio, samples, seconds } = figures;
    tell({
      'above the budget, blobs': (mostBytes - budgetBytes) / blobBytes,
      hitRatio,
      idealHitRatio,
      samples,
      seconds,
    });
    expect(figures.failures.slice(0, 5)).toEqual([]);
    expect(figures.unpinned).toEqual([]);
    expect(figures.samples).toBeGreaterThan(figures.seconds * 10 * 0.8);
    expect(figures.mostBytes).toBeLessThanOrEqual(budgetBytes + blobBytes);
    // It was in use, or staying below it would prove nothing.
    expect(figures.mostBytes).toBeGreaterThan(0.9 * budgetBytes);
    expect(figures.evictions).toBeGreaterThan(0);
    expect(figures.budgetMetric).toBe(budgetBytes);
    expect(Math.abs(figures.hitRatio - figures.idealHitRatio)).toBeLessThanOrEqual(0.02);
  });
});
