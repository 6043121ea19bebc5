// What the index answered lately, in memory: exact, because whoever writes a row forgets what was read of it.
import { LRUCache } from 'lru-cache';

/** Of one thing: the layers of a base image are asked for by everybody. */
const mostAskers = 64;

/** Of one kind of answer: by what it is of, which is forgotten as one, and by who asked. */
export class RowMemory<T> {
  readonly #isInBatch: () => boolean;
  readonly #known: LRUCache<string, Map<string, T>>;

  /** `isInBatch`: nothing is remembered meanwhile, so that nothing has to be taken back. `most`: of all answers. */
  constructor(isInBatch: () => boolean, most: number) {
    this.#isInBatch = isInBatch;
    this.#known = new LRUCache({ maxSize: most, sizeCalculation: (answers) => answers.size });
  }

  /** Whoever gets an answer shares it with all others. That there is none is an answer too. */
  recall(of: string, asker: string, read: () => T): T {
    const answers = this.#known.get(of);
    const known = answers?.get(asker);
    if (known !== undefined || answers?.has(asker)) return known as T;
    const answer = read();
    if (!this.#isInBatch()) this.#remember(of, asker, answer);
    return answer;
  }

  /** Before or after it is written, in the same turn. */
  forget(of: string): void {
    this.#known.delete(of);
  }

  clear(): void {
    this.#known.clear();
  }

  #remember(of: string, asker: string, answer: T): void {
    const others = this.#known.get(of);
    const answers = new Map(others && others.size < mostAskers ? others : []);
    this.#known.set(of, answers.set(asker, answer));
  }
}
