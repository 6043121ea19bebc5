// HTTP/1.1 pipelining: requests of one connection are answered one after the other.
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { MiddlewareHandler } from 'hono';
import type { ExchangeEnv } from './exchange.ts';

/**
 * Only the response whose turn it is has a socket, and only it hears that socket drain or close. The others wait here,
 * holding nothing; when the connection ends they end with it.
 */
export function takeTurns(): MiddlewareHandler<ExchangeEnv> {
  return async function waitForTurn({ env: { incoming, outgoing } }, next) {
    if (!outgoing.socket)
      await new Promise<unknown>((resolve) => {
        outgoing.once('socket', resolve);
        incoming.once('close', resolve);
      });
    return outgoing.socket ? next() : RESPONSE_ALREADY_SENT;
  };
}
