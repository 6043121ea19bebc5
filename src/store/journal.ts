// What a spool's file is known to hold: the hash of everything before a checkpoint, a line each, in a file beside it.
// A restart believes a checkpoint only when the bytes before it hash to the same again, so nothing here need be synced.
import { readFile } from 'node:fs/promises';

export interface Checkpoint {
  /** Exclusive end of the bytes that were hashed, from the first. */
  readonly end: number;
  /** Hexadecimal. */
  readonly encoded: string;
}

export interface Journal {
  /** Whole length of the blob in bytes. */
  readonly size: number;
  /** Whose bytes these are, if nobody else is to go on with them: a host name. */
  readonly origin: string | undefined;
  /** In ascending order; the last ends before `size`. */
  readonly checkpoints: readonly Checkpoint[];
}

/** How many bytes a killed process loses at most of what it had received without a gap. */
export const checkpointBytes = 4 * 1024 * 1024;

export function journalHead({ size, origin }: Pick<Journal, 'size' | 'origin'>): string {
  return origin === undefined ? `size ${size}\n` : `size ${size} ${origin}\n`;
}

export function journalLine({ end, encoded }: Checkpoint): string {
  return `${end} ${encoded}\n`;
}

/** `undefined` when there is none. What does not follow from the lines before it, a torn end say, is left out. */
export async function readJournal(path: string): Promise<Journal | undefined> {
  const text = await readFile(path, 'latin1').catch(() => '');
  const [head = '', ...lines] = text.split('\n').slice(0, -1);
  const [, length, origin] = /^size (\d{1,15})(?: (\S+))?$/.exec(head) ?? [];
  if (length === undefined) return undefined;
  const size = Number(length);
  const checkpoints: Checkpoint[] = [];
  for (const line of lines) {
    const [, end = '', encoded = ''] = /^(\d{1,15}) ([0-9a-f]{64,128})$/.exec(line) ?? [];
    if (Number(end) <= (checkpoints.at(-1)?.end ?? 0) || Number(end) >= size) break;
    checkpoints.push({ end: Number(end), encoded });
  }
  return { size, origin, checkpoints };
}
