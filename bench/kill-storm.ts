// Rounds of kill -9 at a random moment under load, each with a restart and a full read-back.
// npm run bench:kill-storm -- [ROUNDS] [SEED]
import { runKillStorm } from '../test/support/kill-storm.ts';
import { printTable, progress } from './table.ts';

const [rounds = 100, seed = 1] = process.argv.slice(2).map(Number);
const startedAt = performance.now();
const figures = await runKillStorm({
  rounds,
  seed,
  onRound: (soFar) => {
    if (soFar.rounds % 10 === 0) progress(`${soFar.rounds} rounds, ${soFar.resumedRounds} resumed`);
  },
});
for (const line of figures.wrong) progress(`WRONG: ${line}`);
printTable([
  ['rounds', rounds],
  ['rounds in which the kill met a client in the middle', figures.interruptedRounds],
  ['pulls, read-back included', figures.pulls],
  ['wrong bytes, short 200s, errors without a kill', figures.wrong.length, figures.wrong.length === 0],
  ['restarts that needed no hand', figures.rounds, figures.rounds === rounds],
  ['rounds that resumed (more than half)', figures.resumedRounds, figures.resumedRounds > rounds / 2],
  ['bytes resumed, MiB', (figures.resumedBytes / 1024 ** 2).toFixed(0), figures.resumedBytes > 0],
  ['evictions under load', figures.evictions, figures.evictions > 0],
  ['seconds', ((performance.now() - startedAt) / 1000).toFixed(0)],
]);
