// The fake upstream in a process of its own, as a test or a measurement holds it.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { FaultEffect } from './faults.ts';
import { type ContentPlan, contentFromPlan } from './planned-content.ts';
import type { ServedContent } from './served-content.ts';
import { StartedProcess } from './started-process.ts';
import { tempDir } from './temp-dir.ts';

/** How its layers are sent, from the first request on: what of a fault can be told to another process. */
export type Shape = Pick<
  FaultEffect,
  | 'delayMs'
  | 'connectDelayMs'
  | 'bytesPerSecond'
  | 'dropAfter'
  | 'resetAfter'
  | 'stallAfter'
  | 'truncateAfter'
  | 'flipByteAt'
  | 'noRanges'
>;

export type PlannedImage = {
  readonly repository: string;
  readonly tag?: string;
  readonly layers: readonly ContentPlan[];
};

export type ChildUpstreamOptions = Shape & {
  /** One image with one plain layer; `images` stand instead of it. */
  readonly size?: number;
  readonly seed?: number;
  readonly repository?: string;
  readonly images?: readonly PlannedImage[];
  /** Body bytes of a layer after which every answer waits for `open()`; negative counts from the end. */
  readonly holdAfter?: number;
};

export type ChildImage = {
  readonly repository: string;
  readonly tag: string;
  readonly manifest: string;
  readonly manifestSize: number;
  readonly config: string;
  readonly layers: readonly { readonly plan: ContentPlan; readonly digest: string; readonly size: number }[];
};

export type ChildUpstreamInfo = {
  readonly url: string;
  readonly images: readonly ChildImage[];
  /** Those of the first image, and its first layer. */
  readonly repository: string;
  readonly manifest: string;
  readonly config: string;
  readonly layer: string;
};

export type ChildUpstreamStats = {
  /** GETs of layers, and what the latest of them were. */
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
    // As a file: the words of thousands of layers are longer than an argument may be.
    await using dir = await tempDir('upstream');
    const file = join(dir.path, 'options.json');
    await writeFile(file, JSON.stringify(options));
    const started = new StartedProcess('fake upstream', process.execPath, [entry, file]);
    const line = await started.ready(() => started.stdout[0], 120_000);
    return new UpstreamProcess(JSON.parse(line), started);
  }

  get url(): string {
    return this.info.url;
  }

  image(index = 0): ChildImage {
    const found = this.info.images[index];
    if (found === undefined) throw new Error(`the fake upstream has no image ${index}`);
    return found;
  }

  /** What a layer of an image holds, to compare with: nothing is hashed again. */
  async content(image = 0, layer = 0): Promise<ServedContent> {
    const found = this.image(image).layers[layer];
    if (found === undefined) throw new Error(`the fake upstream has no layer ${layer} of image ${image}`);
    return await contentFromPlan(found.plan, found.digest);
  }

  stats(): Promise<ChildUpstreamStats> {
    return this.#control('__stats');
  }

  /** Opens the gate of `holdAfter`. */
  open(): Promise<ChildUpstreamStats> {
    return this.#control('__open');
  }

  /** From now on every answer is right, and as fast as it goes. */
  mend(): Promise<ChildUpstreamStats> {
    return this.#control('__mend');
  }

  /** Closes connections that nothing is asked on: whoever asks next pays for a handshake. */
  closeIdle(): Promise<ChildUpstreamStats> {
    return this.#control('__idle');
  }

  /** From now on answers are as this says; those on their way stay as they were. */
  reshape(shape: Shape): Promise<ChildUpstreamStats> {
    return this.#control(`__shape?${new URLSearchParams({ shape: JSON.stringify(shape) })}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.stop();
  }

  async #control(name: string): Promise<ChildUpstreamStats> {
    return (await (await fetch(`${this.url}/${name}`)).json()) as ChildUpstreamStats;
  }
}
