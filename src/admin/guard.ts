// Who may use the admin listener: this machine's own programs where nobody else can reach it, else who proves to be admin.
import { isIP } from 'node:net';
import type { MiddlewareHandler } from 'hono';
import { AddressPlaces } from '../access/address-places.ts';
import { adminName, type Principal } from '../access/principal.ts';
import { type AdminEnv, type AdminExchange, refuse } from './admin-exchange.ts';
import { showsToken } from './admin-token.ts';
import { hostnameOf, isLoopback } from './loopback.ts';

export interface AdminCaller {
  readonly address: string;
  readonly authorization: string | undefined;
  readonly certificate: undefined;
}

export interface GuardOptions {
  /** What the admin listener listens on. */
  readonly host: string;
  readonly token?: string | undefined;
  readonly identify: (caller: AdminCaller) => Principal | Promise<Principal>;
  /** One of its own: passwords count the wrong ones for themselves. */
  readonly lockout: {
    isLocked(address: string): boolean;
    failed(address: string): void;
    retryInMs(address: string): number;
  };
}

type Guard = MiddlewareHandler<AdminEnv>;

export function guard(options: GuardOptions): Guard {
  return options.token === undefined && isLoopback(options.host) ? openToThisMachine : closed(options);
}

const forwarding = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

const openToThisMachine: Guard = async (exchange, next) => {
  const { headers } = exchange.env.incoming;
  const hostname = hostnameOf(headers.host);
  // A page whose name was pointed at 127.0.0.1 is of the same origin to its browser, but the name shows.
  if (hostname === undefined || !isLoopback(hostname))
    return refuse(exchange, 403, 'only requests to localhost are answered without credentials; set admin.token');
  if (forwarding.some((name) => headers[name] !== undefined))
    return refuse(exchange, 403, 'a request that came through a proxy needs credentials; set admin.token');
  exchange.set('who', 'loopback');
  return next();
};

/** How many answers one address may wait for before it is known whether they count as wrong. */
const mostInDoubt = 10;

function closed({ token, identify, lockout }: GuardOptions): Guard {
  const isToken = token === undefined ? () => false : showsToken(token);
  const inDoubt = new AddressPlaces({ most: Number.POSITIVE_INFINITY, mostEach: mostInDoubt });

  return async function askForCredentials(exchange, next) {
    const address = exchange.get('from');
    const { authorization } = exchange.env.incoming.headers;
    if (lockout.isLocked(address)) return tooMany(exchange, lockout.retryInMs(address));
    if (isToken(authorization)) {
      exchange.set('who', 'admin.token');
      return next();
    }
    const settled = inDoubt.take(address);
    if (!settled) return tooMany(exchange, 1000);
    const principal = await Promise.try(identify, { address, authorization, certificate: undefined }).finally(settled);
    exchange.set('who', principal.name);
    if (isAdmin(principal)) return isRebound(exchange, principal) ? refuse(exchange, 403, byAddress) : next();
    if (authorization === undefined || isProven(principal)) return challengeOrForbid(exchange, principal);
    lockout.failed(address);
    return challenge(exchange);
  };
}

/** A token that is for some repositories only is not for everything, whatever its name. */
function isAdmin({ name, covers }: Principal): boolean {
  return name === adminName && covers === undefined;
}

/** By what came with this request, rather than by where it came from. */
function isProven({ by }: Principal): boolean {
  return by === 'password' || by === 'token' || by === 'identity';
}

const byAddress =
  'who is known by address alone has to ask for this listener by its IP address, because a web page can point a name here';

/** The user's browser is on the right network whoever wrote the page in it. */
function isRebound({ env }: AdminExchange, principal: Principal): boolean {
  const hostname = hostnameOf(env.incoming.headers.host) ?? '';
  return !isProven(principal) && isIP(hostname) === 0 && !isLoopback(hostname);
}

function challengeOrForbid(exchange: AdminExchange, { name }: Principal): Response {
  if (name === undefined) return challenge(exchange);
  return refuse(exchange, 403, `only the principal "${adminName}" may use this listener`);
}

function challenge(exchange: AdminExchange): Response {
  exchange.header('www-authenticate', 'Basic realm="stillwater admin"');
  return refuse(exchange, 401, `this needs admin.token as a bearer token, or the principal "${adminName}"`);
}

function tooMany(exchange: AdminExchange, retryInMs: number): Response {
  const seconds = Math.max(1, Math.ceil(retryInMs / 1000));
  exchange.header('retry-after', String(seconds));
  return refuse(exchange, 429, `too many wrong credentials came from this address; try again in ${seconds} s`);
}
