// A load client in a process of its own, as a measurement holds it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { LoadJob, LoadResult } from './load-job.ts';

const entry = fileURLToPath(new URL('./load-process.ts', import.meta.url));

/** What is measured has an end: a job that takes longer is broken. */
const mostSeconds = 300;

export class LoadClient implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #signal: AbortSignal | undefined;

  /** Nothing runs on after the signal. */
  constructor(signal?: AbortSignal) {
    this.#signal = signal;
    this.#child = spawn(process.execPath, [entry], { stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error('the load client has no stdout');
    this.#lines = createInterface({ input: stdout });
  }

  /** One after the other; a load client has one thing to do at a time. */
  async run(job: LoadJob): Promise<LoadResult> {
    const { stdin } = this.#child;
    const ended = new AbortController();
    const signal = AbortSignal.any([
      ended.signal,
      AbortSignal.timeout(mostSeconds * 1000),
      ...(this.#signal ? [this.#signal] : []),
    ]);
    const line = once(this.#lines, 'line', { signal });
    const gone = once(this.#child, 'exit', { signal }).then(() => {
      throw new Error('the load client ended in the middle of a job');
    });
    gone.catch(() => {});
    stdin?.write(`${JSON.stringify(job)}\n`);
    const [text] = await Promise.race([line, gone])
      .finally(() => ended.abort())
      .catch((error: unknown) => {
        this.#signal?.throwIfAborted();
        throw error;
      });
    const { result, error } = JSON.parse(text) as { result?: LoadResult; error?: string };
    if (result === undefined) throw new Error(`the load failed: port ${job.port}: ${error}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await exited;
  }
}
