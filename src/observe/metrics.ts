// Every metric the mirror exposes, under the fixed names of its contract; labels are bounded by configuration.
import { Counter, collectDefaultMetrics, Gauge, Histogram, type Registry } from 'prom-client';
import { FiguresRegistry, type UpstreamFigures, upstreamGauges } from './upstream-figures.ts';

export interface CacheFigures {
  readonly bytes: number;
  readonly blobs: number;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics({ version = 'unknown' }: { readonly version?: string } = {}) {
  const registry = new FiguresRegistry();
  collectDefaultMetrics({ register: registry });
  // They are the sums of others, under the names of counters, which they are not.
  for (const what of ['handles', 'requests', 'resources']) registry.removeSingleMetric(`nodejs_active_${what}_total`);
  const registers = [registry];
  new Gauge({
    name: 'stillwater_build_info',
    help: 'Always 1; the labels tell which program runs.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version, node: process.version }, 1);
  let freeBytes: (() => Promise<number>) | undefined;
  new Gauge({
    name: 'stillwater_disk_free_bytes',
    help: 'What is left to the mirror on the file system of the cache.',
    registers,
    async collect() {
      const bytes = await freeBytes?.().catch(() => undefined);
      if (bytes === undefined) this.remove();
      else this.set(bytes);
    },
  });
  return {
    registry,
    ...upstreamGauges(registry),
    ...reloadMetrics(registers),
    requests: new Counter({
      name: 'stillwater_requests_total',
      help: 'Requests on the registry listener.',
      labelNames: ['kind', 'outcome', 'upstream', 'status'],
      registers,
    }),
    requestSeconds: new Histogram({
      name: 'stillwater_request_seconds',
      help: 'Time from a request to the first byte of its answer.',
      labelNames: ['kind', 'outcome'],
      buckets: [0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25],
      registers,
    }),
    servedBytes: new Counter({
      name: 'stillwater_served_bytes_total',
      help: 'Body bytes of manifests and blobs sent to clients.',
      labelNames: ['outcome'],
      registers,
    }),
    upstreamRequests: new Counter({
      name: 'stillwater_upstream_requests_total',
      help: 'Requests sent to upstreams; status is "error" when no answer came, "other" for an odd number.',
      labelNames: ['upstream', 'kind', 'status'],
      registers,
    }),
    upstreamBytes: new Counter({
      name: 'stillwater_upstream_bytes_total',
      help: 'Body bytes received from upstreams.',
      labelNames: ['upstream'],
      registers,
    }),
    fillsInFlight: new Gauge({
      name: 'stillwater_fills_in_flight',
      help: 'Transfers that fill the cache right now.',
      registers,
    }),
    fillFailures: new Counter({
      name: 'stillwater_fill_failures_total',
      help: 'Fills that ended without a committed blob.',
      labelNames: ['reason'],
      registers,
    }),
    fillResumes: new Counter({
      name: 'stillwater_fill_resumes_total',
      help: 'Broken transfers that went on at their first missing byte.',
      registers,
    }),
    resumedBytes: new Counter({
      name: 'stillwater_fill_resumed_bytes_total',
      help: 'Bytes of earlier, broken fills that were hashed again and not fetched again.',
      registers,
    }),
    evictions: fromZero(
      new Counter({
        name: 'stillwater_evictions_total',
        help: 'Blobs and manifests removed to stay inside the budget ("size") or because nobody used them ("age").',
        labelNames: ['reason'],
        registers,
      }),
      { reason: ['size', 'age'] },
    ),
    scrubbedBlobs: fromZero(
      new Counter({
        name: 'stillwater_scrubbed_blobs_total',
        help: 'Stored blobs that were hashed again; "damaged" ones were removed.',
        labelNames: ['result'],
        registers,
      }),
      { result: ['ok', 'damaged'] },
    ),
    prefetchImages: fromZero(
      new Counter({
        name: 'stillwater_prefetch_images_total',
        help: 'Images that were pulled before anyone asked; "skipped" ones wait for the next time of their schedule.',
        labelNames: ['result'],
        registers,
      }),
      { result: ['done', 'failed', 'skipped'] },
    ),
    cacheWritable: new Gauge({
      name: 'stillwater_cache_writable',
      help: '1, or 0 while the disk takes no bytes and pulls are streamed past it.',
      registers,
    }),
    budgetBytes: new Gauge({
      name: 'stillwater_cache_budget_bytes',
      help: 'What the cache may take of the disk right now.',
      registers,
    }),
    staleServed: new Counter({
      name: 'stillwater_stale_served_total',
      help: 'Tags answered from the cache because the upstream could not be asked.',
      labelNames: ['upstream'],
      registers,
    }),
    /** What there is of those that the configuration names; from then on it is all that is shown. */
    watchUpstreams(figures: () => readonly UpstreamFigures[]): void {
      registry.watch(figures);
    },
    /** Bytes, measured when somebody scrapes; while they cannot be, they are not shown. */
    watchDisk(free: () => Promise<number>): void {
      freeBytes = free;
    },
    /** Registers the two gauges that are read from the index when somebody scrapes. */
    watchCache(figures: () => CacheFigures): void {
      new Gauge({
        name: 'stillwater_cache_bytes',
        help: 'Bytes of committed blobs and manifests.',
        registers,
        collect() {
          this.set(figures().bytes);
        },
      });
      new Gauge({
        name: 'stillwater_cache_blobs',
        help: 'Committed blobs and manifests.',
        registers,
        collect() {
          this.set(figures().blobs);
        },
      });
    },
  };
}

/** The start counts as the first one that went well. */
function reloadMetrics(registers: readonly Registry[]) {
  const reloads = fromZero(
    new Counter({
      name: 'stillwater_config_reloads_total',
      help: 'Times that the configuration was read again; of those that "failed" nothing came into effect.',
      labelNames: ['result'],
      registers: [...registers],
    }),
    { result: ['ok', 'failed'] },
  );
  const isGood = new Gauge({
    name: 'stillwater_config_last_reload_successful',
    help: '1, or 0 while the configuration as it is now could not be brought into effect.',
    registers: [...registers],
  });
  const goodAt = new Gauge({
    name: 'stillwater_config_last_reload_success_timestamp_seconds',
    help: 'When the configuration that is in effect was read.',
    registers: [...registers],
  });
  isGood.set(1);
  goodAt.setToCurrentTime();
  return {
    reloaded(isOk: boolean): void {
      reloads.inc({ result: isOk ? 'ok' : 'failed' });
      isGood.set(isOk ? 1 : 0);
      if (isOk) goodAt.setToCurrentTime();
    },
  };
}

/** A series that begins with its first event is one whose first event no query for an increase can see. */
function fromZero<L extends string>(counter: Counter<L>, values: Readonly<Record<L, readonly string[]>>): Counter<L> {
  for (const [label, all] of Object.entries(values) as [L, readonly string[]][])
    for (const value of all) counter.inc({ [label]: value } as Record<L, string>, 0);
  return counter;
}
