#!/usr/bin/env node
// The program: a command line in, an exit code out.

/** As `engines` in package.json says. */
const oldestNode = 24;

if (Number.parseInt(process.versions.node, 10) < oldestNode) {
  process.stderr.write(
    `stillwater: this is Node ${process.versions.node}, and Node ${oldestNode} or newer is needed: install one (nodejs.org), or run the container image\n`,
  );
  process.exit(1);
}

// `serve` reloads on it: one that comes while it starts must not end it.
const [command = 'serve'] = process.argv.slice(2);
if (command === 'serve' || command.startsWith('-')) process.on('SIGHUP', () => {});

// Only now: an older Node fails at the first line of what is imported, with a stack instead of a sentence.
const { fail, runCli } = await import('./cli/cli.ts');
const { watchStandardOutput } = await import('./cli/output-faults.ts');
watchStandardOutput((fault) => process.exit(fail(fault, 1)));
const exitCode = await runCli(process.argv.slice(2));
// A start that failed half-way may have left something open that would keep the process alive.
if (exitCode !== 0) process.exit(exitCode);
