// The status of the whole mirror, put together at most once a second however many ask.
import type { Metrics } from '../observe/metrics.ts';
import type { Disk } from '../store/disk.ts';
import { abandonable } from '../upstream/abandonable.ts';
import type { Upstreams } from '../upstream/upstreams.ts';
import { findProblems, type ReadinessCheck } from './probes.ts';
import type { Status } from './status-schema.ts';

export interface StatusOptions {
  readonly version: string;
  /** Milliseconds of the epoch. */
  readonly startedAt: number;
  readonly isOffline: () => boolean;
  readonly metrics: Metrics;
  readonly checks: readonly ReadinessCheck[];
  readonly cacheDir: string;
  readonly disk: Pick<Disk, 'problem' | 'space'>;
  readonly records: { readonly totals: { readonly bytes: number; readonly blobs: number } };
  readonly fills: { status(): readonly unknown[] };
  readonly upstreams: () => Pick<Upstreams, 'status'>;
  readonly prefetcher: { status(): Status['prefetches'] };
  /** The next run of each entry. */
  readonly schedule: () => readonly { readonly images: readonly string[]; readonly at: number | Date }[];
  readonly lastReload: () =>
    | { readonly at: number; readonly error: string | undefined; readonly needsRestart: readonly string[] }
    | undefined;
  readonly now?: (() => number) | undefined;
}

const freshMs = 1000;
/** For a disk or a check that does not answer. */
const patienceMs = 1000;

export class StatusReport {
  readonly #options: StatusOptions;
  readonly #now: () => number;
  #report: Promise<Status> | undefined;
  #reportedAt = 0;

  constructor(options: StatusOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get(): Promise<Status> {
    const now = this.#now();
    const age = now - this.#reportedAt;
    // A clock that was set back makes nothing fresh.
    if (!this.#report || age < 0 || age >= freshMs) {
      this.#reportedAt = now;
      this.#report = this.#compute(now);
    }
    return this.#report;
  }

  async #compute(now: number): Promise<Status> {
    const { version, startedAt, isOffline, metrics, checks, cacheDir, disk, records, lastReload } = this.#options;
    const patience = AbortSignal.timeout(patienceMs);
    const [counts, servedBytes, upstreamBytes, budgetBytes, space, problems] = await Promise.all([
      requestCounts(metrics),
      sum(metrics.servedBytes),
      sum(metrics.upstreamBytes),
      sum(metrics.budgetBytes),
      abandonable(disk.space(), patience).catch(() => undefined),
      findProblems(checks, patience),
    ]);
    const { hit, miss, joined, revalidated, stale } = counts;
    const answered = hit + miss + joined + revalidated + stale;
    const last = lastReload();
    const { bytes, blobs } = records.totals;
    return {
      ...{ version, startedAt, uptimeSeconds: Math.max(0, Math.floor((now - startedAt) / 1000)) },
      isOffline: isOffline(),
      requests: counts,
      hitRatio: answered === 0 ? null : (hit + revalidated + stale) / answered,
      ...{ servedBytes, upstreamBytes, savedBytes: Math.max(0, servedBytes - upstreamBytes) },
      fillsInFlight: this.#options.fills.status().length,
      cache: {
        ...{ dir: cacheDir, bytes, blobs, budgetBytes },
        freeBytes: space?.free ?? null,
        isWritable: disk.problem === undefined,
        problem: disk.problem ?? null,
      },
      upstreams: this.#options.upstreams().status(),
      prefetches: this.#options.prefetcher.status(),
      schedule: this.#options.schedule().map(({ images, at }) => ({ images, at: Number(at) })),
      lastReload: last ? { ...last, error: last.error ?? null } : null,
      readiness: problems.map(({ name, problem }) => ({ name, problem: problem ?? null })),
    };
  }
}

const outcomes = ['hit', 'miss', 'joined', 'revalidated', 'stale'] as const;

async function requestCounts({ requests }: Metrics): Promise<Status['requests']> {
  const counts = { hit: 0, miss: 0, joined: 0, revalidated: 0, stale: 0, failed: 0 };
  for (const { labels, value } of (await requests.get()).values) {
    if (labels.kind !== 'manifest' && labels.kind !== 'blob') continue;
    const outcome = outcomes.find((name) => name === labels.outcome);
    if (Number(labels.status) >= 500) counts.failed += value;
    else if (Number(labels.status) < 400 && outcome) counts[outcome] += value;
  }
  return counts;
}

async function sum(metric: { get(): Promise<{ values: { value: number }[] }> }): Promise<number> {
  return (await metric.get()).values.reduce((total, { value }) => total + value, 0);
}
