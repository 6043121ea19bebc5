// Every fault of an upstream in every situation of a cache; writes the table between the marks in docs/reliability.md.
// npm run bench:faults. Needs openssl.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { brokenPromises } from '../test/support/fault-promises.ts';
import { runFaults } from '../test/support/fault-run.ts';
import { faultTable } from './fault-table.ts';
import { printTable, progress } from './table.ts';

const page = fileURLToPath(new URL('../docs/reliability.md', import.meta.url));
const marks = ['<!-- made by npm run bench:faults -->', '<!-- end of what bench:faults made -->'] as const;

const startedAt = performance.now();
const results = await runFaults();
const broken = results.flatMap(brokenPromises);
for (const what of broken) progress(`BROKEN: ${what}`);
const answers = results.flatMap((result) => [...result.answers, ...result.rest]);
const slowest = Math.max(...answers.map(({ headersMs }) => headersMs)) / 1000;
await putBetween([faultTable(results, 'tag'), faultTable(results, 'blob')].join('\n\n'));

printTable([
  ['cells', results.length],
  ['answers', answers.length],
  ['slowest headers, s (at most 10)', slowest.toFixed(2), slowest <= 10],
  ['promises broken', broken.length, broken.length === 0],
  ['seconds', ((performance.now() - startedAt) / 1000).toFixed(0)],
]);

async function putBetween(text: string): Promise<void> {
  const [begin, end] = marks;
  const [before, rest, ...others] = (await readFile(page, 'utf8')).split(begin);
  const after = rest?.split(end)[1];
  if (after === undefined || others.length > 0) throw new Error(`${page} lacks its two marks: ${marks.join(', ')}`);
  await writeFile(page, `${before}${begin}\n\n${text}\n\n${end}${after}`);
}
