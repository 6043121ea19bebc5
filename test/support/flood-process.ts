// Entry of a child process: a flood, so that its CPU is not that of whoever measures. Says its figures in the end.
// node test/support/flood-process.ts SECONDS OPTIONS, which are JSON
import { Flood, type FloodOptions } from './flood.ts';

const [seconds = '20', options = '{}'] = process.argv.slice(2);
const flood = new Flood(JSON.parse(options) as FloodOptions);
setTimeout(() => {
  const { figures } = flood;
  flood[Symbol.dispose]();
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0));
}, Number(seconds) * 1000);
