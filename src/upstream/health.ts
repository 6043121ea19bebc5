// What of an endpoint may be asked: nothing of it while it hangs, and else all but the parts of it that do.
import { LRUCache } from 'lru-cache';
import { Circuit, isFault, type Permit } from './circuit.ts';
import type { UpstreamError } from './upstream.ts';

/** What a question is about, whatever it asks of it: a HEAD and a GET of one manifest are about the same. */
export interface Thing {
  /** Of the repository. */
  readonly path: string;
  readonly target: string;
}

export interface HealthOptions {
  /** Of the endpoint as a whole. */
  readonly circuit: Circuit;
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number;
}

/** One thing, a repository, or all repositories of one owner. */
interface Part {
  readonly circuit: Circuit;
  /** Which of its own parts was late, without an answer since. When another is late too, it is the part that hangs. */
  late: string | undefined;
}

/** Whoever asks can name a new one with every request. */
const maxParts = 1000;
/** Who answered this lately is not thought to hang by one thing that does not come. */
const livelyMs = 60_000;

export class Health {
  readonly #whole: Circuit;
  readonly #now: () => number;
  /** Those in which something was late, and nothing answered since. */
  readonly #parts = new LRUCache<string, Part>({ maxSize: maxParts, sizeCalculation: () => 1 });
  /** Of which owner something was late, without an answer of anybody's since. */
  #late: string | undefined;
  #answeredAt = Number.NEGATIVE_INFINITY;

  constructor({ circuit, now = () => performance.now() }: HealthOptions) {
    this.#whole = circuit;
    this.#now = now;
  }

  /** What keeps a question from being asked now. */
  objection(thing: Thing): Circuit | undefined {
    return this.#circuitsOf(namesOf(thing)).find(({ mayEnter }) => !mayEnter);
  }

  enter(thing: Thing): Permit | undefined {
    if (this.objection(thing)) return undefined;
    const names = namesOf(thing);
    const permits = this.#circuitsOf(names).map((circuit) => circuit.enter() as Permit);
    const enteredAt = this.#now();
    let isSettled = false;
    const once = (settle: () => void) => {
      if (!isSettled) settle();
      isSettled = true;
    };
    return {
      succeeded: () => once(() => this.#succeeded(names, permits)),
      failed: (error) =>
        once(() => {
          if (!isFault(error)) this.#succeeded(names, permits);
          else if (error.failure === 'timeout') this.#wasLate(error, { names, permits, enteredAt });
          else for (const permit of permits) permit.failed(error, names[1]);
        }),
      released: () => once(() => release(permits)),
    };
  }

  #succeeded(names: Names, permits: readonly Permit[]): void {
    this.#answeredAt = this.#now();
    this.#late = undefined;
    const wasOpen = this.#whole.isOpen;
    for (const permit of permits) permit.succeeded();
    for (const name of names) this.#parts.delete(name);
    // What was late meanwhile was late with all the rest.
    if (wasOpen && !this.#whole.isOpen) this.#parts.clear();
  }

  /** Rests the smallest part that all lateness since the last answer was in. */
  #wasLate(error: UpstreamError, { names, permits, enteredAt }: LateQuestion): void {
    const [thing, repository, owner] = names;
    const [ofWhole] = permits;
    const isLively = this.#answeredAt > this.#now() - livelyMs;
    const isOut = this.#answeredAt <= enteredAt && (!isLively || (this.#late ?? owner) !== owner);
    if (isOut || this.#whole.isOpen) ofWhole?.failed(error);
    else ofWhole?.released();
    release(permits.slice(1));
    this.#late ??= owner;
    this.#rest(thing, error);
    this.#learn(repository, thing, error);
    this.#learn(owner, repository, error);
  }

  #learn(name: string, late: string, error: UpstreamError): void {
    const part = this.#part(name);
    part.late ??= late;
    if (part.late !== late) this.#rest(name, error);
  }

  #rest(name: string, error: UpstreamError): void {
    const { circuit } = this.#part(name);
    circuit.enter()?.failed(error);
    // Others come first to find out whether the endpoint is back: asked again, this would only keep it shut.
    const { retryInMs } = this.#whole;
    if (retryInMs !== undefined) circuit.open(2 * retryInMs, error.message);
  }

  #part(name: string): Part {
    const known = this.#parts.get(name);
    if (known) return known;
    const part: Part = { circuit: new Circuit({ now: this.#now }), late: undefined };
    this.#parts.set(name, part);
    return part;
  }

  /** That of the whole first. */
  #circuitsOf(names: Names): readonly Circuit[] {
    const parts = names.map((name) => this.#parts.get(name)?.circuit);
    return [this.#whole, ...parts.filter((circuit) => circuit !== undefined)];
  }
}

/** From the thing to what holds it. */
type Names = readonly [thing: string, repository: string, owner: string];

interface LateQuestion {
  readonly names: Names;
  readonly permits: readonly Permit[];
  readonly enteredAt: number;
}

function release(permits: readonly Permit[]): void {
  for (const permit of permits) permit.released();
}

function namesOf({ path, target }: Thing): Names {
  const [asked] = target.split('?', 1);
  return [`${path} ${asked}`, path, `${path.split('/', 1)[0]}/`];
}
