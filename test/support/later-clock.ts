// Lets time pass for what reads the monotonic clock, until the end of a test's block.
import { vi } from 'vitest';

export type LaterClock = Disposable & { pass(seconds: number): void };

export function laterClock(): LaterClock {
  const now = performance.now.bind(performance);
  let ahead = 0;
  const spy = vi.spyOn(performance, 'now').mockImplementation(() => now() + ahead);
  return {
    pass: (seconds) => {
      ahead += seconds * 1000;
    },
    [Symbol.dispose]: () => spy.mockRestore(),
  };
}
