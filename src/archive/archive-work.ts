// How much is looked at of one archive, all its images together: bounded, and in turns that hold nobody up.
import { Pace } from '../mirror/images/pace.ts';
import { ArchiveError } from './archive-error.ts';

/** A hundred images of ten platforms name some fifty thousand things, each looked at a few times. */
const mostLooks = 500_000;
/** Of what is read as JSON; it costs as much as a few things that are named. */
const bytesALook = 1024;

export class ArchiveWork {
  readonly #pace: Pace;
  #looks = 0;

  constructor(signal: AbortSignal) {
    this.#pace = new Pace(signal);
  }

  /** Throws `ArchiveError` when it is more than any archive needs, and the signal's reason. */
  async look(count = 1): Promise<void> {
    this.#looks += count;
    if (this.#looks > mostLooks)
      throw new ArchiveError(
        'the images of the archive name too much to be looked through; save fewer of them at once',
      );
    await this.#pace.rest();
  }

  lookAtBytes(sizeBytes: number): Promise<void> {
    return this.look(Math.ceil(sizeBytes / bytesALook));
  }
}
