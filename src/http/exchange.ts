// What the middleware and the handlers of one request tell each other.
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { Principal } from '../access/principal.ts';
import type { Outcome } from '../mirror/outcome.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { ByteRange } from '../oci/byte-range.ts';
import type { Source } from '../upstream/upstreams.ts';
import type { PullPath } from './pull-path.ts';

export interface ExchangeVariables {
  /** Fires when the client's connection is gone. */
  clientGone: AbortSignal;
  /** Of the client, whatever trusted proxies stand between. */
  address: string;
  principal: Principal;
  /** What kept the request out, for the log. */
  refused: string | undefined;
  path: PullPath | undefined;
  source: Source | undefined;
  outcome: Outcome | undefined;
  /** When the head of a manifest or a blob was known, as `performance.now()` tells it: how long its body takes is the client's. */
  headAt: number | undefined;
  /** Body bytes of a manifest or a blob. */
  sentBytes: number | undefined;
  error: unknown;
  /** What an upstream has been waited for so far. */
  waitedMs: number | undefined;
}

export interface ExchangeEnv {
  Bindings: HttpBindings;
  Variables: ExchangeVariables;
}

export type Exchange = Context<ExchangeEnv>;

/** Of a manifest or a blob. The same for GET and HEAD, as RFC 9110 wants it. */
export interface AnswerHead {
  readonly status: 200 | 206 | 304 | 416;
  readonly headers: Record<string, string>;
  /** What a GET sends; `undefined` when the answer has no body. */
  readonly range: ByteRange | undefined;
}

/** What is here already can be given after the longest wait, too. */
const leastMs = 200;

/**
 * Work that has to end before the answer begins: its signal fires when the client is gone, and with a TimeoutError when
 * the upstream has had its time, once for all such work of a request. `AbortSignal.timeout` would keep each of thousands of hits a second in memory until then.
 */
export async function beforeAnswer<T>(
  exchange: Exchange,
  { upstream }: Source,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const clientGone = exchange.get('clientGone');
  const leave = () => controller.abort(clientGone.reason);
  clientGone.addEventListener('abort', leave, { once: true });
  const startedAt = performance.now();
  const waitedMs = exchange.get('waitedMs') ?? 0;
  const late = setTimeout(
    () => controller.abort(new DOMException('the upstream did not answer in time', 'TimeoutError')),
    Math.max(leastMs, upstream.answerTimeoutMs - waitedMs),
  );
  try {
    return await work(controller.signal);
  } finally {
    exchange.set('waitedMs', waitedMs + performance.now() - startedAt);
    clearTimeout(late);
    clientGone.removeEventListener('abort', leave);
  }
}

export function countSent(exchange: Exchange, { servedBytes }: Metrics, bytes: number): void {
  servedBytes.inc({ outcome: exchange.get('outcome') ?? 'none' }, bytes);
  exchange.set('sentBytes', (exchange.get('sentBytes') ?? 0) + bytes);
}

// https://www.rfc-editor.org/rfc/rfc9211
const cacheStatus: Record<Outcome, string> = {
  hit: 'stillwater; hit',
  miss: 'stillwater; fwd=uri-miss; stored',
  joined: 'stillwater; fwd=uri-miss; collapsed',
  revalidated: 'stillwater; hit; fwd=stale; fwd-status=200',
  stale: 'stillwater; hit; detail=stale-if-error',
};

export function outcomeHeaders(outcome: Outcome): Record<string, string> {
  const headers: Record<string, string> = { 'cache-status': cacheStatus[outcome] };
  if (outcome === 'stale') headers.warning = '110 - "Response is Stale"';
  return headers;
}

/** Clients quote the digest as the ETag we gave, or send it bare; `*` matches whatever exists. */
export function matchesEtag(ifNoneMatch: string | undefined, digest: string): boolean {
  if (ifNoneMatch === undefined) return false;
  return ifNoneMatch.split(',').some((tag) => {
    const bare = tag.trim().replace(/^W\//, '').replaceAll('"', '');
    return bare === digest || bare === '*';
  });
}
