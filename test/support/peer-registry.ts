// A distribution registry in proxy mode: the pull-through cache to be measured against.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { StartedProcess } from './started-process.ts';
import { type TempDir, tempDir } from './temp-dir.ts';

export class PeerRegistry implements AsyncDisposable {
  readonly port: number;
  readonly #dir: TempDir;
  readonly #process: StartedProcess;

  private constructor(dir: TempDir, started: StartedProcess, port: number) {
    this.#dir = dir;
    this.#process = started;
    this.port = port;
  }

  static async start(upstream: string): Promise<PeerRegistry> {
    const dir = await tempDir('peer-registry');
    const port = await freePort();
    const file = join(dir.path, 'registry.json');
    const config = {
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: { filesystem: { rootdirectory: join(dir.path, 'data') } },
      http: { addr: `127.0.0.1:${port}` },
      proxy: { remoteurl: upstream },
    };
    // JSON is YAML, which is what it reads.
    await writeFile(file, JSON.stringify(config));
    const started = new StartedProcess('docker-registry', 'docker-registry', ['serve', file]);
    try {
      await started.ready(async () => (await fetch(`http://127.0.0.1:${port}/v2/`)).ok);
    } catch (error) {
      await dir.remove();
      throw error;
    }
    return new PeerRegistry(dir, started, port);
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#process.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop('SIGTERM', 5_000);
    await this.#dir.remove();
  }
}
