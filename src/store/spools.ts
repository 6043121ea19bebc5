// Where blobs arrive: makes spools, and clears away what a process that died left of its own.
import type { Digest } from '../oci/digest.ts';
import { clearSpools, type Layout } from './layout.ts';
import { Spool } from './spool.ts';
import { Verifier } from './verifier.ts';

export class Spools {
  readonly #layout: Layout;
  readonly #verifier = new Verifier();

  private constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** Only the holder of the directory's lock may open it. */
  static async open(layout: Layout): Promise<Spools> {
    await clearSpools(layout);
    return new Spools(layout);
  }

  create(digest: Digest, size: number): Promise<Spool> {
    return Spool.create(this.#layout, this.#verifier, digest, size);
  }

  async close(): Promise<void> {
    await this.#verifier.close();
  }
}
