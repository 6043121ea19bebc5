// Answers from the cache that may be given again without asking anybody, for as long as asking would bring the same.
import type { Content } from '../store/content.ts';

/** Many are kept for long: none holds bytes, or a file that is open. */
export interface Lasting {
  /** Whether whoever asks now gets the same, without a question to an upstream. To be asked before each use. */
  holds(): boolean;
  /**
   * Bytes that are in memory, or what is open, which the caller closes; `undefined`: the mirror has to be asked as at
   * first. Waits for no disk.
   */
  body(): Uint8Array | Content | undefined;
  /** It was given again: recency. */
  used(): void;
}
