// Files that are read again when they change: polled, because what a cluster mounts is swapped by links, unseen by inotify.
import { stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

export interface WatchOptions {
  readonly everyMs?: number;
}

/**
 * Calls `onChange` once for all that changed, when two looks in a row found the same, and never while the last call
 * runs. What it throws is nobody's business here. Start this before the files are read: they are compared with now.
 */
export function watchFiles(
  paths: readonly string[],
  onChange: () => unknown,
  { everyMs = 1000 }: WatchOptions = {},
): Disposable {
  const stopped = new AbortController();
  void poll(paths, onChange, { everyMs, signal: stopped.signal });
  return { [Symbol.dispose]: () => stopped.abort() };
}

async function poll(
  paths: readonly string[],
  onChange: () => unknown,
  { everyMs, signal }: { readonly everyMs: number; readonly signal: AbortSignal },
): Promise<void> {
  const changes = new Changes(await look(paths));
  for (;;) {
    await pause(everyMs, undefined, { ref: false, signal }).catch(() => {}); // it stops below
    const seen = await look(paths);
    if (signal.aborted) return;
    if (changes.isDue(seen)) await Promise.try(onChange).catch(() => {});
  }
}

/** Somebody who keeps writing is not waited for longer than this many looks. */
const mostUnsettled = 5;

/** What was seen, look by look, and when it is time to tell of it. */
export class Changes {
  #told: string;
  #last: string;
  #unsettled = 0;

  constructor(first: string) {
    this.#told = first;
    this.#last = first;
  }

  isDue(seen: string): boolean {
    const isSettled = seen === this.#last;
    this.#last = seen;
    if (seen !== this.#told && !isSettled && ++this.#unsettled < mostUnsettled) return false;
    this.#unsettled = 0;
    if (seen === this.#told) return false;
    this.#told = seen;
    return true;
  }
}

/** Whatever changes when a file is written, replaced, or linked elsewhere. */
async function look(paths: readonly string[]): Promise<string> {
  const marks = await Promise.all(
    paths.map((path) =>
      stat(path, { bigint: true }).then(
        ({ dev, ino, size, mtimeNs, ctimeNs }) => [dev, ino, size, mtimeNs, ctimeNs].join(),
        (error: NodeJS.ErrnoException) => error.code,
      ),
    ),
  );
  return marks.join(' ');
}
