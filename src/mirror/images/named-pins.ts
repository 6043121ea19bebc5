// Which image is pinned by its name, as opposed to what must stay because a pinned one is made of it.
import type { Digest } from '../../oci/digest.ts';
import { formatRepository, type Repository } from '../../oci/repository.ts';
import type { Pin, Records } from '../../store/records.ts';

export interface NamedDigest {
  readonly repository: Repository;
  /** `undefined`: of any tag, or none. */
  readonly tag: string | undefined;
  readonly digest: Digest;
}

/** As of the turn in which it was made. */
export class NamedPins {
  readonly #records: Pick<Records, 'meanings'>;
  readonly #ofName: ReadonlyMap<string, readonly Pin[]>;

  constructor(records: Pick<Records, 'pins' | 'meanings'>) {
    this.#records = records;
    this.#ofName = Map.groupBy(records.pins(), ({ repository }) => formatRepository(repository));
  }

  of(repository: Repository): readonly Pin[] {
    return this.#ofName.get(formatRepository(repository)) ?? [];
  }

  /** The pin that keeps it. */
  keeping({ repository, tag, digest }: NamedDigest): Pin | undefined {
    return this.of(repository).find((pin) => {
      const { reference } = pin;
      if ('digest' in reference) return reference.digest === digest;
      return tag === undefined ? this.#records.meanings(pin).includes(digest) : reference.tag === tag;
    });
  }
}
