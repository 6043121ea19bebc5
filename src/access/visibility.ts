// Which repositories an upstream shows to everybody: asked once an hour each, and the last answer counts until the next.
import { LRUCache } from 'lru-cache';
import { formatRepository, type Repository } from '../oci/repository.ts';
import { AddressPlaces } from './address-places.ts';

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
  /** How long "public" still counts for what is here, where a newer answer cannot be had; for ever, if not given. */
  readonly staleMs?: number | undefined;
  /** In milliseconds of the epoch: verdicts outlive the process. */
  readonly now?: () => number;
  /** Nobody could tell. */
  readonly onProblem?: (repository: Repository, error: unknown) => void;
}

interface UnderWay {
  /** `undefined`: nobody could tell. Never rejects. */
  readonly answer: Promise<boolean | undefined>;
  readonly askedAt: number;
}

/** Whether the upstream shows it to somebody without a login. Any error means that nobody could tell. */
export type AskVisibility = (signal: AbortSignal) => Promise<boolean>;

/** What is to be believed of a repository. */
export type Sight =
  /** Found so within the hour. */
  | 'public'
  /** Found so longer ago, and nobody could tell since. */
  | 'once public'
  | 'private'
  /** Which goes for private: nobody could tell. */
  | 'untold'
  /** Nothing: nobody was asked, because too many others are being asked about. */
  | 'unasked';

export interface CheckOptions {
  /** Of whoever waits for the answer. */
  readonly signal: AbortSignal;
  /** Whoever causes many questions leaves places to the others. */
  readonly address: string;
  /** For a newer answer than the one there is. */
  readonly patienceMs: number;
}

const freshMs = 60 * 60_000;
/** A first "no" may be a slip, or a repository that is just being made; each that follows is believed for twice as long. */
const firstNoMs = 60_000;
const maxNoes = 10_000;
/** How long a question that failed is not asked again. */
const restMs = 10_000;
/** A question outlives who asked it first, so that the next need not wait, but not for ever. */
const questionMs = 30_000;
/** Whoever asks can name a new repository with every request, and leave at once. */
const maxQuestions = 1000;
const maxQuestionsEach = 32;
const maxFailures = 10_000;
const maxUnwritten = 10_000;

export class Visibility {
  readonly #verdicts: Verdicts;
  readonly #staleMs: number;
  readonly #now: () => number;
  readonly #onProblem: (repository: Repository, error: unknown) => void;
  readonly #questions = new Map<string, UnderWay>();
  readonly #places = new AddressPlaces({ most: maxQuestions, mostEach: maxQuestionsEach });
  /** Answers that could not be kept: each is newer than what is kept of its repository. */
  readonly #unwritten = new LRUCache<string, Verdict>({ max: maxUnwritten });
  /** How often a repository was found not to be public, one time after the other. */
  readonly #noes = new LRUCache<string, number>({ max: maxNoes });
  /** When the last question about a repository failed. */
  readonly #failures = new LRUCache<string, number>({ max: maxFailures });

  constructor({ verdicts, staleMs = Number.POSITIVE_INFINITY, now = Date.now, onProblem }: VisibilityOptions) {
    this.#verdicts = verdicts;
    this.#staleMs = staleMs;
    this.#now = now;
    this.#onProblem = onProblem ?? (() => {});
  }

  /** It was found public within the hour; asks nobody. */
  isProvenPublic(repository: Repository): boolean {
    const verdict = this.#verdict(repository);
    return verdict?.isPublic === true && this.#isWithin(freshMs, verdict.checkedAt);
  }

  /** Rejects with the signal's reason only. */
  async check(repository: Repository, ask: AskVisibility, options: CheckOptions): Promise<Sight> {
    const { signal, address, patienceMs } = options;
    signal.throwIfAborted();
    const verdict = this.#verdict(repository);
    if (verdict && this.#isFresh(repository, verdict)) return verdict.isPublic ? 'public' : 'private';
    const wasPublic = verdict?.isPublic === true && this.#isWithin(this.#staleMs, verdict.checkedAt);
    const question = this.#question(repository, ask, address);
    if (question === 'no place' && !wasPublic) return 'unasked';
    const isPublic =
      typeof question === 'object' ? await this.#heard(question, signal, verdict && patienceMs) : undefined;
    if (isPublic === undefined && wasPublic) return 'once public';
    if (isPublic === undefined) return verdict?.isPublic === false ? 'private' : 'untold';
    return isPublic ? 'public' : 'private';
  }

  /** Patience is one for all who wait for the same question: the next waits for what is left of it. */
  #heard({ answer, askedAt }: UnderWay, signal: AbortSignal, patienceMs?: number): Promise<boolean | undefined> {
    if (patienceMs === undefined) return waitedFor(answer, signal);
    return waitedFor(answer, signal, Math.max(0, Math.ceil(patienceMs - (performance.now() - askedAt))));
  }

  #isFresh(repository: Repository, { isPublic, checkedAt }: Verdict): boolean {
    const noes = this.#noes.get(formatRepository(repository)) ?? 1;
    return this.#isWithin(isPublic ? freshMs : Math.min(freshMs, firstNoMs * 2 ** (noes - 1)), checkedAt);
  }

  #verdict(repository: Repository): Verdict | undefined {
    return this.#unwritten.get(formatRepository(repository)) ?? this.#verdicts.get(repository);
  }

  /** The one under way, or a new one. */
  #question(repository: Repository, ask: AskVisibility, address: string): UnderWay | 'resting' | 'no place' {
    const name = formatRepository(repository);
    const asked = this.#questions.get(name);
    if (asked) return asked;
    if (this.#isWithin(restMs, this.#failures.get(name))) return 'resting';
    const leave = this.#places.take(address);
    if (!leave) return 'no place';
    const answer = this.#answer(repository, name, ask).finally(() => {
      this.#questions.delete(name);
      leave();
    });
    const question = { answer, askedAt: performance.now() };
    this.#questions.set(name, question);
    return question;
  }

  async #answer(repository: Repository, name: string, ask: AskVisibility): Promise<boolean | undefined> {
    // What was true when it was asked may be over when it is answered.
    const checkedAt = this.#now();
    try {
      const isPublic = await inTime(ask);
      this.#failures.delete(name);
      if (isPublic) this.#noes.delete(name);
      else this.#noes.set(name, (this.#noes.get(name) ?? 0) + 1);
      this.#keep(repository, name, { isPublic, checkedAt });
      return isPublic;
    } catch (error) {
      this.#failures.set(name, this.#now());
      this.#onProblem(repository, error);
      return undefined;
    }
  }

  /** A full disk makes no answer untrue. */
  #keep(repository: Repository, name: string, verdict: Verdict): void {
    try {
      this.#verdicts.put(repository, verdict.isPublic, verdict.checkedAt);
      this.#unwritten.delete(name);
    } catch {
      this.#unwritten.set(name, verdict);
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
