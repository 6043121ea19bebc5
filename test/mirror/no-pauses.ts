// Stands in for `node:timers/promises` where a test would wait for attempt after attempt: short pauses are noted, not made.
import { setTimeout as pause } from 'node:timers/promises';

const shortMs = 5000;

/** What was asked for, in milliseconds, in order. */
export const pauses: number[] = [];

async function noted(ms: number, value?: unknown, options: { readonly signal?: AbortSignal } = {}): Promise<unknown> {
  if (ms > shortMs) return pause(ms, value, options);
  pauses.push(ms);
  options.signal?.throwIfAborted();
  return value;
}

export { noted as setTimeout };
