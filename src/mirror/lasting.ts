// Answers from the cache that may be given again without asking anybody, for as long as asking would bring the same.
import type { Content } from '../store/content.ts';

export interface Lasting {
  /** Whether whoever asks now gets the same, without a question to an upstream. To be asked before each use. */
  holds(): boolean;
  /** Where they are few and in memory; `undefined`: the mirror has to be asked as at first. Touches no disk. */
  bytes(): Uint8Array | undefined;
  /** It was given again: recency. */
  used(): void;
}

export interface LastingBlob extends Lasting {
  readonly size: number;
  /** Where it is open; the caller closes what it gets. */
  content(): Content | undefined;
}
