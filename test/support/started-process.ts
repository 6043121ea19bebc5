// A long-running program that a test started and ends by its own pid.
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { toolPath } from './tool.ts';
import { GaveUp, until } from './until.ts';

export type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };
export type StartOptions = { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string };

const alive = new Set<ChildProcess>();
// A test run that is interrupted must not leave daemons behind.
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

export class StartedProcess {
  readonly name: string;
  readonly stdout: string[] = [];
  readonly stderr: string[] = [];
  readonly exited: Promise<Exit>;
  readonly #child: ChildProcess;

  constructor(name: string, program: string, args: readonly string[], { env, cwd }: StartOptions = {}) {
    this.name = name;
    this.#child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PATH: toolPath, ...env },
      ...(cwd !== undefined && { cwd }),
    });
    alive.add(this.#child);
    for (const stream of ['stdout', 'stderr'] as const) {
      const input = this.#child[stream];
      if (input) createInterface({ input }).on('line', (line) => this[stream].push(line));
    }
    this.exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('exit', (code, signal) => {
        alive.delete(this.#child);
        resolve({ code, signal });
      });
    });
    this.exited.catch(() => {});
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.pid !== 0 && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The end of what it wrote, for error messages. */
  get lastWords(): string {
    return [...this.stdout.slice(-20), ...this.stderr.slice(-40)].join('\n');
  }

  /** Polls until `probe` gives a value; a process that exits first fails at once with its last words. */
  async ready<T>(probe: () => Promise<T | undefined | false> | T | undefined | false, timeoutMs = 30_000): Promise<T> {
    const watched = () => {
      if (!this.isRunning) throw new GaveUp(`${this.name} exited before it was ready:\n${this.lastWords}`);
      return probe();
    };
    try {
      return await until(`${this.name} is ready`, watched, { timeoutMs });
    } catch (error) {
      await this.stop('SIGKILL');
      if (error instanceof GaveUp) throw error;
      throw new Error(`${this.name} did not become ready:\n${this.lastWords}`, { cause: error });
    }
  }

  /** Sends the signal and waits for the end; SIGKILL follows when it takes longer than `graceMs`. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', graceMs = 40_000): Promise<Exit> {
    if (!this.isRunning) return await this.exited;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }
}
