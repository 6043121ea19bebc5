// Bytes that can be read and sent: a committed blob, or a spool that still grows.

export interface Content {
  /** Whole length in bytes, whether or not all of it is here yet. */
  readonly size: number;
  /**
   * The open file that has the bytes at their own places, until `close`; `undefined` while they only pass through memory.
   * May change to `undefined` between two calls of `waitFor`.
   */
  readonly fd: number | undefined;
  /**
   * Resolves to the exclusive end of what can be read from `position` on, as soon as that is past `position`.
   * Rejects when those bytes will never come, and with the signal's reason.
   */
  waitFor(position: number, signal: AbortSignal): Promise<number>;
  /** Fills as much of `buffer` as the file gives at `position`; only what `waitFor` granted. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** The caller that was given the content closes it, once. */
  close(): Promise<void>;
}
