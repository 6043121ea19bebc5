// How far a fill has come, for people.
import type { Digest } from '../oci/digest.ts';
import type { Spool } from '../store/spool.ts';
import { Rate } from './rate.ts';

export interface FillStatus {
  readonly digest: Digest;
  /** `docker.io/library/redis`: for whom it was begun. */
  readonly repository: string;
  readonly upstream: string;
  readonly sizeBytes: number | undefined;
  /** What an earlier fill left included, as far as it has proven true. */
  readonly receivedBytes: number;
  readonly bytesPerSecond: number;
  /** Who waits for it, or reads it, now. */
  readonly readers: number;
  /** Somebody waited for it, now or before. */
  readonly isWanted: boolean;
  /** For its turn, for the upstream's first answer, or for room; for bytes; for the proof of the last one, and the disk. */
  readonly state: 'waiting' | 'arriving' | 'verifying';
  /** In milliseconds of the epoch. */
  readonly startedAt: number;
}

export class FillProgress {
  readonly #startedAt = Date.now();
  readonly #told: number | undefined;
  readonly #rate = new Rate();
  /** Once there is one. */
  spool: Spool | undefined;

  /** `told`: what a manifest says of its size. */
  constructor(told: number | undefined) {
    this.#told = told;
  }

  wrote(bytes: number): void {
    this.#rate.add(bytes);
  }

  get status(): Pick<FillStatus, 'sizeBytes' | 'receivedBytes' | 'bytesPerSecond' | 'state' | 'startedAt'> {
    const receivedBytes = this.spool?.written.total ?? 0;
    const isWritten = this.spool?.prefix === this.spool?.size;
    return {
      sizeBytes: this.spool?.size ?? this.#told,
      receivedBytes,
      bytesPerSecond: this.#rate.bytesPerSecond,
      state: this.spool ? (isWritten ? 'verifying' : 'arriving') : 'waiting',
      startedAt: this.#startedAt,
    };
  }
}
