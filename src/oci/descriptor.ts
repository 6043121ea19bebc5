// The spec's description of content: what it is, its address, its length in bytes.
import type { Digest } from './digest.ts';

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}
