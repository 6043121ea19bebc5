// Moves the index's write-ahead log into its file, in a worker: it waits for the disk, which the event loop must not.
import { stat } from 'node:fs/promises';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

/** What is not in the file yet is read from the log: nothing depends on when it moves. */
const everyMs = 2000;
/** A shorter log is left alone, and no thread is kept for it: that costs more memory than the whole index. */
const worthMovingBytes = 4 * 1024 * 1024;
/** In pages. A log begins again from its start once all of it has moved, for which a busy writer leaves no moment. */
const longLog = 8192;

const workerLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 32 };
const workerFile = new URL(`./checkpoint-worker${extname(import.meta.filename)}`, import.meta.url);

export class Checkpoints {
  readonly #path: string;
  readonly #moveRest: () => void;
  #worker: Worker | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** `moveRest` is called when the log is long and nearly all of it has moved: no write comes between then. */
  constructor(path: string, moveRest: () => void) {
    this.#path = path;
    this.#moveRest = moveRest;
  }

  /** There is something in the log. */
  wrote(): void {
    this.#timer ??= setTimeout(() => void this.#move(), everyMs).unref();
  }

  /** One that is being made ends by itself. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#worker?.removeAllListeners('message');
    void this.#worker?.terminate();
  }

  async #move(): Promise<void> {
    this.#timer = undefined;
    const log = await stat(`${this.#path}-wal`).catch(() => undefined);
    if (this.#isClosed || log === undefined || log.size < worthMovingBytes) return;
    this.#worker ??= this.#start();
    this.#worker.postMessage(this.#path);
  }

  #start(): Worker {
    const worker = new Worker(workerFile, { resourceLimits: workerLimits });
    worker.unref();
    worker.on('message', (log: number) => {
      if (log > longLog) this.#moveRest();
    });
    const ended = () => {
      this.#worker = undefined;
    };
    worker.on('error', ended);
    worker.on('exit', ended);
    return worker;
  }
}
