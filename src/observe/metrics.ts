// Every metric the mirror exposes, under the fixed names of its contract; labels are bounded by configuration.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export interface CacheFigures {
  readonly bytes: number;
  readonly blobs: number;
}

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
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
      help: 'Requests sent to upstreams; status is "error" when none came back.',
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
    evictions: new Counter({
      name: 'stillwater_evictions_total',
      help: 'Blobs and manifests removed to stay inside the budget ("size") or because nobody used them ("age").',
      labelNames: ['reason'],
      registers,
    }),
    scrubbedBlobs: new Counter({
      name: 'stillwater_scrubbed_blobs_total',
      help: 'Stored blobs that were hashed again; "damaged" ones were removed.',
      labelNames: ['result'],
      registers,
    }),
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
    rateLimit: new Gauge({
      name: 'stillwater_upstream_ratelimit_limit',
      help: 'Pulls that the upstream gives to a credential in its window, as it last said.',
      labelNames: ['upstream', 'credential'],
      registers,
    }),
    rateLimitRemaining: new Gauge({
      name: 'stillwater_upstream_ratelimit_remaining',
      help: 'Pulls that are left to a credential, as the upstream last said.',
      labelNames: ['upstream', 'credential'],
      registers,
    }),
    circuitOpen: new Gauge({
      name: 'stillwater_upstream_circuit_open',
      help: '1 while an endpoint is not asked because it failed, but for a probe now and then; else 0.',
      labelNames: ['upstream', 'endpoint'],
      registers,
    }),
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
