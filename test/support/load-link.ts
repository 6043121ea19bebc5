// An uplink with a rate of its own, as a measurement holds it.
import { fileURLToPath } from 'node:url';
import { StartedProcess } from './started-process.ts';

const entry = fileURLToPath(new URL('./load-link-process.ts', import.meta.url));

export class LoadLink implements AsyncDisposable {
  readonly port: number;
  readonly #process: StartedProcess;

  private constructor(started: StartedProcess, port: number) {
    this.#process = started;
    this.port = port;
  }

  /** In front of a server on loopback; the rate is for all connections together, from the server to its clients. */
  static async start(upstreamPort: number, bytesPerSecond: number): Promise<LoadLink> {
    const args = [entry, String(upstreamPort), String(bytesPerSecond)];
    const started = new StartedProcess('uplink', process.execPath, args);
    return new LoadLink(started, Number(await started.ready(() => started.stdout[0])));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop('SIGKILL');
  }
}
