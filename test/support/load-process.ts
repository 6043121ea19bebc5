// Entry of a child process: jobs of load as lines of JSON on stdin, their results on stdout, one at a time.
// node test/support/load-process.ts
import { createInterface } from 'node:readline';
import { type LoadJob, runJob } from './load-job.ts';

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answerTo(JSON.parse(line)))}\n`);
}

function answerTo(job: LoadJob) {
  try {
    return { result: runJob(job) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
