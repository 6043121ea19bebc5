// The mirror is killed at random moments under load, started again, and read back whole: what came out of it.
import { BlobClient, type PullResult } from './blob-client.ts';
import { type MirrorProcess, startMirror } from './mirror-process.ts';
import { pullManifest } from './pulled-image.ts';
import type { ServedContent } from './served-content.ts';
import { lyingFiles } from './stored-files.ts';
import { type Shape, UpstreamProcess } from './upstream-process.ts';
import { seededRandom, zipf } from './zipf.ts';

export type StormOptions = { readonly rounds: number; readonly seed: number; onRound?(figures: StormFigures): void };

export type StormFigures = {
  rounds: number;
  /** Rounds in which the kill met at least one blob that had only begun to arrive. */
  interruptedRounds: number;
  resumedRounds: number;
  resumedBytes: number;
  evictions: number;
  pulls: number;
  /** Each is a broken promise: a wrong byte, a 200 that ended in order but short, an error without a kill, a bad file. */
  readonly wrong: string[];
};

type Layer = { readonly image: number; readonly url: string; readonly content: ServedContent };

const mebibyte = 1024 * 1024;
const clients = 8;
const imageCount = 12;
/** Together more than twice the budget, so that every round evicts. */
const layerSizes = [9 * mebibyte, 18 * mebibyte + 7];
const budget = '144MiB';
const underLoad: Shape = { bytesPerSecond: 30e6, delayMs: 5 };
const enoughWrong = 20;
/** Long enough for fills of every age, short enough for many rounds. */
const longestLoadMs = 2500;

export async function runKillStorm({ rounds, seed, onRound }: StormOptions): Promise<StormFigures> {
  const random = seededRandom(seed);
  const images = Array.from({ length: imageCount }, (_, image) => ({
    repository: `library/storm-${image}`,
    layers: layerSizes.map((size, layer) => ({ size, seed: 1000 + image * layerSizes.length + layer })),
  }));
  await using upstream = await UpstreamProcess.start({ images, ...underLoad });
  await using mirror = await startMirror({
    upstreams: { 'docker.io': upstream.url },
    config: { cache: { maxSize: budget, minFree: '1MiB' } },
  });
  const layers = await allLayers(mirror, upstream);
  const figures: StormFigures = {
    ...{ rounds: 0, interruptedRounds: 0, resumedRounds: 0, resumedBytes: 0, evictions: 0, pulls: 0 },
    wrong: [],
  };
  while (figures.rounds < rounds && figures.wrong.length < enoughWrong) {
    await upstream.reshape(underLoad);
    const load = new Load(mirror, layers, random, figures);
    await load.lasted(random() * longestLoadMs);
    figures.evictions += (await mirror.metric('stillwater_evictions_total')) ?? 0;
    const interrupted = await load.kill();
    if (interrupted.size > 0) figures.interruptedRounds++;
    for (const file of await lyingFiles(mirror.cacheDir)) figures.wrong.push(`on disk after the kill: ${file}`);
    await upstream.reshape({});
    // A start that needs a hand fails here, with the mirror's last words.
    await mirror.restart();
    // What was arriving is wanted first, as clients that were cut off would.
    await readBack(mirror, upstream, [...interrupted, ...layers.filter((layer) => !interrupted.has(layer))], figures);
    const resumed = (await mirror.metric('stillwater_fill_resumed_bytes_total')) ?? 0;
    figures.resumedBytes += resumed;
    if (resumed > 0) figures.resumedRounds++;
    figures.rounds++;
    onRound?.(figures);
  }
  return figures;
}

async function allLayers(mirror: MirrorProcess, upstream: UpstreamProcess): Promise<Layer[]> {
  const layers: Layer[] = [];
  for (const image of upstream.info.images.keys())
    for (const [layer, url] of (await pullManifest(mirror, upstream.image(image))).entries())
      layers.push({ image, url, content: await upstream.content(image, layer) });
  return layers;
}

