// One piece of work a key at a time: whoever asks while it runs waits for the same result.
import { abandonable } from '../upstream/abandonable.ts';

export class SingleFlight<T> {
  readonly #running = new Map<string, Promise<T>>();

  /**
   * `joined` tells whether the work had been started by somebody else. The work must not depend on any one caller:
   * it gets no signal, so it bounds itself; a caller that leaves only stops waiting.
   */
  async do(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<{ value: T; joined: boolean }> {
    const running = this.#running.get(key);
    const flight = running ?? this.#start(key, work);
    return { value: await abandonable(flight, signal), joined: running !== undefined };
  }

  #start(key: string, work: () => Promise<T>): Promise<T> {
    const flight = work().finally(() => this.#running.delete(key));
    flight.catch(() => {}); // whoever still waits hears of it
    this.#running.set(key, flight);
    return flight;
  }
}
