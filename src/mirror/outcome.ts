// The one word for how an answer came about: in log lines, metric labels, traces, the API and Cache-Status.

export type Outcome =
  /** From the cache, without asking anybody. */
  | 'hit'
  /** Fetched because of this request. */
  | 'miss'
  /** Taken from a transfer that another request had started. */
  | 'joined'
  /** From the cache, after the upstream confirmed it. */
  | 'revalidated'
  /** From the cache, because the upstream could not be asked. */
  | 'stale';
