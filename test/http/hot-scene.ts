// A registry whose answers are given again ahead of its app, and one without that, warmed alike over one upstream.
import { ServerResponse } from 'node:http';
import { afterEach, beforeEach, vi } from 'vitest';
import type { Digest } from '../../src/oci/digest.ts';
import type { LogLine } from '../mirror/start-mirror.ts';
import { filled } from '../mirror/start-mirror.ts';
import { type AddedImage, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import { contentOf, type ServedContent } from '../support/served-content.ts';
import { until } from '../support/until.ts';
import {
  type Answer,
  type Asking,
  meaningOf,
  type StartedRegistry,
  type StartRegistryOptions,
  startRegistry,
} from './start-registry.ts';

export const name = 'library/app';

export interface HotScene extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly image: AddedImage;
  readonly small: ServedContent;
  /** More than is kept in memory. */
  readonly large: ServedContent;
  readonly hot: StartedRegistry;
  readonly ordinary: StartedRegistry;
}

export async function hotScene(options: Partial<StartRegistryOptions> = {}): Promise<HotScene> {
  await using opened = new AsyncDisposableStack();
  const upstream = opened.use(await startFakeUpstream());
  const small = contentOf('a small layer');
  const large = await upstream.addGeneratedBlob(name, { size: 300_000, seed: 1 });
  const image = upstream.addImage(name, { layers: [small, large] });
  const start = async (isOrdinary: boolean) => {
    const registry = opened.use(await startRegistry({ upstreams: { 'docker.io': upstream }, isOrdinary, ...options }));
    await warm(registry, image);
    return registry;
  };
  const [hot, ordinary] = [await start(false), await start(true)];
  const all = opened.move();
  return { upstream, image, small, large, hot, ordinary, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

export interface Opened {
  /** Closed after the running test, as all that is spied on then is let go. */
  readonly stack: AsyncDisposableStack;
  open(...options: Parameters<typeof hotScene>): Promise<HotScene>;
}

/** For all tests of a file. */
export function openedByTest(): Opened {
  let stack = new AsyncDisposableStack();
  beforeEach(() => {
    stack = new AsyncDisposableStack();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await stack.disposeAsync();
  });
  return {
    get stack() {
      return stack;
    },
    open: async (...options) => stack.use(await hotScene(...options)),
  };
}

/** Until all of the image rests there and was asked for once more. */
export async function warm(registry: StartedRegistry, { digest, config, layers }: AddedImage): Promise<void> {
  const blobs = [config, ...layers].map((blob) => blob.digest);
  const doors = [...['latest', digest].map(manifest), ...blobs.map(blob)];
  for (const door of doors) await registry.ask(door);
  for (const blob of blobs) await filled(registry.mirror, blob as Digest);
  for (const door of doors) await registry.ask(door);
}

export const manifest = (reference: string) => `/v2/${name}/manifests/${reference}`;
export const blob = (digest: string) => `/v2/${name}/blobs/${digest}`;

/** Whether it was answered ahead of the app, and what with. */
export async function asked({ hot }: Pick<HotScene, 'hot'>, path: string, asking?: Asking): Promise<[boolean, Answer]> {
  const before = hot.answeredBefore;
  const answer = await hot.ask(path, asking);
  return [hot.answeredBefore > before, answer];
}

export async function isHot(at: Pick<HotScene, 'hot'>, path: string, asking?: Asking): Promise<boolean> {
  return (await asked(at, path, asking))[0];
}

/** An image is whole once its blobs have come, and those are stored a moment after their clients have them. */
export async function heat(at: Pick<HotScene, 'hot'>, doors: readonly string[], asking?: Asking): Promise<void> {
  for (const door of doors) await at.hot.ask(door, asking);
  for (const door of doors) await until(`${door} is hot`, () => isHot(at, door, asking));
}

/** All that a client, the log and the figures hear of one request. */
export async function allOf(registry: StartedRegistry, path: string, asking: Asking) {
  const { logLines } = registry.mirror;
  const before = logLines.length;
  const figuresBefore = await figuresOf(registry);
  using _slow = slowEnds();
  const answer = await registry.ask(path, asking);
  const line = await until('its line', () => logLines[before]);
  const figures = (await figuresOf(registry)).filter((figure) => !figuresBefore.includes(figure));
  return { ...told(answer), line: settled(line), figures };
}

function told(answer: Answer) {
  const { connection, 'keep-alive': keepAlive } = answer.headers;
  return { status: answer.status, headers: { ...meaningOf(answer), connection, keepAlive }, body: answer.body };
}

const slowMs = 60_000;

/** By the clock, a client is slow to take the end of each answer. */
function slowEnds(): Disposable {
  const { end } = ServerResponse.prototype;
  const now = performance.now.bind(performance);
  let lateMs = 0;
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + lateMs);
  const ending = vi.spyOn(ServerResponse.prototype, 'end').mockImplementation(function (
    this: ServerResponse,
    ...parts: unknown[]
  ) {
    lateMs += slowMs;
    return Reflect.apply(end, this, parts);
  });
  return {
    [Symbol.dispose]: () => {
      clock.mockRestore();
      ending.mockRestore();
    },
  };
}

/** Without what the clock has put in: how slow the client was is not how long the head took. */
function settled({ time: _, headMs, totalMs, ...line }: LogLine) {
  return { ...line, isHeadSlow: Number(headMs) >= slowMs, isSlow: Number(totalMs) >= slowMs };
}

async function figuresOf({ mirror: { metrics } }: StartedRegistry): Promise<string[]> {
  const lines = (await metrics.registry.metrics()).split('\n');
  return lines.filter((line) => /^stillwater_(requests|served|request_seconds_count)/.test(line));
}
