// Who asks whether a repository is public, and an upstream that says what a test wants, when it wants.
import { type AskVisibility, type Sight, type Verdict, Visibility } from '../../src/access/visibility.ts';
import { formatRepository, type Repository } from '../../src/oci/repository.ts';
import type { Gate } from '../support/gate.ts';

export const app: Repository = { registry: 'registry.test', path: 'acme/app' };
export const noon = Date.UTC(2026, 0, 1, 12);
export const minute = 60_000;
export const hour = 60 * minute;
export const away = new Error('the upstream is away');
const never = new AbortController().signal;

interface Asking {
  readonly repository?: Repository;
  readonly signal?: AbortSignal;
  readonly patienceMs?: number;
  readonly address?: string;
  readonly ask?: AskVisibility;
}

export class Scene {
  readonly kept = new Map<string, Verdict>();
  /** Of every question that reached the upstream. */
  readonly signals: AbortSignal[] = [];
  /** What the upstream says; an error, that it cannot be asked. */
  upstream: boolean | Error = true;
  gate: Gate | undefined;
  /** No answer can be kept. */
  broken: Error | undefined;
  readonly visibility: Visibility;

  constructor({ staleMs }: { readonly staleMs?: number } = {}) {
    this.visibility = new Visibility({
      staleMs,
      verdicts: {
        get: (repository) => this.kept.get(formatRepository(repository)),
        put: (repository, isPublic, checkedAt) => {
          if (this.broken) throw this.broken;
          this.kept.set(formatRepository(repository), { isPublic, checkedAt });
        },
      },
    });
  }

  check({ repository = app, ask, ...options }: Asking = {}): Promise<Sight> {
    const asking = ask ?? ((until: AbortSignal) => this.#answer(until));
    return this.visibility.check(repository, asking, {
      signal: never,
      patienceMs: 2000,
      address: '10.0.0.1',
      ...options,
    });
  }

  get asked(): number {
    return this.signals.length;
  }

  async #answer(signal: AbortSignal): Promise<boolean> {
    this.signals.push(signal);
    await this.gate?.pass();
    if (this.upstream instanceof Error) throw this.upstream;
    return this.upstream;
  }
}

/** What an answer of the upstream makes of a repository. */
export function seen(isPublic: boolean): Sight {
  return isPublic ? 'public' : 'private';
}

/** What stands of it while no newer one is to be had. */
export function stillSeen(isPublic: boolean): Sight {
  return isPublic ? 'once public' : 'private';
}
