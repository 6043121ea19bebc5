// Which repositories an upstream shows to everybody: asked once an hour each, and the last answer counts until the next.
import { LRUCache } from 'lru-cache';
import { formatRepository, type Repository } from '../oci/repository.ts';

export interface Verdict {
  readonly isPublic: boolean;
  readonly checkedAt: number;
}

/** What was found out, kept over restarts. */
export interface Verdicts {
  get(repository: Repository): Verdict | undefined;
  put(repository: Repository, isPublic: boolean, checkedAt: number): void;
}

export interface VisibilityOptions {
  readonly verdicts: Verdicts;
  /** How long "public" stands in for a newer answer that cannot be had; for ever, if not given. */
  readonly staleMs?: number | undefined;
  /** In milliseconds of the epoch: verdicts outlive the process. */
  readonly now?: () => number;
}

/** Whether the upstream shows it to somebody without a login. Any error means that nobody could tell. */
export type AskVisibility = (signal: AbortSignal) => Promise<boolean>;

export interface CheckOptions {
  /** Of whoever waits for the answer. */
  readonly signal: AbortSignal;
  /** For a newer answer than the one there is. */
  readonly patienceMs: number;
}

const freshMs = 60 * 60_000;
/** How long a question that failed is not asked again: with an earlier answer that stands meanwhile, and without one. */
const staleRestMs = 60_000;
const unknownRestMs = 10_000;
/** A question outlives who asked it first, so that the next need not wait, but not for ever. */
const questionMs = 30_000;
/** Whoever asks can name a new repository with every request, and leave at once. */
const maxQuestions = 1000;
const maxFailures = 10_000;

export class Visibility {
  readonly #verdicts: Verdicts;
  readonly #staleMs: number;
  readonly #now: () => number;
  /** Under way, by repository; `undefined`: nobody could tell. They never reject. */
  readonly #questions = new Map<string, Promise<boolean | undefined>>();
  /** When the last question about a repository failed. */
  readonly #failures = new LRUCache<string, number>({ max: maxFailures });

  constructor({ verdicts, staleMs = Number.POSITIVE_INFINITY, now = Date.now }: VisibilityOptions) {
    this.#verdicts = verdicts;
    this.#staleMs = staleMs;
    this.#now = now;
  }

  /** It was found public within the hour; asks nobody. */
  isProvenPublic(repository: Repository): boolean {
    const verdict = this.#verdicts.get(repository);
    return verdict?.isPublic === true && this.#isWithin(freshMs, verdict.checkedAt);
  }

  /** `false` also where nobody can tell. Rejects with the signal's reason only. */
  async check(repository: Repository, ask: AskVisibility, { signal, patienceMs }: CheckOptions): Promise<boolean> {
    signal.throwIfAborted();
    const verdict = this.#verdicts.get(repository);
    if (verdict && this.#isWithin(freshMs, verdict.checkedAt)) return verdict.isPublic;
    const last = verdict?.isPublic === true && this.#isWithin(this.#staleMs, verdict.checkedAt);
    const question = this.#question(repository, ask, verdict ? staleRestMs : unknownRestMs);
    if (!question) return last;
    const answer = await waitedFor(question, signal, verdict && patienceMs);
    return answer ?? last;
  }

  /** The one under way, or a new one; `undefined` while there is to be none. */
  #question(repository: Repository, ask: AskVisibility, restMs: number): Promise<boolean | undefined> | undefined {
    const name = formatRepository(repository);
    const asked = this.#questions.get(name);
    if (asked) return asked;
    if (this.#questions.size >= maxQuestions || this.#isWithin(restMs, this.#failures.get(name))) return undefined;
    const question = this.#answer(repository, name, ask).finally(() => this.#questions.delete(name));
    this.#questions.set(name, question);
    return question;
  }

  async #answer(repository: Repository, name: string, ask: AskVisibility): Promise<boolean | undefined> {
    // What was true when it was asked may be over when it is answered.
    const askedAt = this.#now();
    try {
      const isPublic = await inTime(ask);
      this.#verdicts.put(repository, isPublic, askedAt);
      this.#failures.delete(name);
      return isPublic;
    } catch {
      this.#failures.set(name, this.#now());
      return undefined;
    }
  }

  /** A clock that was set back must keep no verdict for longer. */
  #isWithin(ms: number, since: number | undefined): boolean {
    const age = since === undefined ? ms : this.#now() - since;
    return age >= 0 && age < ms;
  }
}

async function inTime(ask: AskVisibility): Promise<boolean> {
  const late = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const reason = new DOMException('nobody could tell in time', 'TimeoutError');
    late.abort(reason);
    reject(reason);
  }, questionMs).unref();
  try {
    return await Promise.race([ask(late.signal), promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** `undefined` when patience ends first; without one it is waited for as long as it takes. */
function waitedFor<T>(work: Promise<T>, signal: AbortSignal, patienceMs?: number): Promise<T | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
  const leave = () => reject(signal.reason);
  const timer = patienceMs === undefined ? undefined : setTimeout(resolve, patienceMs, undefined);
  signal.addEventListener('abort', leave, { once: true });
  work.then(resolve, reject);
  return promise.finally(() => {
    clearTimeout(timer);
    signal.removeEventListener('abort', leave);
  });
}
