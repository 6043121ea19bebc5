// What the middleware and the handlers of one request on the admin listener tell each other, and how they refuse it.
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { targetPath } from '../oci/raw-path.ts';

export interface AdminEnv {
  Bindings: HttpBindings;
  Variables: {
    /** The address of whoever asks, whatever proxies stand between. */
    from: string;
    /** Set by the guard: who that is, as far as it was shown. */
    who: string | undefined;
    /** How an answer ended whose status had left before that. */
    ended: string | undefined;
    /** What a change is about beyond its path, and what it came to: see `tellAbout`. */
    about: About | undefined;
  };
}

export type About = Readonly<Record<string, string | number | boolean | readonly string[]>>;

export type AdminExchange = Context<AdminEnv>;

/** In one line. What an error for people says has its cause in it. */
export function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ');
}

export function refuse(exchange: AdminExchange, status: ContentfulStatusCode, why: string): Response {
  return exchange.json({ error: why }, status);
}

export function pathOf({ env }: AdminExchange): string {
  return targetPath(env.incoming.url ?? '');
}

/** For the line of a change: what has been checked, and only that. What was told before stays unless it is told anew. */
export function tellAbout(exchange: AdminExchange, facts: About): void {
  exchange.set('about', { ...exchange.get('about'), ...facts });
}

const mostNamed = 5;

/** The first of them, and how many there are. */
export function namedImages(images: readonly string[], imageCount = images.length): About {
  return { images: images.slice(0, mostNamed), imageCount };
}

/** Fires when the client has left before its answer was through. */
export function departureOf({ env }: AdminExchange): AbortSignal {
  const gone = new AbortController();
  const leave = () => gone.abort(new Error('the client is gone'));
  if (env.outgoing.destroyed) leave();
  else env.outgoing.once('close', leave);
  return gone.signal;
}
