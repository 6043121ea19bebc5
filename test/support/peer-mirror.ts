// The product as it runs in service, logging every request at its default level, into a file that nobody reads meanwhile.
import { readFile, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { get as getTls } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import { StartedProcess } from './started-process.ts';
import { type TempDir, tempDir } from './temp-dir.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));

export type PeerMirrorOptions = {
  readonly upstream: string;
  /** Further keys of `listen` and `cache`. */
  readonly listen?: Readonly<Record<string, unknown>>;
  readonly cache?: Readonly<Record<string, unknown>>;
  /** What the first question is for. */
  readonly firstPath?: string;
  /** Such as a bound of the heap. */
  readonly nodeFlags?: readonly string[];
};

type Started = {
  readonly port: number;
  readonly isTls: boolean;
  readonly path: string;
  readonly nodeFlags: readonly string[];
};

export class PeerMirror implements AsyncDisposable {
  readonly cacheDir: string;
  readonly #dir: TempDir;
  readonly #started: Started;
  #process: StartedProcess;
  #firstAnswerMs = 0;

  private constructor(dir: TempDir, cacheDir: string, started: Started) {
    this.#dir = dir;
    this.cacheDir = cacheDir;
    this.#started = started;
    this.#process = this.#spawn();
  }

  static async start({
    upstream,
    listen = {},
    cache = {},
    firstPath = '/v2/',
    nodeFlags = [],
  }: PeerMirrorOptions): Promise<PeerMirror> {
    const dir = await tempDir('peer');
    const port = await freePort();
    const cacheDir = String(cache.dir ?? join(dir.path, 'cache'));
    const config = {
      listen: { host: '127.0.0.1', port, ...listen },
      admin: { host: '127.0.0.1', port: await freePort() },
      upstreams: { 'docker.io': { endpoints: [upstream] } },
      cache: { minFree: '100MB', ...cache, dir: cacheDir },
      tags: { ttl: '1h' },
    };
    await writeFile(join(dir.path, 'config.json'), JSON.stringify(config));
    const isTls = listen.tls !== undefined;
    const mirror = new PeerMirror(dir, cacheDir, { port, isTls, path: firstPath, nodeFlags });
    await mirror.#answers();
    return mirror;
  }

  get port(): number {
    return this.#started.port;
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** From the last start of the process to its first answer. */
  get firstAnswerMs(): number {
    return this.#firstAnswerMs;
  }

  /** On the same port, with the same cache. */
  async restart(): Promise<void> {
    await this.#process.stop();
    this.#process = this.#spawn();
    await this.#answers();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop('SIGTERM', 5_000);
    await this.#dir.remove();
  }

  get #log(): string {
    return join(this.#dir.path, 'log');
  }

  #spawn(): StartedProcess {
    // A pipe would cost its reader as much as the load costs; exec keeps the process the one that was started.
    const command = 'log=$0; exec "$@" > "$log" 2>&1';
    const product = ['src/main.ts', 'serve', '--config', join(this.#dir.path, 'config.json')];
    const args = ['-c', command, this.#log, process.execPath, ...this.#started.nodeFlags, ...product];
    return new StartedProcess('stillwater', 'sh', args, { cwd: project });
  }

  async #answers(): Promise<void> {
    const startedAt = performance.now();
    try {
      await firstAnswer(this.#process, this.#started);
      this.#firstAnswerMs = performance.now() - startedAt;
    } catch (error) {
      await this.#process.stop('SIGKILL');
      const words = await readFile(this.#log, 'utf8').catch(() => '');
      await this.#dir.remove();
      throw new Error(`stillwater did not answer:\n${words.slice(-4000)}`, { cause: error });
    }
  }
}

const pauseMs = 3;
const mostMs = 60_000;

async function firstAnswer(started: StartedProcess, at: Started): Promise<void> {
  const deadline = performance.now() + mostMs;
  while (!(await answers(at))) {
    if (!started.isRunning) throw new Error('it ended');
    if (performance.now() > deadline) throw new Error(`nothing within ${mostMs} ms`);
    await new Promise<void>((resolve) => setTimeout(resolve, pauseMs));
  }
}

function answers({ port, isTls, path }: Started): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, path, agent: false, rejectUnauthorized: false };
    const asked = (isTls ? getTls : get)(options, (answer) => {
      answer.resume();
      answer.once('close', () => resolve(answer.statusCode === 200));
    });
    asked.once('error', () => resolve(false));
  });
}
