// Where an export goes: a file that is there when it is whole, or whatever else is at a path, which is written into as it is.
import { randomUUID } from 'node:crypto';
import { constants, openSync, type Stats } from 'node:fs';
import { type FileHandle, open, readlink, rename, rm, stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { dirname, isAbsolute } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { standardOutput, unwritten } from './output-faults.ts';

/** Without a commit, a file is as it was. */
export interface ExportOutput extends AsyncDisposable {
  /** Resolves to `false` when whoever reads has had enough. */
  write(bytes: Uint8Array): Promise<boolean>;
  commit(): Promise<void>;
}

const readerMs = 50;
const mostLinks = 40;

/** Throws one line that says why `path` cannot be written. */
export async function openExportOutput(path: string, signal: AbortSignal): Promise<ExportOutput> {
  try {
    const found = await foundAt(path);
    if (found?.isFIFO()) return pipeOutput(await openPipe(path, signal), path, signal);
    if (found && !found.isFile()) return fileOutput(await open(path, 'w'), path);
    const target = await targetOf(path);
    const part = `${target}.${randomUUID().slice(0, 8)}.part`;
    return fileOutput(await open(part, 'wx'), path, { part, target });
  } catch (cause) {
    signal.throwIfAborted();
    throw unwritten(path, cause);
  }
}

export function openStandardOutput(): ExportOutput {
  return {
    write: async (bytes) => {
      try {
        await writeTo(process.stdout, bytes);
        return true;
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code === 'EPIPE') return false;
        throw unwritten(standardOutput, cause);
      }
    },
    commit: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

interface Replacing {
  readonly part: string;
  readonly target: string;
}

/** Nobody finds half a tar under the name that was asked for. */
function fileOutput(file: FileHandle, path: string, replacing?: Replacing): ExportOutput {
  const told = async (work: () => Promise<unknown>) => {
    await work().catch((cause) => {
      throw unwritten(path, cause);
    });
    return true;
  };
  let isCommitted = false;
  return {
    write: (bytes) => told(() => file.writeFile(bytes)),
    commit: async () => {
      if (replacing) await told(() => file.sync());
      await told(() => file.close());
      if (replacing) await told(() => rename(replacing.part, replacing.target));
      isCommitted = true;
    },
    [Symbol.asyncDispose]: async () => {
      await file.close().catch(() => {});
      if (replacing && !isCommitted) await rm(replacing.part, { force: true });
    },
  };
}

function pipeOutput(pipe: Socket, path: string, signal: AbortSignal): ExportOutput {
  const leave = () => pipe.destroy();
  signal.addEventListener('abort', leave, { once: true });
  // Whoever writes is told.
  pipe.on('error', () => {});
  return {
    write: async (bytes) => {
      await writeTo(pipe, bytes).catch((cause) => {
        throw unwritten(path, cause);
      });
      return true;
    },
    commit: async () => {},
    [Symbol.asyncDispose]: async () => {
      signal.removeEventListener('abort', leave);
      pipe.destroy();
    },
  };
}

/** Resolves once the system has them all. */
function writeTo(stream: Writable, bytes: Uint8Array): Promise<void> {
  return new Promise((done, fail) => {
    stream.write(bytes, (error) => (error ? fail(error) : done()));
  });
}

/** What a link leads to; `undefined` is nothing. */
async function foundAt(path: string): Promise<Stats | undefined> {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** Where links lead to, also where there is nothing yet. */
async function targetOf(path: string): Promise<string> {
  let target = path;
  for (let links = 0; links < mostLinks; links++) {
    const link = await readlink(target).catch(() => undefined);
    if (link === undefined) return target;
    // Not normalized: behind a link to a directory, ".." is another one.
    target = isAbsolute(link) ? link : `${dirname(target)}/${link}`;
  }
  return target;
}

/** Waits for a reader, but never in the kernel: there, no signal would end it. */
async function openPipe(path: string, signal: AbortSignal): Promise<Socket> {
  for (;;) {
    try {
      const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
      return new Socket({ fd, readable: false, writable: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    }
    await pause(readerMs, undefined, { signal });
  }
}
