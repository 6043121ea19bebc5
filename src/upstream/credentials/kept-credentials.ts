// A login whose credentials come from a command: kept until shortly before they expire, and renewed behind.
import { errorText, type Log } from '../../observe/log.ts';
import { type Credentials, sameCredentials } from './credentials.ts';
import type { Login } from './login.ts';
import type { PrintedCredentials } from './printed-credentials.ts';

export interface KeptCredentialsOptions {
  readonly id: string;
  readonly name: string;
  readonly log: Log;
  /** Throws `UpstreamError` 'login'. */
  readonly fetch: () => Promise<PrintedCredentials | undefined>;
}

interface Kept {
  readonly credentials: Credentials | undefined;
  readonly fetchedAt: number;
  readonly expiresAt: number;
  renewAt: number;
}

const minute = 60_000;
const keepMs = 15 * minute;
/** New credentials that are refused are not worth a second run of the command. */
const freshMs = 10_000;

export class KeptCredentials implements Login {
  readonly id: string;
  readonly #options: KeptCredentialsOptions;
  #kept: Kept | undefined;
  #fetching: Promise<Kept> | undefined;

  constructor(options: KeptCredentialsOptions) {
    this.id = options.id;
    this.#options = options;
  }

  async credentials(): Promise<Credentials | undefined> {
    const kept = this.#kept;
    const now = performance.now();
    if (!kept || now >= kept.expiresAt) return (await this.#fetch()).credentials;
    if (now >= kept.renewAt) this.#renewBehind(kept);
    return kept.credentials;
  }

  refused(credentials: Credentials): boolean {
    const kept = this.#kept;
    if (kept?.credentials !== credentials) return true;
    if (performance.now() - kept.fetchedAt < freshMs) return false;
    this.#kept = undefined;
    return true;
  }

  #renewBehind(kept: Kept): void {
    const { id, name, log } = this.#options;
    kept.renewAt = performance.now() + minute;
    this.#fetch().catch((error: unknown) => {
      log.warn({ upstream: name, credential: id, error: errorText(error) }, 'the old credentials stay in use');
    });
  }

  #fetch(): Promise<Kept> {
    this.#fetching ??= this.#options
      .fetch()
      .then((printed) => this.#keep(printed))
      .finally(() => {
        this.#fetching = undefined;
      });
    return this.#fetching;
  }

  #keep(printed: PrintedCredentials | undefined): Kept {
    const { id, name, log } = this.#options;
    if (printed) log.debug({ upstream: name, credential: id }, 'credentials were fetched');
    else log.warn({ upstream: name, credential: id }, 'no credentials for this upstream: it is asked anonymously');
    const now = performance.now();
    const { credentials, expiresAt } = printed ?? {};
    const old = this.#kept?.credentials;
    const leftMs = expiresAt === undefined ? undefined : expiresAt - Date.now();
    this.#kept = {
      credentials: old && credentials && sameCredentials(old, credentials) ? old : credentials,
      fetchedAt: now,
      // Some are only ever told to us when they are nearly over, or our clock is ahead: they are tried all the same.
      expiresAt: now + (leftMs === undefined ? Number.POSITIVE_INFINITY : Math.max(leftMs, freshMs)),
      renewAt: now + (leftMs === undefined ? keepMs : Math.max(leftMs - Math.max(leftMs / 10, minute), freshMs)),
    };
    return this.#kept;
  }
}
