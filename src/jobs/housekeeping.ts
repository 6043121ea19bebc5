// What goes on behind the pulls: disk and index brought together after a start, room kept, old blobs
// forgotten, stored ones hashed again.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Budget } from '../mirror/budget.ts';
import type { Evictor } from '../mirror/evictor.ts';
import type { Fills } from '../mirror/fills.ts';
import { errorText, type Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { BlobStore } from '../store/blob-store.ts';
import type { Layout } from '../store/layout.ts';
import type { Records } from '../store/records.ts';
import type { Spools } from '../store/spools.ts';
import { abandonable } from '../upstream/abandonable.ts';
import { reconcile } from './reconcile.ts';
import { Scrub } from './scrub.ts';

export interface HousekeepingOptions {
  readonly layout: Layout;
  readonly records: Records;
  readonly store: BlobStore;
  readonly spools: Spools;
  readonly fills: Fills;
  readonly budget: Budget;
  readonly evictor: Evictor;
  readonly metrics: Metrics;
  readonly log: Log;
  /** What nobody uses for that long is forgotten; `undefined`: nothing is. Looked at each time. */
  readonly maxAgeMs: () => number | undefined;
}

/** What is stored without a reservation, and what others put on the disk, is seen this late. */
const trimMs = 30_000;
/** A reload may shorten the age: it counts this late at the latest. */
const longestPauseMs = 600_000;
const shortestPauseMs = 1000;

/** Disposing ends it and waits for that. */
export function startHousekeeping(options: HousekeepingOptions): AsyncDisposable {
  const stopping = new AbortController();
  const running = Promise.all([
    reconcileForEver(options, stopping.signal),
    new Scrub({ ...options, verifier: options.spools.verifier, signal: stopping.signal }).run(),
    trimForEver(options, stopping.signal),
    expireForEver(options, stopping.signal),
  ]);
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await running;
    },
  };
}

/** After the start, and whenever a damaged index had to be begun anew. */
async function reconcileForEver(options: HousekeepingOptions, signal: AbortSignal): Promise<void> {
  const { fills, records } = options;
  while (!signal.aborted) {
    const { renewed } = records;
    await reconcile({ ...options, isFilling: (digest) => fills.find(digest) !== undefined, signal });
    await abandonable(renewed, signal).catch(() => {});
  }
}

/** A start may find more than the cache may hold now; later a manifest or somebody else's files may take the room. */
async function trimForEver({ budget, log }: HousekeepingOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await budget
      .trim()
      .catch((error: unknown) => log.warn({ error: errorText(error) }, 'the cache could not be trimmed'));
    await pause(trimMs, signal);
  }
}

async function expireForEver({ evictor, maxAgeMs, log }: HousekeepingOptions, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const ageMs = maxAgeMs();
    if (ageMs !== undefined)
      await evictor
        .expire(ageMs)
        .catch((error: unknown) => log.warn({ error: errorText(error) }, 'old blobs could not be forgotten'));
    await pause(Math.min(longestPauseMs, Math.max(shortestPauseMs, (ageMs ?? Number.POSITIVE_INFINITY) / 10)), signal);
  }
}

/** Ends early when the signal fires. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
