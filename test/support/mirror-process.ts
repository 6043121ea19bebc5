// The product as users run it: `node src/main.ts serve --config FILE` on free ports with a cache of its own.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from './free-port.ts';
import { StartedProcess } from './started-process.ts';
import { type TempDir, tempDir } from './temp-dir.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const sources = [process.execPath, 'src/main.ts'];

export type MirrorOptions = {
  /** Registry host as users write it → address of the upstream that plays it. */
  readonly upstreams: Readonly<Record<string, string | object | null>>;
  /** Any other configuration key (contract §2), merged at the top level. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: NodeJS.ProcessEnv;
  /** Instead of a folder of its own, which is removed at the end. */
  readonly cacheDir?: string;
  /** What `serve` is an argument of, instead of the sources. */
  readonly command?: readonly string[];
};

type Places = { readonly port: number; readonly adminPort: number; readonly cacheDir: string | undefined };
type Started = { readonly command: readonly string[]; readonly env: NodeJS.ProcessEnv };

export class MirrorProcess implements AsyncDisposable {
  readonly dir: TempDir;
  readonly port: number;
  readonly adminPort: number;
  readonly cacheDir: string;
  readonly #started: Started;
  #process: StartedProcess | undefined;

  private constructor(dir: TempDir, { port, adminPort, cacheDir }: Places, started: Started) {
    this.dir = dir;
    this.port = port;
    this.adminPort = adminPort;
    this.cacheDir = cacheDir ?? join(dir.path, 'cache');
    this.#started = started;
  }

  static async start(options: MirrorOptions): Promise<MirrorProcess> {
    const { upstreams, config = {}, env = {}, cacheDir, command = sources } = options;
    const dir = await tempDir('mirror');
    const places = { port: await freePort(), adminPort: await freePort(), cacheDir };
    const mirror = new MirrorProcess(dir, places, { command, env });
    const file = {
      listen: { host: '127.0.0.1', port: mirror.port },
      admin: { host: '127.0.0.1', port: mirror.adminPort },
      upstreams: Object.fromEntries(
        Object.entries(upstreams).map(([name, at]) => [name, typeof at === 'string' ? { endpoints: [at] } : at]),
      ),
      ...config,
      cache: { dir: mirror.cacheDir, minFree: '100MB', ...(config.cache as object | undefined) },
    };
    await writeFile(mirror.configFile, JSON.stringify(file, null, 2));
    try {
      await mirror.restart();
    } catch (error) {
      await dir.remove();
      throw error;
    }
    return mirror;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** `127.0.0.1:PORT`, as clients write a registry. */
  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  get adminUrl(): string {
    return `http://127.0.0.1:${this.adminPort}`;
  }

  get configFile(): string {
    return join(this.dir.path, 'config.json');
  }

  get pid(): number {
    return this.#running.pid;
  }

  get #running(): StartedProcess {
    if (this.#process === undefined) throw new Error('the mirror was never started');
    return this.#process;
  }

  /** Every stdout line that is JSON; start-up lines for people are in `text`. */
  get logs(): Record<string, unknown>[] {
    return this.#running.stdout.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  }

  get text(): string {
    return this.#running.lastWords;
  }

  /** Every line it has written since its last start. */
  get output(): readonly string[] {
    return [...this.#running.stdout, ...this.#running.stderr];
  }

  async metrics(): Promise<string> {
    return await (await fetch(`${this.adminUrl}/metrics`)).text();
  }

  /** The sum over all label sets whose line holds `label`, such as `outcome="hit"`; `undefined` when there is none. */
  async metric(name: string, label = ''): Promise<number | undefined> {
    const lines = (await this.metrics()).split('\n').filter((line) => /^[\w:]+/.exec(line)?.[0] === name);
    const values = lines.filter((line) => line.includes(label)).map((line) => Number(line.split(' ').at(-1)));
    return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
  }

  async readiness(): Promise<{ readonly isReady: boolean; readonly text: string }> {
    const answer = await fetch(`${this.adminUrl}/readyz`);
    return { isReady: answer.ok, text: await answer.text() };
  }

  /** SIGTERM: running answers finish, and the exit code is 0. */
  async stop(): Promise<void> {
    const { code, signal } = await this.#running.stop();
    if (code !== 0) throw new Error(`the mirror did not stop cleanly: exit ${code} ${signal}:\n${this.text}`);
  }

  async kill(): Promise<void> {
    await this.#running.stop('SIGKILL');
  }

  /** Starts again on the same ports, configuration and cache; ends a running one with `stop` first. */
  async restart(): Promise<void> {
    if (this.#process?.isRunning) await this.stop();
    const { env, command } = this.#started;
    const [program = '', ...first] = command;
    const args = [...first, 'serve', '--config', this.configFile];
    this.#process = new StartedProcess('stillwater', program, args, { env, cwd: project });
    await this.#process.ready(async () => (await fetch(`${this.adminUrl}/readyz`)).ok);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.stop('SIGTERM', 5_000);
    await this.dir.remove();
  }
}

export function startMirror(options: MirrorOptions): Promise<MirrorProcess> {
  return MirrorProcess.start(options);
}
