// An upstream over several fake registries that hold the same image, put together as the app does it.
import pino from 'pino';
import { createMetrics, type Metrics } from '../../src/observe/metrics.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { openUpstream, type UpstreamOptions } from '../../src/upstream/open-upstream.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';
import {
  type AddedImage,
  type FakeUpstream,
  type FakeUpstreamOptions,
  startFakeUpstream,
} from '../support/fake-upstream.ts';

export const path = 'library/app';
export const latest = { tag: 'latest' };

export interface EndpointsScene extends AsyncDisposable {
  readonly upstream: Upstream;
  readonly metrics: Metrics;
  /** In their order; the last is the registry itself. */
  readonly servers: readonly FakeUpstream[];
  readonly registry: FakeUpstream;
  readonly image: AddedImage;
  readonly blob: Digest;
  /** How many requests each server saw since the last time. */
  asked(): number[];
}

export interface EndpointsSceneOptions extends Partial<UpstreamOptions> {
  readonly count?: number;
  readonly servers?: FakeUpstreamOptions;
}

export async function openEndpoints({ count = 2, servers: how, ...options }: EndpointsSceneOptions = {}) {
  await using opened = new AsyncDisposableStack();
  const servers = await Promise.all(Array.from({ length: count }, () => startFakeUpstream(how)));
  for (const server of servers) opened.use(server);
  const images = servers.map((server) => server.addImage(path, { layers: ['0123456789'] }));
  const metrics = createMetrics();
  const upstream = opened.adopt(
    openUpstream({
      name: 'registry.test',
      endpoints: servers.map(({ url }) => new URL(url)),
      connections: 8,
      parallel: 4,
      connectTimeoutMs: 1000,
      headersTimeoutMs: 30_000,
      idleTimeoutMs: 200,
      answerTimeoutMs: 2000,
      metrics,
      log: pino({ level: 'silent' }),
      ...options,
    }),
    (one) => one.close(),
  );
  const all = opened.move();
  const known = servers.map(() => 0);
  const scene: EndpointsScene = {
    upstream,
    metrics,
    servers,
    registry: servers.at(-1) as FakeUpstream,
    image: images[0] as AddedImage,
    blob: images[0]?.layers[0]?.digest as Digest,
    asked: () =>
      servers.map(({ requests }, index) => {
        const fresh = requests.length - (known[index] ?? 0);
        known[index] = requests.length;
        return fresh;
      }),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
  return scene;
}
