// What is pinned, as the index knows it, and whether what the pins mean may have changed.
import { parseReference, type Reference } from '../oci/reference.ts';
import { formatRepository, type Repository } from '../oci/repository.ts';
import type { IndexConnection } from './index-connection.ts';
import type { Statements } from './index-statements.ts';
import { RowMemory } from './row-memory.ts';

export interface Pin {
  readonly repository: Repository;
  readonly reference: Reference;
}

export class PinRecords {
  protected readonly index: IndexConnection;
  readonly #memories: Pick<RowMemory<unknown>, 'clear'>[] = [];
  #pinned = new Set<string>();
  #pinsVersion = 0;
  #gains = 0;
  #losses = 0;

  constructor(index: IndexConnection) {
    this.index = index;
  }

  /** Grows whenever something rests here, or is a repository's, that was not, or was not proven. */
  get gains(): number {
    return this.#gains;
  }

  /** Grows whenever something that rested here, or was a repository's, may be so no longer. */
  get losses(): number {
    return this.#losses;
  }

  /**
   * `reference` is a tag or a digest; whether anything of it is here does not matter, nor who may see the repository: a
   * pin is of a name.
   */
  pin({ registry, path }: Repository, reference: string): void {
    this.index.batch(() => {
      const id = this.findOrAdd({ registry, path });
      this.sql.pin.run(id, reference);
    });
    this.loadPins();
  }

  unpin({ registry, path }: Repository, reference: string): void {
    this.index.batch(() => {
      const id = this.find({ registry, path });
      if (id !== undefined) this.sql.unpin.run(id, reference);
    });
    this.loadPins();
  }

  pins(): Pin[] {
    const rows = this.index.act(() => this.sql.pins.all() as { registry: string; path: string; reference: string }[]);
    return rows.flatMap(({ registry, path, reference: text }) => {
      const reference = parseReference(text);
      return reference ? [{ repository: { registry, path }, reference }] : [];
    });
  }

  /** Grows whenever what the pins mean may have grown: a pin, a tag of its repository, a manifest that came for it. */
  get pinsVersion(): number {
    return this.#pinsVersion;
  }

  protected get sql(): Statements {
    return this.index.statements;
  }

  /** Whenever the pins may be others. */
  protected loadPins(): void {
    this.#pinned = new Set((this.sql.pins.all() as unknown as Repository[]).map(formatRepository));
    this.#pinsVersion++;
  }

  protected hasPins(repository: Repository): boolean {
    return this.#pinned.size > 0 && this.#pinned.has(formatRepository(repository));
  }

  protected pinsMoved(): void {
    this.#pinsVersion++;
  }

  /** Of rows that are asked for at every pull; all of them together take some 12 MB. */
  protected memory<T>(most = 8192): RowMemory<T> {
    const memory = new RowMemory<T>(() => this.index.isInBatch, most);
    this.#memories.push(memory);
    return memory;
  }

  /** Whenever the rows may be others, whoever wrote them. */
  protected forgetAll(): void {
    for (const memory of this.#memories) memory.clear();
  }

  protected gained(): void {
    this.#gains++;
  }

  protected lost(): void {
    this.#losses++;
  }

  protected find(repository: Repository): number | undefined {
    return (this.sql.repository.get(...keyOf(repository)) as { id: number } | undefined)?.id;
  }

  protected findOrAdd(repository: Repository): number {
    return this.find(repository) ?? Number(this.sql.addRepository.run(...keyOf(repository)).lastInsertRowid);
  }
}

export function keyOf(repository: Repository): [string, string, 0 | 1] {
  return [repository.registry, repository.path, classOf(repository)];
}

/** In the index: 1 where only some may see it. */
export function classOf({ isPrivate }: Repository): 0 | 1 {
  return isPrivate ? 1 : 0;
}
