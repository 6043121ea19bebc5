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
/** What a command printed before it ended is here by then; a daemon that it left behind may hold its output for ever. */
const graceMs = 500;

const running = new Set<ChildProcess>();
// A group of its own gets none of the signals that end the mirror.
process.on('exit', () => running.forEach(killGroup));

/**
 * Throws an `Error` that says why there is no result. It has no cause: those of node hold the whole command line, and
 * what the command says of its failure may hold what it was asked for.
 */
export function runCommand(
  [command = '', ...given]: readonly string[],
  { input = '', timeoutMs = 10_000 }: CommandOptions = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = start(command, given);
    running.add(child);
    const leave = () => {
      clearTimeout(timer);
      running.delete(child);
      killGroup(child);
      child.stdout.destroy();
    };
    const giveUp = (why: string) => {
      leave();
      reject(new Error(`${command} ${why}`));
    };
    let timer = setTimeout(giveUp, timeoutMs, `took longer than ${timeoutMs / 1000} s`);
    const read: Uint8Array[] = [];
    let length = 0;
    child.stdout.on('data', (chunk: Uint8Array) => {
      length += chunk.length;
      read.push(chunk);
      if (length > maxOutputBytes) giveUp(`printed more than ${maxOutputBytes / 1024} KiB`);
    });
    child.on('error', (error: NodeJS.ErrnoException) => giveUp(`could not be started: ${startProblem(error)}`));
    const ended = (exitCode: number | null, signal: string | null) => {
      leave();
      if (exitCode === null) reject(new Error(`${command} was ended by ${signal}`));
      else resolve({ exitCode, output: Buffer.concat(read).toString() });
    };
    child.on('exit', (exitCode, signal) => {
      clearTimeout(timer);
      killGroup(child);
      // A late timer runs before what has arrived meanwhile is read.
      timer = setTimeout(setImmediate, graceMs, ended, exitCode, signal);
    });
    child.on('close', ended);
    child.stdin.on('error', () => {}); // it may not want to read
    child.stdin.end(input);
  });
}

/** In a group of its own, so that what a script has started ends with it. */
function start(command: string, given: readonly string[]) {
  try {
    return spawn(command, given, { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
  } catch (error) {
    throw new Error(`${command} could not be started: ${startProblem(error as NodeJS.ErrnoException)}`);
  }
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
  if (code === 'ERR_INVALID_ARG_VALUE') return 'it holds a NUL, or an argument does';
  return code ?? 'for an unknown reason';
}
