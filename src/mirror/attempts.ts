// Whether a transfer that broke is worth another attempt, and after how long: by what the attempts before it brought.
import { UpstreamError } from '../upstream/upstream.ts';

/** Attempts in a row without a new byte; with the pauses between them, some seconds. */
const maxFruitless = 5;
/** Attempts in a row that brought less than is worth the asking. */
const maxMeagre = 50;
const backoffMs = 200;
/**
 * An upstream that says when to come back is given that time, unless it is longer than this, or this long was
 * waited already without a new byte.
 */
const longestWaitMs = 30_000;
/** Less than this is progress, but no reason to ask again at once, nor for ever. */
const worthwhileBytes = 64 * 1024;

export class Attempts {
  #fruitless = 0;
  #meagre = 0;
  #waitedMs = 0;

  /** How long to wait before the next one; `undefined` when there is to be none. `gained`: new bytes of the last one. */
  pauseMs(gained: number, error: unknown): number | undefined {
    if (!canResume(error)) return undefined;
    if (gained > 0) [this.#fruitless, this.#waitedMs] = [0, 0];
    if (gained >= worthwhileBytes) this.#meagre = 0;
    const askedMs = error.failure === 'away' || error.failure === 'limited' ? error.retryAfterMs : undefined;
    if (askedMs !== undefined) return this.#wait(Math.max(askedMs, backoffMs));
    if (gained >= worthwhileBytes) return 0;
    // A silence was waited for already.
    if (gained === 0) this.#fruitless += error.failure === 'timeout' ? 2 : 1;
    this.#meagre++;
    if (this.#fruitless >= maxFruitless || this.#meagre >= maxMeagre) return undefined;
    // Less up to a half by chance: many fills that broke together do not come back together.
    return backoffMs * 2 ** Math.max(0, this.#fruitless - 1) * (0.5 + Math.random() / 2);
  }

  /**
   * Nobody was asked: that is no attempt. The last wait is not cut short, or the upstream would still not be asked after
   * it: a circuit rests 5, 10 and 20 s. Up to a quarter later by chance.
   */
  #wait(ms: number): number | undefined {
    if (ms > longestWaitMs || this.#waitedMs >= longestWaitMs) return undefined;
    this.#waitedMs += ms;
    return ms * (1 + Math.random() / 4);
  }
}

function canResume(error: unknown): error is UpstreamError {
  return (
    error instanceof UpstreamError && ['unreachable', 'timeout', 'failing', 'limited', 'away'].includes(error.failure)
  );
}
