// Hashing off the event loop: workers that read a spool's file behind its writer and tell its digest at the end.
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { DigestAlgorithm } from '../oci/digest.ts';
import type { Journal } from './journal.ts';

export type VerifierRequest =
  | {
      readonly type: 'follow';
      readonly id: number;
      readonly path: string;
      readonly algorithm: DigestAlgorithm;
      readonly journal: JournalFile | undefined;
    }
  | { readonly type: 'advance'; readonly id: number; readonly end: number }
  | { readonly type: 'finish'; readonly id: number; readonly end: number }
  | { readonly type: 'suspend'; readonly id: number; readonly end: number }
  | { readonly type: 'abandon'; readonly id: number };

export type VerifierReply =
  | { readonly id: number; readonly encoded: string }
  /** Everything before `trusted` hashed as the journal says; `isLast` when the journal knows no more, or lied. */
  | { readonly id: number; readonly trusted: number; readonly isLast: boolean }
  | { readonly id: number; readonly suspended: true }
  | { readonly id: number; readonly failure: string };

/** One file being hashed as it grows. Ends with `finish`, `suspend` or `abandon`, whichever comes first. */
export interface Following {
  /** Everything before `end` is written. */
  advance(end: number): void;
  /** The hexadecimal hash of all bytes that were announced. Rejects when the file could not be read. */
  finish(): Promise<string>;
  /** Resolves when the journal tells how far the file can be believed. Never rejects. */
  suspend(): Promise<void>;
  abandon(): void;
}

/** Where checkpoints are written, and those that an earlier process left, which are proven before anything else. */
export interface JournalFile extends Journal {
  readonly path: string;
}

export interface Resumption {
  readonly journal: JournalFile;
  /** Told as the file proves to be what the journal says, and a last time at the end or at the first lie. */
  readonly onTrusted: (end: number, isLast: boolean) => void;
}

interface Waiting {
  readonly onTrusted: Resumption['onTrusted'] | undefined;
  resolve(encoded: string): void;
  reject(error: Error): void;
}

/** What is worth a message to the worker: it hashes slices of this size. */
const announceBytes = 1024 * 1024;

/** A worker holds one slice and a few numbers a file. */
const workerLimits = { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 64 };

const workerFile = new URL(`./verifier-worker${extname(import.meta.filename)}`, import.meta.url);

export class Verifier {
  readonly #lanes: Lane[];
  #nextId = 1;

  /** The event loop keeps one core; a fill's hash runs at most as fast as one of the others. */
  constructor(workers = Math.min(4, Math.max(1, availableParallelism() - 1))) {
    this.#lanes = Array.from({ length: workers }, () => new Lane());
  }

  follow(path: string, algorithm: DigestAlgorithm, resumption?: Resumption): Following {
    const lane = this.#lanes.reduce((least, other) => (other.load < least.load ? other : least));
    return lane.follow(this.#nextId++, path, algorithm, resumption);
  }

  async close(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }
}

/** One worker thread and the files it follows; started on first use, and again after a crash. */
class Lane {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;

  get load(): number {
    return this.#waiting.size;
  }

  follow(id: number, path: string, algorithm: DigestAlgorithm, resumption: Resumption | undefined): Following {
    this.#worker ??= this.#start();
    const worker = this.#worker;
    const post = (request: VerifierRequest) => worker.postMessage(request);
    const ended = new Promise<string>((resolve, reject) =>
      this.#waiting.set(id, { resolve, reject, onTrusted: resumption?.onTrusted }),
    );
    // Who waits to hear what can be believed hears that it is nothing; to others an abandoned hash that fails is no news.
    ended.catch(() => resumption?.onTrusted(0, true));
    post({ type: 'follow', id, path, algorithm, journal: resumption?.journal });
    let announced = 0;
    let written = 0;
    return {
      advance: (end) => {
        written = end;
        if (written - announced < announceBytes) return;
        announced = written;
        post({ type: 'advance', id, end });
      },
      finish: () => {
        post({ type: 'finish', id, end: written });
        return ended;
      },
      suspend: async () => {
        if (!this.#waiting.has(id)) return;
        post({ type: 'suspend', id, end: written });
        await ended.catch(() => {});
      },
      abandon: () => {
        if (this.#waiting.delete(id)) post({ type: 'abandon', id });
      },
    };
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(workerFile, { resourceLimits: workerLimits });
    worker.unref();
    worker.on('message', (reply: VerifierReply) => this.#hear(reply));
    const crashed = (cause?: unknown) => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      for (const { reject } of this.#waiting.values()) reject(new Error('the hashing worker ended', { cause }));
      this.#waiting.clear();
    };
    worker.on('error', crashed);
    worker.on('exit', () => crashed());
    return worker;
  }

  #hear(reply: VerifierReply): void {
    const waiting = this.#waiting.get(reply.id);
    if ('trusted' in reply) {
      waiting?.onTrusted?.(reply.trusted, reply.isLast);
      return;
    }
    this.#waiting.delete(reply.id);
    if ('encoded' in reply) waiting?.resolve(reply.encoded);
    else if ('suspended' in reply) waiting?.resolve('');
    else waiting?.reject(new Error(`the file could not be hashed: ${reply.failure}`));
  }
}
