// Requests that are being answered at the same time for one client address: those beyond the limit are told at once.
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { MiddlewareHandler } from 'hono';
import type { AddressPlaces } from '../access/address-places.ts';
import type { Exchange, ExchangeEnv } from './exchange.ts';

export interface RequestsInFlightOptions {
  readonly places: AddressPlaces;
  readonly addressOf: (exchange: Exchange) => string;
}

/** Belongs behind `takeTurns`: a request that waits for its turn on a connection is not counted. */
export function requestsInFlight({ places, addressOf }: RequestsInFlightOptions): MiddlewareHandler<ExchangeEnv> {
  return async function countRequest(exchange, next) {
    const { outgoing } = exchange.env;
    // Its end has been and would not be heard.
    if (outgoing.destroyed) return RESPONSE_ALREADY_SENT;
    const leave = places.take(addressOf(exchange));
    if (!leave) return exchange.json(tooMany(places.mostEach), 429);
    outgoing.once('close', leave);
    return next();
  };
}

function tooMany(most: number) {
  const message = `more than ${most} requests at the same time from one address; ask again when some have been answered`;
  return { errors: [{ code: 'TOOMANYREQUESTS', message, detail: null }] };
}
