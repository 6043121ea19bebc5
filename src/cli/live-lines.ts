// Lines that are redrawn in place on a terminal, below those that stay.
import { createLogUpdate } from 'log-update';
import { printable } from './amounts.ts';
import type { LiveStream, Paint, Progress } from './progress.ts';

const frameMs = 100;

/** Disposing takes the redrawn lines away and gives the cursor back. */
export class LiveLines implements Progress {
  readonly isLive = true;
  readonly #log: ReturnType<typeof createLogUpdate>;
  readonly #stream: LiveStream;
  readonly #paint: Paint;
  readonly #timer: NodeJS.Timeout;

  /** `paint` is asked ten times a second. Lines are cut where the terminal ends. */
  constructor(stream: LiveStream, paint: Paint) {
    this.#log = createLogUpdate(stream as NodeJS.WriteStream);
    this.#stream = stream;
    this.#paint = paint;
    this.#timer = setInterval(() => this.draw(), frameMs);
  }

  draw(): void {
    const { columns = 80, rows = 24 } = this.#stream;
    const lines = this.#paint(columns).map((line) => printable(line).slice(0, columns - 1));
    this.#log(lines.slice(0, Math.max(1, rows - 1)).join('\n'));
  }

  /** Stays, above what is redrawn. */
  say(line: string): void {
    this.#log.persist(printable(line));
    this.draw();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#log.clear();
    this.#log.done();
  }
}
