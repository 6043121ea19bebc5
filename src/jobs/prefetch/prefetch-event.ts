// What is asked of a prefetch, and what it tells while it runs.
import type { Digest } from '../../oci/digest.ts';
import type { Platform } from '../../oci/platform.ts';

/** `all`: everything that an index names, attestations included; else these alone, as a client of each would pull them. */
export type PlatformWish = readonly Platform[] | 'all';

export interface PrefetchRequest {
  /** As people write them. */
  readonly images: readonly string[];
  readonly platforms: PlatformWish;
  /** Nobody waits for it: it lets everybody pass, and leaves an upstream alone that rests, or has few pulls left. */
  readonly isPatient: boolean;
}

export interface ImageEvent {
  readonly type: 'image';
  /** With its registry and tag or digest; as it was written, where it leads to no registry. */
  readonly image: string;
  /** `failed`: something of it is not here; what could be had is. `skipped`: not tried, or not to its end, by a patient prefetch. */
  readonly state: 'started' | 'done' | 'failed' | 'skipped';
  readonly digest?: Digest;
  /** In one line. */
  readonly error?: string;
  /** Of an index or a config: what is here of it now. */
  readonly platforms?: readonly string[];
  /** Fetched for it, manifests included. */
  readonly bytes?: number;
}

export interface LayerEvent {
  readonly type: 'layer';
  readonly image: string;
  /** Of a layer or a config. */
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly receivedBytes: number;
  /** `present`: it was here before. */
  readonly state: 'waiting' | 'arriving' | 'done' | 'present' | 'failed';
  readonly error?: string;
}

export interface PrefetchSummary {
  readonly images: number;
  readonly failed: number;
  readonly bytes: number;
}

/** `done` is the last one of a prefetch that was not ended early, and comes once. */
export type PrefetchEvent = ImageEvent | LayerEvent | ({ readonly type: 'done' } & PrefetchSummary);

export interface PrefetchStatus {
  readonly id: string;
  /** Milliseconds of the epoch. */
  readonly startedAt: number;
  readonly images: number;
  /** Over and not failed, skipped ones included. */
  readonly done: number;
  readonly failed: number;
  readonly receivedBytes: number;
  readonly isScheduled: boolean;
}
