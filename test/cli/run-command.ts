// Runs one command line of the program with nothing from the surroundings of the test: in a process of its own, or here.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { onTestFinished, vi } from 'vitest';
import { runCli } from '../../src/cli/cli.ts';
import { directoryWith } from '../config/config-files.ts';

export const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface Surroundings {
  readonly files?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly input?: string | Uint8Array;
  readonly cwd?: string;
}

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Started {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
}

export function start(argv: readonly string[], { files = {}, env = {}, input = '', cwd }: Surroundings = {}): Started {
  const child = spawn(process.execPath, [main, ...argv], {
    cwd: cwd ?? directoryWith(files),
    env: { PATH: process.env.PATH, ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  child.stdin.on('error', () => {}).end(input);
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { process: child, ended: ended.then(([stdout, stderr]) => ({ status: child.exitCode, stdout, stderr })) };
}

export function run(argv: readonly string[], surroundings: Surroundings = {}): Promise<Ended> {
  return start(argv, surroundings).ended;
}

export interface Typed extends Omit<Surroundings, 'input'> {
  readonly input?: string | (() => void);
  /** What the terminal shows before the input is typed, or its function called. */
  readonly after?: string;
  /** As a shell has it: `</dev/null`. */
  readonly redirected?: string;
}

/** On a terminal of 100 columns and 30 rows; `stdout` has what both streams wrote, as a terminal gets it. */
export async function onTerminal(
  argv: readonly string[],
  { input, after = '', redirected = '', ...given }: Typed = {},
): Promise<Ended> {
  const line = [process.execPath, main, ...argv].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
  const child = spawn('script', ['-qefc', `stty cols 100 rows 30; exec ${line} ${redirected}`, '/dev/null'], {
    cwd: given.cwd ?? directoryWith(given.files ?? {}),
    env: { PATH: process.env.PATH, TERM: 'xterm', ...given.env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let shown = '';
  let isTyped = input === undefined;
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    shown += part;
    if (isTyped || !shown.includes(after)) return;
    isTyped = true;
    if (typeof input === 'string') child.stdin.write(input);
    else input?.();
  });
  await once(child, 'close');
  return { status: child.exitCode, stdout: shown, stderr: '' };
}

/** As `run`, without a process: for what needs no stdin, no signals, and no relative paths but that of the configuration. */
export async function here(argv: readonly string[], { files = {}, env = {} }: Surroundings = {}): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  const spies = [
    vi.spyOn(process, 'cwd').mockReturnValue(directoryWith(files)),
    ...(['stdout', 'stderr'] as const).map((name) =>
      vi.spyOn(process[name], 'write').mockImplementation((chunk, ...rest) => {
        said[name] += chunk;
        const written = rest.at(-1) as unknown;
        if (typeof written === 'function') written();
        return true;
      }),
    ),
  ];
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  try {
    return { status: await runCli(argv), ...said };
  } finally {
    for (const spy of spies) spy.mockRestore();
    vi.unstubAllEnvs();
  }
}
