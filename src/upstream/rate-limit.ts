// What a registry still gives to one login: its pull limit, and the rests it asked for.
import { Circuit, type Permit } from './circuit.ts';
import { retryAfterMs } from './retry-after.ts';
import type { UpstreamResponse } from './transport.ts';
import type { LimitStatus } from './upstream.ts';

/** `pull`: a GET of a manifest, which is what Docker Hub counts. HEAD, blobs and lists go on while only pulls rest. */
export type QuestionKind = 'pull' | 'other';

export interface LimitsOptions {
  /** Of the login: safe to show. */
  readonly credential: string;
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number;
}

/** Leave for one question under these limits: exactly one of the two is to be told. */
export interface Turn {
  heard(response: Pick<UpstreamResponse, 'status' | 'header'>): void;
  /** No answer came. */
  released(): void;
}

interface Permits {
  readonly request: Permit | undefined;
  /** Only where the question is one. */
  readonly pull: Permit | undefined;
}

interface Quota {
  readonly count: number;
  readonly windowSeconds: number | undefined;
}

interface Budget {
  readonly limit: Quota | undefined;
  readonly remaining: Quota;
  readonly heardAt: number;
}

const pullRests = { restMs: 60_000, longestRestMs: 15 * 60_000 };
/** One blob too many is no limit for hours: a running transfer must outlast the first of these. */
const requestRests = { restMs: 2000, longestRestMs: 15 * 60_000 };
const shortestRestMs = 1000;
/** Docker Hub's window, for who names none. */
const defaultWindowSeconds = 6 * 3600;

export class Limits {
  readonly #options: LimitsOptions;
  readonly #now: () => number;
  readonly #requests: Circuit;
  #pulls: Circuit;
  /** Pulls rest because the last one was used, not because one was refused. */
  #isSpent = false;
  #budget: Budget | undefined;

  constructor(options: LimitsOptions) {
    this.#options = options;
    const now = options.now ?? (() => performance.now());
    this.#now = now;
    this.#pulls = new Circuit({ ...pullRests, now });
    this.#requests = new Circuit({ ...requestRests, now });
  }

  mayAsk(kind: QuestionKind): boolean {
    return this.#requests.mayEnter && (kind === 'other' || this.#pulls.mayEnter);
  }

  /** `undefined` while it rests: one question at a time then finds out whether the rest is over. */
  enter(kind: QuestionKind): Turn | undefined {
    if (!this.mayAsk(kind)) return undefined;
    const permits = { request: this.#requests.enter(), pull: kind === 'pull' ? this.#pulls.enter() : undefined };
    return {
      heard: (response) => this.#heard(response, permits),
      released: () => release(permits),
    };
  }

  /** Pulls left in the window; `undefined` where no limit was told, or its window is over. */
  get remaining(): number | undefined {
    return this.#current?.remaining.count;
  }

  get limit(): number | undefined {
    return this.#current?.limit?.count;
  }

  /** Until a question of this kind may be asked; `undefined` when it may be now. */
  retryInMs(kind: QuestionKind): number | undefined {
    const circuits = kind === 'pull' ? [this.#requests, this.#pulls] : [this.#requests];
    const waits = circuits.filter(({ mayEnter }) => !mayEnter).map(({ retryInMs }) => retryInMs ?? 0);
    return waits.length === 0 ? undefined : Math.max(...waits);
  }

  status(): Omit<LimitStatus, 'problem'> {
    return {
      credential: this.#options.credential,
      limit: this.limit,
      remaining: this.remaining,
      windowSeconds: this.#current && windowOf(this.#current),
      retryInMs: this.retryInMs('pull'),
    };
  }

  get #current(): Budget | undefined {
    const budget = this.#budget;
    const isOver = budget !== undefined && this.#now() - budget.heardAt > windowOf(budget) * 1000;
    return isOver ? undefined : budget;
  }

  #heard(response: Pick<UpstreamResponse, 'status' | 'header'>, permits: Permits): void {
    this.#learn(response);
    if (response.status === 429) {
      const restMs = retryAfterMs(response);
      if (permits.pull) {
        this.#pulls.open(restMs ?? this.#shortWindowMs, undefined, permits.pull);
        this.#isSpent = false;
      } else this.#requests.open(restMs, undefined, permits.request);
      release(permits);
      return;
    }
    permits.request?.succeeded();
    permits.pull?.succeeded();
    if (this.remaining === 0) this.#rest();
    else if (this.remaining !== undefined && this.#isSpent) this.#wake();
  }

  /** The last pull of the window has just gone: the next would only be told so. */
  #rest(): void {
    if (this.#pulls.isOpen) return;
    this.#pulls.open(this.#shortWindowMs);
    this.#isSpent = true;
  }

  /** A HEAD is told how many are left and takes none: that is how the end of the window shows. */
  #wake(): void {
    this.#pulls = new Circuit({ ...pullRests, now: this.#now });
    this.#isSpent = false;
  }

  /** Where the limit's window is over before our own rest would be. */
  get #shortWindowMs(): number | undefined {
    const windowMs = this.#budget && windowOf(this.#budget) * 1000;
    return windowMs !== undefined && windowMs < pullRests.restMs ? Math.max(shortestRestMs, windowMs) : undefined;
  }

  #learn({ header }: Pick<UpstreamResponse, 'header'>): void {
    const remaining = parseQuota(header('ratelimit-remaining'));
    if (!remaining) return;
    this.#budget = { remaining, limit: parseQuota(header('ratelimit-limit')), heardAt: this.#now() };
  }
}

/** `100;w=21600`, as Docker Hub writes it; anything else is no quota. */
export function parseQuota(text: string | undefined): Quota | undefined {
  const [, count, window] = /^\s*(\d{1,9})\s*(?:;\s*w=(\d{1,9})\s*)?$/.exec(text ?? '') ?? [];
  if (count === undefined) return undefined;
  return { count: Number(count), windowSeconds: window === undefined ? undefined : Number(window) };
}

function release({ request, pull }: Permits): void {
  request?.released();
  pull?.released();
}

function windowOf({ remaining, limit }: Budget): number {
  return remaining.windowSeconds ?? limit?.windowSeconds ?? defaultWindowSeconds;
}
