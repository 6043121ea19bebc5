// What becomes of a command whose output cannot be written.
import { fstatSync, writeSync } from 'node:fs';

const words: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left',
  EDQUOT: 'no space left that is its owner’s to use',
  EFBIG: 'it may not become that large',
  EIO: 'its disk fails',
  EPIPE: 'its reader has left',
  EROFS: 'it is on a disk that cannot be written to',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EISDIR: 'it is a directory',
  ELOOP: 'its links go in a circle',
  ENOENT: 'its directory does not exist; make it first',
};

/** One line. */
export function unwritten(what: string, cause: unknown): Error {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  return new Error(`cannot write ${what}: ${words[code] ?? (code || message)}`, { cause });
}

export const standardOutput = 'to standard output';

/** A reader that has seen enough, such as head, is no failure; `onFault` gets all else. */
export function watchStandardOutput(onFault: (fault: Error) => void): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') onFault(unwritten(standardOutput, error));
  });
  // There is nowhere left to say it.
  process.stderr.on('error', () => {});
  if (fstatSync(1).isFile()) process.stdout._write = writeAll;
}

/** Of a file, Node writes once: what the disk has no room for is missing then, and nobody is told. */
function writeAll(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
  try {
    for (let rest = chunk; rest.length > 0; ) rest = rest.subarray(writeSync(1, rest));
  } catch (error) {
    done(error as Error);
    return;
  }
  done();
}
