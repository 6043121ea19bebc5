// 16 clients pull 10 GiB of distinct blobs, some far more popular than others, through a cache of 1 GiB.
// npm run bench:budget -- [BUDGET_MIB] [REQUESTS]. Needs root: the cache lies on a tmpfs of three times the budget.
import { runBudget } from '../test/support/budget-run.ts';
import { printTable } from './table.ts';

const mebibyte = 1024 * 1024;
const [budgetMebibytes = 1024, requests = 25_000] = process.argv.slice(2).map(Number);
const budgetBytes = budgetMebibytes * mebibyte;
const blobBytes = mebibyte;
const blobs = (10 * budgetBytes) / blobBytes;
const figures = await runBudget({ budgetBytes, blobBytes, blobs, requests, clients: 16 });

const overMebibytes = (figures.mostBytes - budgetBytes) / mebibyte;
const difference = Math.abs(figures.hitRatio - figures.idealHitRatio);
const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
for (const failure of figures.failures.slice(0, 10)) process.stderr.write(`FAILED: ${failure}\n`);
for (const lost of figures.unpinned) process.stderr.write(`PINNED AND LOST: ${lost}\n`);
printTable([
  ['blobs of 1 MiB, pulls, clients', `${blobs}, ${requests}, 16`],
  ['pulls that failed', figures.failures.length, figures.failures.length === 0],
  ['most on the disk, MiB', (figures.mostBytes / mebibyte).toFixed(2)],
  ['above the budget, blobs (at most 1)', overMebibytes.toFixed(2), overMebibytes <= 1],
  ['samples (one every 100 ms), longest gap in ms', `${figures.samples}, ${figures.longestGapMs.toFixed(0)}`],
  ['hit ratio', percent(figures.hitRatio)],
  ['hit ratio of an ideal LRU on the same trace', percent(figures.idealHitRatio)],
  ['difference (at most 2 points)', percent(difference), difference <= 0.02],
  ['evictions', figures.evictions, figures.evictions > 0],
  ['pinned image still whole', figures.unpinned.length === 0 ? 'yes' : 'no', figures.unpinned.length === 0],
  ['seconds', figures.seconds.toFixed(0)],
]);
