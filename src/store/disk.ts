// The file system under the cache: how much room it has, and whether it takes bytes at all.
import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { errorText, type Log } from '../observe/log.ts';

export interface Space {
  /** Bytes of the whole file system, what root keeps for itself included. */
  readonly total: number;
  /** Bytes that this process may still write. */
  readonly free: number;
}

export interface DiskOptions {
  /** The folder of the spools: what is tried there is cleared away at the next start. */
  readonly dir: string;
  readonly log?: Log;
  /** Hears each change of `problem`. */
  readonly onChange?: (problem: string | undefined) => void;
  readonly probeEveryMs?: number;
  readonly measure?: (dir: string) => Promise<Space>;
  /** Writes a little and removes it; rejects while the disk refuses. */
  readonly probe?: (dir: string) => Promise<void>;
}

/** Less than a segment, and more than a file system keeps back for its own book-keeping. */
const probeBytes = 1024 * 1024;

export class Disk {
  readonly #options: DiskOptions;
  readonly #measure: (dir: string) => Promise<Space>;
  readonly #probe: (dir: string) => Promise<void>;
  #problem: string | undefined;
  #probing: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: DiskOptions) {
    this.#options = options;
    this.#measure = options.measure ?? measureSpace;
    this.#probe = options.probe ?? tryWriting;
  }

  /** Why nothing can be written now, in words; `undefined` as long as nobody reported a fault. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Measured now. Rejects when the file system does not answer. */
  space(): Promise<Space> {
    return this.#measure(this.#options.dir);
  }

  /** Takes note when the error is the disk's, and tries the disk until it takes bytes again. */
  report(error: unknown): boolean {
    if (!isDiskFault(error)) return false;
    if (this.#isClosed) return true;
    const why = errorText(error);
    if (this.#problem === undefined)
      this.#options.log?.warn({ error: why }, 'the disk takes no bytes; pulls are streamed past it until it does');
    this.#change(why);
    this.#probing ??= this.#planProbe();
    return true;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#probing);
  }

  #planProbe(): NodeJS.Timeout {
    return setTimeout(() => void this.#tryAgain(), this.#options.probeEveryMs ?? 5000).unref();
  }

  async #tryAgain(): Promise<void> {
    const why = await this.#probe(this.#options.dir).then(() => undefined, errorText);
    if (this.#isClosed) return;
    this.#probing = why === undefined ? undefined : this.#planProbe();
    if (why === undefined) this.#options.log?.info('the disk takes bytes again; pulls are cached');
    this.#change(why);
  }

  #change(problem: string | undefined): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.onChange?.(problem);
  }
}

const faultCodes: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'ENODEV', 'ENXIO', 'ESTALE']);

/** Primary codes of https://www.sqlite.org/rescode.html: READONLY, IOERR, FULL, CANTOPEN. */
const sqliteFull = 13;
const sqliteFaults: ReadonlySet<unknown> = new Set([8, 10, sqliteFull, 14]);

/**
 * Whether the disk, or SQLite for the disk's sake, refused. A lack of descriptors is no such fault, nor a right that is
 * missing on a socket, nor a damaged index.
 */
export function isDiskFault(error: unknown): boolean {
  const { code, path } = (error ?? {}) as { code?: unknown; path?: unknown };
  if (code === 'EACCES' || code === 'EPERM') return path !== undefined;
  return faultCodes.has(code) || sqliteFaults.has(sqliteCode(error));
}

/** Whether it refused because it is full. */
export function isDiskFull(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === 'ENOSPC' || code === 'EDQUOT' || sqliteCode(error) === sqliteFull;
}

/** Without the upper bytes, which only say more. */
function sqliteCode(error: unknown): number | undefined {
  const { code, errcode } = (error ?? {}) as { code?: unknown; errcode?: unknown };
  return code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number' ? errcode & 0xff : undefined;
}

async function measureSpace(dir: string): Promise<Space> {
  // Somebody may have removed the folder; that is no reason to refuse.
  const found = await statfs(dir).catch(async () => {
    await mkdir(dir, { recursive: true });
    return statfs(dir);
  });
  return { total: found.blocks * found.bsize, free: found.bavail * found.bsize };
}

async function tryWriting(dir: string): Promise<void> {
  const path = join(dir, 'trash-probe');
  await mkdir(dir, { recursive: true });
  try {
    const file = await open(path, 'w');
    try {
      await file.writeFile(Buffer.alloc(probeBytes));
      // Delayed allocation and network file systems say no only here.
      await file.datasync();
    } finally {
      await file.close();
    }
  } finally {
    await rm(path, { force: true });
  }
}
