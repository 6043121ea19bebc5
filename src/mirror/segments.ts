// The plan of a fill: which part of the blob the next request asks for. What a reader waits for comes first.
import type { Extents } from '../store/extents.ts';
import type { Part } from '../upstream/upstream.ts';

const smallest = 8 * 1024 * 1024;
const largest = 64 * 1024 * 1024;
/** A first reader that begins nearer than this waits for the bytes before its own. */
const worthASkip = 1024 * 1024;

/**
 * Large enough that a round trip and a redirect are small beside a segment and a huge blob does not cost thousands of
 * requests, small enough that the bytes without a gap grow steadily.
 */
export function segmentBytes(size: number): number {
  return Math.min(largest, Math.max(smallest, Math.ceil(size / 64)));
}

/**
 * What a fill asks for first: where the first reader begins, or behind what an earlier fill claims to have left.
 * `undefined` stands for the whole blob in one stream.
 */
export function firstPart(about: {
  readonly size: number | undefined;
  readonly from: number;
  readonly claimed: number | undefined;
  readonly parallel: number;
}): Part | undefined {
  const { size = Number.POSITIVE_INFINITY, from, claimed = 0, parallel } = about;
  const start = from >= claimed + worthASkip && from < size ? from : claimed;
  const length = Number.isFinite(size) ? segmentBytes(size) : smallest;
  if (start === 0 && (parallel === 1 || size <= length)) return undefined;
  return { start, end: parallel === 1 && Number.isFinite(size) ? size : Math.min(size, start + length) };
}

export class Segments {
  readonly #size: number;
  readonly #segmentBytes: number;
  readonly #inFlight = new Set<Part>();

  constructor(size: number, segment = segmentBytes(size)) {
    this.#size = size;
    this.#segmentBytes = segment;
  }

  /**
   * The part that starts where the first of `wanted` that nobody fetches yet is missing, or else at the lowest byte that is
   * missing; `undefined` when all is written or in flight. It is in flight until `settle`.
   */
  take(written: Extents, wanted: readonly number[]): Part | undefined {
    const start = wanted.find((position) => this.isMissing(written, position)) ?? this.#firstMissing(written);
    if (start >= this.#size) return undefined;
    const ends = [this.#size, start + this.#segmentBytes, written.startAfter(start) ?? this.#size];
    for (const other of this.#inFlight) if (other.start > start) ends.push(other.start);
    return this.reserve(start, Math.min(...ends));
  }

  /** From the lowest byte that is missing to the end, whatever of it is written. */
  takeRest(written: Extents): Part | undefined {
    const start = this.#firstMissing(written);
    return start < this.#size ? this.reserve(start, this.#size) : undefined;
  }

  /** A part that comes from somewhere else, or is on its way already. */
  reserve(start: number, end: number): Part {
    const part = { start, end };
    this.#inFlight.add(part);
    return part;
  }

  /** What of it was written is written; the rest may be taken again. */
  settle(part: Part): void {
    this.#inFlight.delete(part);
  }

  /** Neither written nor about to be. */
  isMissing(written: Extents, position: number): boolean {
    return position < this.#size && this.#after(written, position) === position;
  }

  #firstMissing(written: Extents): number {
    for (let position = 0; ; ) {
      const next = this.#after(written, position);
      if (next === position) return position;
      position = next;
    }
  }

  /** Behind the extent or the request that holds the position; the position itself when none does. */
  #after(written: Extents, position: number): number {
    const end = written.endFrom(position);
    if (end > position) return end;
    for (const part of this.#inFlight) if (part.start <= position && position < part.end) return part.end;
    return position;
  }
}
