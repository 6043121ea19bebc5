// The Range request header of RFC 9110 §14: one range of bytes, or nothing that we act on.

/** Both ends inclusive, inside the content. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

const singleRange = /^bytes=\s*(\d*)-(\d*)\s*$/i;

/**
 * What to send of `size` bytes. `undefined`: all of it (no header, another unit, several ranges, or a header that is
 * not grammatical, which RFC 9110 §14.2 lets a server ignore). `unsatisfiable`: 416. An end past the size is clamped,
 * as regctl's resume needs it.
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'unsatisfiable' | undefined {
  const match = header === undefined ? null : singleRange.exec(header);
  if (!match) return undefined;
  const [first, last] = [match[1] ?? '', match[2] ?? ''];
  if (first === '' && last === '') return undefined;

  if (first === '') {
    const suffix = Number(last);
    if (suffix === 0 || size === 0) return 'unsatisfiable';
    return { start: Math.max(0, size - suffix), end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Number(last);
  if (last !== '' && end < start) return undefined;
  if (start >= size) return 'unsatisfiable';
  return { start, end: Math.min(end, size - 1) };
}

/** Which bytes a client wants of a blob whose size nobody knows yet; all of it where `parseRange` would say so. */
export interface WantedRange {
  readonly start: number;
  /** Exclusive; `undefined` for all that follows. */
  readonly end: number | undefined;
}

/** A suffix counts as all: where it begins depends on the size. */
export function wantedRange(header: string | undefined): WantedRange {
  const [, first = '', last = ''] = (header === undefined ? null : singleRange.exec(header)) ?? [];
  const start = Number(first);
  if (first === '' || !Number.isSafeInteger(start) || (last !== '' && Number(last) < start))
    return { start: 0, end: undefined };
  return { start, end: last === '' || !Number.isSafeInteger(Number(last)) ? undefined : Number(last) + 1 };
}
