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
  };
}

export type AdminExchange = Context<AdminEnv>;

export function refuse(exchange: AdminExchange, status: ContentfulStatusCode, why: string): Response {
  return exchange.json({ error: why }, status);
}

/** Where the request goes, as it was written, without what may hold secrets: the query, and a user in front of a host. */
export function pathOf({ env }: AdminExchange): string {
  return (env.incoming.url ?? '').replace(/^https?:\/\/[^/?#]*/, '').replace(/[?#].*$/s, '');
}
