// Runs a command that prints a secret: without a shell, bounded in time and output, and never quoted.
import { type ChildProcess, spawn } from 'node:child_process';

export interface CommandResult {
  readonly exitCode: number;
  readonly output: string;
}

export interface CommandOptions {
  /** For its standard input. */
  readonly input?: string;
  readonly timeoutMs?: number;
}

const maxOutputBytes = 64 * 1024;

/**
 * Throws an `Error` that says why there is no result. It has no cause: those of node hold the whole command line, and
 * what the command says of its failure may hold what it was asked for.
 */
export function runCommand(
  [command = '', ...given]: readonly string[],
  { input = '', timeoutMs = 10_000 }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    // A group of its own, so that what a script has started ends with it.
    const child = spawn(command, given, { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
    const giveUp = (why: string) => {
      clearTimeout(timer);
      killGroup(child);
      child.stdout.destroy();
      reject(new Error(`${command} ${why}`));
    };
    const timer = setTimeout(giveUp, timeoutMs, `took longer than ${timeoutMs / 1000} s`);
    const read: Uint8Array[] = [];
    let length = 0;
    child.stdout.on('data', (chunk: Uint8Array) => {
      length += chunk.length;
      read.push(chunk);
      if (length > maxOutputBytes) giveUp(`printed more than ${maxOutputBytes / 1024} KiB`);
    });
    child.on('error', (error: NodeJS.ErrnoException) => giveUp(`could not be started: ${startProblem(error)}`));
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      if (exitCode === null) reject(new Error(`${command} was ended by ${signal}`));
      else resolve({ exitCode, output: Buffer.concat(read).toString() });
    });
    child.stdin.on('error', () => {}); // it may not want to read
    child.stdin.end(input);
  });
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // it has ended
  }
}

function startProblem({ code }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'there is no such command';
  if (code === 'EACCES') return 'it may not be executed';
  return code ?? 'for an unknown reason';
}
