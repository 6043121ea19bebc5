// An upstream that answers each request as a script says, and a client of it: for the tests of single transfers.
import type { Digest } from '../../src/oci/digest.ts';
import type { Upstream } from '../../src/upstream/upstream.ts';
import type { Source } from '../../src/upstream/upstreams.ts';
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts';
import type { FaultEffect } from '../support/faults.ts';
import type { Exchange } from '../support/recorded-server.ts';
import type { ServedContent } from '../support/served-content.ts';
import { openClient } from '../upstream/upstream-scene.ts';
import { digestFor } from './start-mirror.ts';

export const path = 'library/app';

/** What is wrong with one answer; a function sees the exchange before it is answered. */
export type Line = FaultEffect | ((exchange: Exchange) => void);

/** What an upstream is besides its answers. */
const healthy: Omit<Upstream, keyof ReturnType<typeof openClient>['client']> = {
  name: 'registry.test',
  label: 'registry.test',
  answerTimeoutMs: 5000,
  parallel: 4,
  transfers: 24,
  mayAsk: () => true,
  lastAnswerAt: 0,
  thrift: 1,
  distrust: () => {},
  status: () => ({ name: 'registry.test', endpoints: [] }),
  close: async () => {},
};

export interface ScriptedUpstream extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly source: Source;
  readonly blob: ServedContent;
  readonly digest: Digest;
  readonly bytes: Buffer;
  /** One a request; every later answer is as it should be, or as `last` says. */
  readonly script: Line[];
  last: FaultEffect;
  /** Ports from which the requests came, one each. */
  readonly ports: number[];
  /** Range headers of all requests. */
  ranges(): (string | undefined)[];
}

export interface ScriptedOptions {
  readonly size: number;
  readonly script?: readonly Line[];
  readonly idleTimeoutMs?: number;
}

export async function scriptedUpstream({ size, idleTimeoutMs = 30_000, ...options }: ScriptedOptions) {
  const script = [...(options.script ?? [])];
  const ports: number[] = [];
  const upstream = await startFakeUpstream({
    intercept: async (exchange) => {
      const { effect, request, response } = exchange;
      ports.push(request.socket.remotePort ?? 0);
      const line = script.shift() ?? at.last;
      if (typeof line === 'function') line(exchange);
      else Object.assign(effect, line);
      await effect.holdHeaders?.pass();
      if (effect.hangUp) response.destroy();
      return response.destroyed;
    },
  });
  const blob = await upstream.addGeneratedBlob(path, { size, seed: 1 });
  const client = openClient({ endpoint: upstream.url, transport: { idleTimeoutMs } });
  const at: ScriptedUpstream = {
    upstream,
    source: { upstream: { ...healthy, ...client.client }, repository: { registry: 'registry.test', path } },
    blob,
    digest: digestFor(blob),
    bytes: Buffer.concat([...blob.read(0, size)]),
    script,
    last: {},
    ports,
    ranges: () => upstream.requests.map(({ headers }) => headers.range),
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
  return at;
}

/** Makes the answer to a request for a part another part's. */
export function answerRange(range: string): Line {
  return ({ request }) => {
    request.headers.range = range;
  };
}
