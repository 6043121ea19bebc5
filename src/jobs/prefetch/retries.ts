// Once more after what may be over in a moment; nobody waits for an upstream that rests for longer, or twice in vain.
import { setTimeout as sleep } from 'node:timers/promises';
import { isUpstreamFault, type Upstream, UpstreamError } from '../../upstream/upstream.ts';

/** Rejects when the signal fires. */
export type Wait = (ms: number, signal: AbortSignal) => Promise<unknown>;

const tries = 3;
const firstWaitMs = 1000;
const longestWaitMs = 30_000;
const passing: ReadonlySet<string> = new Set(['unreachable', 'timeout', 'limited', 'failing', 'away']);

/** Of one prefetch. */
export class Retries {
  readonly #wait: Wait;
  /** Those that were waited for in vain: each question more is asked once. */
  readonly #given = new WeakSet<Upstream>();

  constructor(wait: Wait = pause) {
    this.#wait = wait;
  }

  /** Rejects as the last try does. */
  async run<T>(upstream: Upstream, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let round = 1; ; round++) {
      try {
        return await work();
      } catch (error) {
        const ms = signal.aborted || this.#given.has(upstream) ? undefined : waitMs(error, round);
        if (ms === undefined) throw error;
        if (round === tries || ms > longestWaitMs) {
          this.#given.add(upstream);
          throw error;
        }
        await this.#wait(ms, signal);
      }
    }
  }
}

export function pause(ms: number, signal: AbortSignal): Promise<unknown> {
  return sleep(ms, undefined, { signal });
}

/** `undefined`: it would be the same again. */
function waitMs(error: unknown, round: number): number | undefined {
  if (!isUpstreamFault(error)) return undefined;
  if (!(error instanceof UpstreamError)) return firstWaitMs;
  if (!passing.has(error.failure)) return undefined;
  return Math.max(error.retryAfterMs ?? 0, firstWaitMs * 4 ** (round - 1));
}
