// What a command tells while it works: redrawn on a terminal, a line for each change elsewhere.
import { printable } from './amounts.ts';

export interface LiveStream extends NodeJS.WritableStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface Progress extends Disposable {
  /** Whether lines are redrawn: then only what lasts is worth saying. */
  readonly isLive: boolean;
  say(line: string): void;
}

/** For a terminal of so many columns. */
export type Paint = (columns: number) => readonly string[];

/** On a terminal, with what is painted redrawn below what is said; elsewhere, or where `isQuiet`, with nothing redrawn. */
export async function showProgress(stream: LiveStream, paint: Paint, { isQuiet = false } = {}): Promise<Progress> {
  if (stream.isTTY && !isQuiet) {
    // Loaded late: most commands redraw nothing.
    const { LiveLines } = await import('./live-lines.ts');
    return new LiveLines(stream, paint);
  }
  return { isLive: false, say: (line) => void stream.write(`${printable(line)}\n`), [Symbol.dispose]: () => {} };
}
