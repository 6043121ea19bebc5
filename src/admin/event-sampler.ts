// What goes on, looked at once for everybody who follows it, and not at all while nobody does.

export interface EventSources {
  readonly status: () => Promise<unknown>;
  readonly fills: () => readonly unknown[];
}

type Listener = (event: 'status' | 'fills', text: string) => void;

/** The status comes with every second of them. */
const tickMs = 1000;

export class EventSampler {
  readonly #sources: EventSources;
  readonly #listeners = new Set<Listener>();
  #ticking: NodeJS.Timeout | undefined;
  #ticks = 0;
  #hadFills = false;
  #isAsking = false;

  constructor(sources: EventSources) {
    this.#sources = sources;
  }

  /** Tells the status and the fills of now, and what becomes of them until it is disposed. */
  follow(listener: Listener): Disposable {
    this.#listeners.add(listener);
    this.#ticking ??= setInterval(() => this.#tick(), tickMs);
    const fills = this.#sources.fills();
    if (fills.length > 0) this.#tellFills(fills, [listener]);
    void this.#tellStatus([listener]);
    return { [Symbol.dispose]: () => this.#leave(listener) };
  }

  #leave(listener: Listener): void {
    this.#listeners.delete(listener);
    if (this.#listeners.size > 0) return;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
    this.#hadFills = false;
  }

  #tick(): void {
    const fills = this.#sources.fills();
    if (fills.length > 0 || this.#hadFills) this.#tellFills(fills, this.#listeners);
    this.#ticks++;
    // One that is slow is waited for, and not asked again meanwhile.
    if (this.#ticks % 2 > 0 || this.#isAsking) return;
    this.#isAsking = true;
    void this.#tellStatus(this.#listeners).finally(() => {
      this.#isAsking = false;
    });
  }

  #tellFills(fills: readonly unknown[], listeners: Iterable<Listener>): void {
    this.#hadFills = fills.length > 0;
    const text = eventText('fills', { fills });
    for (const listener of listeners) listener('fills', text);
  }

  /** While it cannot be had there is none, and heartbeats say that somebody is there. */
  async #tellStatus(listeners: Iterable<Listener>): Promise<void> {
    const status = await this.#sources.status().catch(() => undefined);
    if (status === undefined) return;
    const text = eventText('status', status);
    for (const listener of listeners) listener('status', text);
  }
}

/** https://html.spec.whatwg.org/multipage/server-sent-events.html: JSON has no line end in it. */
function eventText(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
