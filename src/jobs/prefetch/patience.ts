// What makes a prefetch wait that nobody waits for: clients without a place, and upstreams that have little left to give.
import type { Digest } from '../../oci/digest.ts';
import type { LimitStatus, Upstream } from '../../upstream/upstream.ts';
import { pause, type Wait } from './retries.ts';

export interface FillsInFlight {
  status(): readonly { readonly digest: Digest; readonly readers: number }[];
  find(digest: Digest): { readonly hasSlot: boolean } | undefined;
}

const lookMs = 250;
/** Of a registry's pull limit: the last quarter is for those who ask. */
const spared = 4;

/** Until every fill that somebody waits for has its place. */
export async function clientsServed(fills: FillsInFlight, signal: AbortSignal, wait: Wait = pause): Promise<void> {
  const isLate = (digest: Digest) => fills.find(digest)?.hasSlot === false;
  while (fills.status().some(({ digest, readers }) => readers > 0 && isLate(digest))) await wait(lookMs, signal);
}

/** Why an upstream is not to be troubled now; `undefined` when it may be. */
export function objectionTo(upstream: Upstream): string | undefined {
  const { endpoints } = upstream.status();
  if (!upstream.mayAsk('manifest')) {
    const why = endpoints.map(({ problem }) => problem).find(Boolean);
    return `upstream ${upstream.name} may not be asked now${why === undefined ? '' : `: ${why}`}`;
  }
  // The registry itself is the last: endpoints before it have limits of their own, and what they lack it is asked for.
  const limits = endpoints.findLast((endpoint) => endpoint.limits.length > 0)?.limits ?? [];
  const usable = limits.filter(({ problem }) => problem === undefined);
  if (usable.length === 0 || !usable.every(isLow)) return undefined;
  const [left, given] = [sumOf(usable, 'remaining'), sumOf(usable, 'limit')];
  return `upstream ${upstream.name} has ${left} of ${given} pulls left: the last quarter is for clients`;
}

function isLow({ limit, remaining }: LimitStatus): boolean {
  return limit !== undefined && remaining !== undefined && remaining < limit / spared;
}

function sumOf(limits: readonly LimitStatus[], what: 'limit' | 'remaining'): number {
  return limits.reduce((sum, limit) => sum + (limit[what] ?? 0), 0);
}
