// An nginx of the measurement's own: one worker, sendfile on, no log but where a server block asks for one.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { StartedProcess } from './started-process.ts';
import { type TempDir, tempDir } from './temp-dir.ts';

export class PeerNginx implements AsyncDisposable {
  readonly #dir: TempDir;
  #process: StartedProcess | undefined;

  private constructor(dir: TempDir) {
    this.#dir = dir;
  }

  /** `isReady` is asked until it says so; `http` is what stands in the http block, given the folder for files. */
  static async start(http: (root: string) => string, isReady: () => Promise<boolean>): Promise<PeerNginx> {
    const nginx = new PeerNginx(await tempDir('nginx'));
    await mkdir(nginx.root);
    await nginx.#write(http(nginx.root));
    const args = ['-p', nginx.#dir.path, '-e', join(nginx.#dir.path, 'error.log'), '-c', nginx.#file];
    nginx.#process = new StartedProcess('nginx', 'nginx', args);
    try {
      await nginx.#process.ready(isReady);
    } catch (error) {
      await nginx.#dir.remove();
      throw error;
    }
    return nginx;
  }

  /** What it serves. */
  get root(): string {
    return join(this.#dir.path, 'files');
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error('nginx was never started');
    return this.#process.pid;
  }

  /** With another http block; requests in progress end as they began. */
  async reload(http: string, isReady: () => Promise<boolean>): Promise<void> {
    await this.#write(http);
    process.kill(this.pid, 'SIGHUP');
    await this.#process?.ready(isReady);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process?.stop('SIGTERM', 5_000);
    await this.#dir.remove();
  }

  get #file(): string {
    return join(this.#dir.path, 'nginx.conf');
  }

  async #write(http: string): Promise<void> {
    const { path } = this.#dir;
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (kind) => `${kind}_temp_path ${path}/${kind};`,
    );
    const lines = [
      // The folder is nobody else's to read.
      process.getuid?.() === 0 ? 'user root;' : '',
      `worker_processes 1; daemon off; pid ${path}/nginx.pid; error_log ${path}/error.log;`,
      'events { worker_connections 4096; }',
      'http {',
      'access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;',
      ...temporary,
      http,
      '}',
    ];
    await writeFile(this.#file, lines.join('\n'));
  }
}
