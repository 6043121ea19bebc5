// A blob's body at our pace: no faster than the upstream's rate, and not for ever at a drip.
import type { Throttle } from './throttle.ts';

export interface Pace {
  readonly throttle: Throttle | undefined;
  /** The longest pause between two pieces; two of these must bring `leastBytes`. */
  readonly idleTimeoutMs: number;
  readonly signal: AbortSignal;
}

const leastBytes = 64 * 1024;

/** Throws a `TimeoutError` for a drip. Time that our own rate or our reader takes is not held against the upstream. */
export async function* pacedBody(
  body: AsyncIterable<Uint8Array>,
  { throttle, idleTimeoutMs, signal }: Pace,
): AsyncGenerator<Uint8Array> {
  let waitedMs = 0;
  let bytes = 0;
  let askedAt = performance.now();
  for await (const chunk of body) {
    waitedMs += performance.now() - askedAt;
    bytes += chunk.length;
    if (bytes >= leastBytes) {
      waitedMs = 0;
      bytes = 0;
    } else if (waitedMs > 2 * idleTimeoutMs) {
      throw new DOMException(`${bytes} bytes in ${Math.round(waitedMs / 1000)} s`, 'TimeoutError');
    }
    await throttle?.take(chunk.length, signal);
    yield chunk;
    askedAt = performance.now();
  }
}