async function readBack(
  mirror: MirrorProcess,
  upstream: UpstreamProcess,
  layers: readonly Layer[],
  figures: StormFigures,
): Promise<void> {
  for (const [index, { image, url, content }] of layers.entries()) {
    await pullManifest(mirror, upstream.image(image));
    figures.pulls++;
    const result = await new BlobClient(url, { content }).done.catch(String);
    const fault = typeof result === 'string' ? result : faultOf(result, { content, start: undefined });
    if (fault) figures.wrong.push(`read back ${index}: ${fault}`);
  }
}

type Expected = { readonly content: ServedContent; readonly start: number | undefined };

function faultOf(result: PullResult, { content, start }: Expected): string | undefined {
  const { status, received, isTrue, isComplete, contentLength } = result;
  const isWhole = isComplete && received === content.size - (start ?? 0) && contentLength === received;
  if (status === (start === undefined ? 200 : 206) && isTrue && isWhole) return undefined;
  return JSON.stringify({ status, received, isTrue, isComplete, contentLength, size: content.size, start });
}

/** Pulls, ranges and hang-ups, without an end but the kill. */
class Load {
  readonly #mirror: MirrorProcess;
  readonly #layers: readonly Layer[];
  readonly #random: () => number;
  readonly #figures: StormFigures;
  readonly #running = new Map<BlobClient, Layer>();
  readonly #clients: Promise<void>[];
  #isKilled = false;

  constructor(mirror: MirrorProcess, layers: readonly Layer[], random: () => number, figures: StormFigures) {
    this.#mirror = mirror;
    this.#layers = layers;
    this.#random = random;
    this.#figures = figures;
    const draw = zipf(layers.length, 0.6, random);
    this.#clients = Array.from({ length: clients }, () => this.#client(draw));
  }

  /** The random moment; earlier when there is nothing left to prove. */
  async lasted(ms: number): Promise<void> {
    const endAt = performance.now() + ms;
    while (performance.now() < endAt && this.#figures.wrong.length < enoughWrong)
      await new Promise<void>((resolve) => setTimeout(resolve, 1));
  }

  /** Returns the layers that clients were reading. */
  async kill(): Promise<Set<Layer>> {
    this.#isKilled = true;
    const interrupted = new Set(
      [...this.#running].filter(([{ received }, { content }]) => received < content.size).map(([, layer]) => layer),
    );
    await this.#mirror.kill();
    await Promise.all(this.#clients);
    return interrupted;
  }

  async #client(draw: () => number): Promise<void> {
    while (!this.#isKilled) {
      const layer = this.#layers[draw()];
      if (layer !== undefined) await this.#pull(layer);
    }
  }

  async #pull(layer: Layer): Promise<void> {
    const { content, url } = layer;
    const start = this.#random() < 0.2 ? Math.floor(this.#random() * content.size) : undefined;
    const hangUpAfter = this.#random() < 0.1 ? 1 + Math.floor(this.#random() * content.size) : undefined;
    const options = {
      content,
      ...(start !== undefined && { start }),
      ...(hangUpAfter !== undefined && { hangUpAfter }),
    };
    const client = new BlobClient(url, options);
    this.#running.set(client, layer);
    const result = await client.done.catch(() => undefined);
    this.#running.delete(client);
    this.#figures.pulls++;
    if (result) this.#judge(result, { content, start }, hangUpAfter !== undefined);
    else if (!this.#isKilled) this.#figures.wrong.push(`no answer from a mirror that runs: ${url}`);
  }

  #judge(result: PullResult, expected: Expected, mayBeCut: boolean): void {
    const fault = faultOf(result, expected);
    if (fault === undefined) return;
    const isContent = result.status === 200 || result.status === 206;
    const isCut = isContent && result.isTrue && !result.isComplete;
    if (isCut && (mayBeCut || this.#isKilled)) return;
    this.#figures.wrong.push(fault);
  }
}
