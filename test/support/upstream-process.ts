// The fake upstream in a process of its own, as a test or a measurement holds it.
import { fileURLToPath } from 'node:url';
import { StartedProcess } from './started-process.ts';

export type ChildUpstreamOptions = {
  readonly size: number;
  readonly seed?: number;
  readonly repository?: string;
  readonly bytesPerSecond?: number;
  readonly flipByteAt?: number;
  /** Body bytes of the layer after which every answer waits for `open()`; negative counts from the end. */
  readonly holdAfter?: number;
};

export type ChildUpstreamInfo = {
  readonly url: string;
  readonly repository: string;
  readonly manifest: string;
  readonly config: string;
  readonly layer: string;
};

export type ChildUpstreamStats = {
  /** GETs of the layer, and what they were. */
  readonly blobGets: number;
  readonly bytesSent: number;
  readonly blobRequests: readonly { status: number; bytesSent: number; range: string | null }[];
  readonly gateArrivals: number;
};

const entry = fileURLToPath(new URL('./fake-upstream-process.ts', import.meta.url));

export class UpstreamProcess implements AsyncDisposable {
  readonly info: ChildUpstreamInfo;
  readonly #process: StartedProcess;

  private constructor(info: ChildUpstreamInfo, started: StartedProcess) {
    this.info = info;
    this.#process = started;
  }

  static async start(options: ChildUpstreamOptions): Promise<UpstreamProcess> {
    const started = new StartedProcess('fake upstream', process.execPath, [entry, JSON.stringify(options)]);
    const line = await started.ready(() => started.stdout[0]);
    return new UpstreamProcess(JSON.parse(line), started);
  }

  get url(): string {
    return this.info.url;
  }

  stats(): Promise<ChildUpstreamStats> {
    return this.#control('__stats');
  }

  /** Opens the gate of `holdAfter`. */
  open(): Promise<ChildUpstreamStats> {
    return this.#control('__open');
  }

  /** From now on every answer is right. */
  mend(): Promise<ChildUpstreamStats> {
    return this.#control('__mend');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }

  async #control(name: string): Promise<ChildUpstreamStats> {
    return (await (await fetch(`${this.url}/${name}`)).json()) as ChildUpstreamStats;
  }
}
