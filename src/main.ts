#!/usr/bin/env node
// The program: a command line in, an exit code out.
import { runCli } from './cli/cli.ts';

// A reader that has seen enough, such as head, is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

const exitCode = await runCli(process.argv.slice(2));
// A start that failed half-way may have left something open that would keep the process alive.
if (exitCode !== 0) process.exit(exitCode);
