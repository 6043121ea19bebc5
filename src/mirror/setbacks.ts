// Which cached tags could not be confirmed a moment ago: their old answer goes out, and their upstream hears nothing.
import { LRUCache } from 'lru-cache';
import { UpstreamError } from '../upstream/upstream.ts';

interface Setback {
  readonly reason: unknown;
  /** Doubles while it goes on failing. */
  readonly restMs: number;
  readonly until: number;
}

/** An upstream that is well again is seen within 10 s; after many failures of a tag within its ttl, or 5 minutes. */
const firstRestMs = 10_000;
const longestRestMs = 5 * 60_000;
/** They hold errors. */
const mostRemembered = 2000;

export class Setbacks {
  readonly #known = new LRUCache<string, Setback>({ max: mostRemembered });

  /** Why it failed, while it is too early to ask again. */
  reason(key: string): unknown {
    const setback = this.#known.get(key);
    return setback && setback.until > performance.now() ? setback.reason : undefined;
  }

  add(key: string, reason: unknown, ttlMs: number): void {
    // Nobody was asked: that costs nothing, and whether to ask is known better elsewhere.
    if (reason instanceof UpstreamError && (reason.failure === 'away' || reason.failure === 'offline')) return;
    const before = this.#known.get(key)?.restMs ?? 0;
    const restMs = Math.min(Math.max(firstRestMs, before * 2), longestRestMs, ttlMs);
    this.#known.set(key, { reason, restMs, until: performance.now() + restMs });
  }

  delete(key: string): void {
    this.#known.delete(key);
  }
}
