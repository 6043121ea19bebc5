// What every answer of the admin listener tells a browser: run nothing foreign, show it nowhere else, keep nothing.
import type { MiddlewareHandler } from 'hono';
import type { AdminEnv } from './admin-exchange.ts';

const headers = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  /** Unless a handler knows better. */
  'cache-control': 'no-store',
} as const;

export const securityHeaders: MiddlewareHandler<AdminEnv> = (exchange, next) => {
  // On the connection itself, so that no way out of a handler, an error included, can lose them.
  for (const [name, value] of Object.entries(headers)) exchange.env.outgoing.setHeader(name, value);
  return next();
};
