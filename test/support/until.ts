// Bounded polling, for the readiness of a real process only: what a test controls itself waits at a gate.

const pauseMs = 50;

/** Resolves with the first value of `probe` that is not undefined or false; its errors count as "not yet". */
export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  { timeoutMs = 30_000 } = {},
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < deadline) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      if (error instanceof GaveUp) throw error;
      last = error;
    }
    await new Promise<void>((resolve) => setTimeout(resolve, pauseMs));
  }
  throw new Error(`gave up waiting after ${timeoutMs} ms: ${what}`, { cause: last });
}

/** Thrown by a probe that knows it will never succeed, such as one whose process has exited. */
export class GaveUp extends Error {}
