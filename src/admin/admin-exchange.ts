// What the middleware and the handlers of one request on the admin listener tell each other, and how they refuse it.
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';

export interface AdminEnv {
  Bindings: HttpBindings;
  Variables: {
    /** The address of whoever asks, whatever proxies stand between. */
    from: string;
    /** Set by the guard: who that is, as far as it was shown. */
    who: string | undefined;
    /** How an answer ended whose status had left before that. */
    ended: string | undefined;
  };
}

export type AdminExchange = Context<AdminEnv>;

/** In one line. What an error for people says has its cause in it. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ');
}

export function refuse(exchange: AdminExchange, status: ContentfulStatusCode, why: string): Response {
  return exchange.json({ error: why }, status);
}

/** Where the request goes, as it was written, without what may hold secrets: the query, and a user in front of a host. */
export function pathOf({ env }: AdminExchange): string {
  return (env.incoming.url ?? '').replace(/^https?:\/\/[^/?#]*/, '').replace(/[?#].*$/s, '');
}

/** Fires when the client has left before its answer was through. */
export function departureOf({ env }: AdminExchange): AbortSignal {
  const gone = new AbortController();
  const leave = () => gone.abort(new Error('the client is gone'));
  if (env.outgoing.destroyed) leave();
  else env.outgoing.once('close', leave);
  return gone.signal;
}
