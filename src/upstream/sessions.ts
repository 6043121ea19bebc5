// Who we can be to one endpoint: every login with its own limits, and whose turn it is.
import type { Authenticator } from './auth/authenticator.ts';
import type { Limits, QuestionKind } from './rate-limit.ts';
import type { LimitStatus } from './upstream.ts';

export interface Session {
  readonly authenticator: Authenticator;
  readonly limits: Limits;
}

/** A tag is believed for at most so many times its usual life. */
const mostThrift = 12;

export class Sessions {
  readonly #known: readonly Session[];
  /** Nobody: it never has anything to show. */
  readonly anonymous: Session;

  /** `known`: those with credentials; there may be none. */
  constructor(known: readonly Session[], anonymous: Session) {
    this.#known = known;
    this.anonymous = anonymous;
  }

  /** Those that may ask, each once: first who has most left. It looks anew each time, so that refusals count at once. */
  *inTurn(kind: QuestionKind): Generator<Session> {
    const tried = new Set<Session>();
    for (;;) {
      const next = mostLeft(this.#willing.filter((session) => !tried.has(session) && session.limits.mayAsk(kind)));
      if (!next) return;
      tried.add(next);
      yield next;
    }
  }

  /** Nobody, in place of logins that are refused: what it is not given may be there all the same. */
  isStandIn(session: Session): boolean {
    return session === this.anonymous && this.#known.length > 0;
  }

  /** It has credentials to show. */
  isKnown(session: Session): boolean {
    return this.#known.includes(session);
  }

  mayAsk(kind: QuestionKind): boolean {
    return this.#willing.some(({ limits }) => limits.mayAsk(kind));
  }

  /** Until one of them may ask; `undefined` when one may now. */
  retryInMs(kind: QuestionKind): number | undefined {
    const waits = this.#willing.map(({ limits }) => limits.retryInMs(kind));
    return waits.includes(undefined) ? undefined : Math.min(...waits.map((wait) => wait ?? 0));
  }

  /** 1 while half of the pulls are left, and then more, the fewer there are; 1 too where no limit is known. */
  get thrift(): number {
    let [left, given] = [0, 0];
    for (const { limits } of this.#willing) {
      if (limits.remaining === undefined || !limits.limit) return 1;
      left += limits.remaining;
      given += limits.limit;
    }
    return left >= given / 2 ? 1 : Math.min(mostThrift, given / 2 / left);
  }

  /** The host that the registry sends us to for tokens, where it named one. */
  get tokenServer(): string | undefined {
    return [...this.#known, this.anonymous].map(({ authenticator }) => authenticator.tokenServer).find(Boolean);
  }

  /** Why the first of those that were refused was. */
  get problem(): string | undefined {
    return this.#known.map(({ authenticator }) => authenticator.problem).find((problem) => problem !== undefined);
  }

  status(): LimitStatus[] {
    return (this.#known.length > 0 ? this.#known : [this.anonymous]).map(({ authenticator, limits }) => {
      const { retryInMs, ...status } = limits.status();
      const { problem } = authenticator;
      const waits = [retryInMs, authenticator.retryInMs].filter((wait) => wait !== undefined);
      return { ...status, retryInMs: waits.length === 0 ? undefined : Math.max(...waits), problem };
    });
  }

  /** Public images go on without a login. */
  get #willing(): readonly Session[] {
    const accepted = this.#known.filter(({ authenticator }) => !authenticator.isRefused);
    return accepted.length > 0 ? accepted : [this.anonymous];
  }
}

/** Nothing told counts as full. */
function mostLeft(sessions: readonly Session[]): Session | undefined {
  const left = ({ limits }: Session) => limits.remaining ?? Number.POSITIVE_INFINITY;
  return sessions.reduce<Session | undefined>(
    (best, session) => (best && left(best) >= left(session) ? best : session),
    undefined,
  );
}
