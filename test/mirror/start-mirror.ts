// A mirror wired as src/app.ts wires it, over fake upstreams and a directory of its own, with its parts in reach.
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import pino from 'pino';
import type { Size } from '../../src/mirror/budget.ts';
import type { TagPolicyOptions } from '../../src/mirror/tag-policy.ts';
import type { Log } from '../../src/observe/log.ts';
import { createMetrics, type Metrics } from '../../src/observe/metrics.ts';
import { type Digest, parseDigest } from '../../src/oci/digest.ts';
import { type Cache, openCache } from '../../src/open-cache.ts';
import type { Content } from '../../src/store/content.ts';
import type { Layout } from '../../src/store/layout.ts';
import type { CredentialsSetting } from '../../src/upstream/credentials/credentials.ts';
import { openUpstream } from '../../src/upstream/open-upstream.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';
import { type Source, Upstreams } from '../../src/upstream/upstreams.ts';
import { tempDir } from '../support/temp-dir.ts';

export interface StartMirrorOptions extends Partial<TagPolicyOptions> {
  /** Address by name; the first is the default one. */
  readonly upstreams: Readonly<Record<string, { readonly url: string; readonly credentials?: CredentialsSetting }>>;
  /** A cache to start on again; its owner removes it. */
  readonly dir?: string;
  readonly maxFills?: number;
  readonly maxSize?: Size;
  readonly minFree?: number;
  /** Off, unless asked for: a test counts the fills it started. */
  readonly siblings?: boolean;
  /** As where all may pull everything, unless a test says otherwise. */
  readonly mayShare?: boolean;
  readonly parallel?: number;
  /** To each upstream; a quarter of them is kept for questions. */
  readonly connections?: number;
  readonly answerTimeoutMs?: number;
  /** Puts something in an upstream's place, such as the same one `altered`. */
  readonly wrap?: (upstream: Upstream) => Upstream;
}

export type LogLine = Readonly<Record<string, unknown>>;

export interface StartedMirror extends Cache {
  readonly upstreams: Upstreams;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly logLines: LogLine[];
  readonly dir: string;
  /** `name` as a client writes it, with or without a registry. `isPrivate`: only some may see it. */
  source(name: string, seen?: { readonly isPrivate: boolean }): Source;
  /** Ends the fills and closes everything but the directory; idempotent. */
  stop(): Promise<void>;
}

const minute = 60_000;
/** Nothing is remembered as absent, unless a test asks for it. */
const usualTimes: TagPolicyOptions = {
  ttlMs: 5 * minute,
  staleIfErrorMs: 60 * minute,
  staleWhileRevalidateMs: 0,
  negativeTtlMs: 0,
  revalidateTimeoutMs: minute,
};

export async function startMirror(options: StartMirrorOptions): Promise<StartedMirror> {
  const { wrap = (upstream) => upstream } = options;
  await using opened = new AsyncDisposableStack();
  const dir = options.dir ?? opened.use(await tempDir('mirror')).path;
  const logLines: LogLine[] = [];
  const log = pino({ base: null }, { write: (line: string) => logLines.push(JSON.parse(line) as LogLine) });
  const metrics = createMetrics();
  const parts = opened.use(new AsyncDisposableStack());

  const clients = Object.entries(options.upstreams).map(([name, { url, credentials }]) =>
    wrap(openClient(name, { url, credentials, metrics, log }, options)),
  );
  const upstreams = parts.adopt(
    new Upstreams(
      clients.map((upstream) => ({ upstream })),
      clients[0]?.name ?? '',
    ),
    (all) => all.close(),
  );
  const cache = await openCache({
    dir,
    maxSize: options.maxSize ?? { share: 1 },
    minFree: { bytes: options.minFree ?? 0 },
    maxFills: options.maxFills ?? 64,
    siblings: options.siblings ?? false,
    mayShare: () => options.mayShare ?? true,
    metrics,
    log,
    tags: { ...usualTimes, ...options },
    onStale: (_source, tag, reason) => log.warn({ tag, reason: String(reason) }, 'stale'),
  });
  parts.use(cache);

  const all = opened.move();
  return {
    ...cache,
    upstreams,
    metrics,
    log,
    logLines,
    dir,
    source: (name, seen) => {
      const { upstream, repository } = upstreams.route(name, { ns: undefined, prefix: undefined });
      return { upstream, repository: seen?.isPrivate ? { ...repository, isPrivate: true } : repository };
    },
    stop: () => parts.disposeAsync(),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function openClient(
  name: string,
  { url, ...given }: { url: string; credentials: CredentialsSetting | undefined; metrics: Metrics; log: Log },
  { answerTimeoutMs = minute, parallel = 4, connections = 32 }: StartMirrorOptions,
): Upstream {
  return openUpstream({
    name,
    endpoints: [new URL(url)],
    connections,
    parallel,
    connectTimeoutMs: 5000,
    headersTimeoutMs: answerTimeoutMs,
    idleTimeoutMs: minute,
    answerTimeoutMs,
    ...given,
  });
}

/** The same upstream, but for these members; `changes` is looked at whenever it is asked. */
export function altered(upstream: Upstream, changes: Partial<Upstream>): Upstream {
  return new Proxy(upstream, {
    get: (target, key) => {
      const value: unknown = key in changes ? Reflect.get(changes, key) : Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(key in changes ? changes : target) : value;
    },
  });
}

/** For callers that never leave. */
export const patient: AbortSignal = new AbortController().signal;

/** The digest of content that a fake upstream holds, as the sources name it. */
export function digestFor(content: { readonly digest: string }): Digest {
  const digest = parseDigest(content.digest);
  if (!digest) throw new Error(`not a digest: ${content.digest}`);
  return digest;
}

/** Everything from `start` to the end; rejects where a client's body would be cut. Closes the content. */
export async function readAll(content: Content, start = 0): Promise<Buffer> {
  const read: Buffer[] = [];
  try {
    for (let position = start; position < content.size; ) {
      const end = await content.waitFor(position, patient);
      const chunk = Buffer.alloc(Math.min(64 * 1024, end - position));
      read.push(chunk.subarray(0, await content.read(chunk, position)));
      position += read.at(-1)?.length ?? 0;
    }
    return Buffer.concat(read);
  } finally {
    await content.close();
  }
}

/** What arrives until the body ends, and whether it ended in order. */
export async function readUntilCut(content: Content, from = 0): Promise<{ received: number; failure: unknown }> {
  let received = from;
  try {
    while (received < content.size) received = await content.waitFor(received, patient);
    return { received, failure: undefined };
  } catch (failure) {
    return { received, failure };
  } finally {
    await content.close();
  }
}

export async function spoolFiles({ layout }: { readonly layout: Layout }): Promise<string[]> {
  return await readdir(layout.spools);
}

/** Waits for the fill of a digest, when one runs, to be over. */
export async function filled({ fills }: { readonly fills: Cache['fills'] }, digest: Digest): Promise<unknown> {
  return await fills.find(digest)?.ended;
}

/** Resolves when the signal fires. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}
