// Requests that change something: none on behalf of a foreign web page, and one line in the log for each, refused or not.
import type { MiddlewareHandler } from 'hono';
import { anonymousName } from '../access/principal.ts';
import { auditLines, type Log } from '../observe/log.ts';
import { type About, type AdminEnv, type AdminExchange, pathOf, refuse } from './admin-exchange.ts';

/** Around everything that may refuse. Written at every log level but `silent`. */
export function auditChanges(log: Log): MiddlewareHandler<AdminEnv> {
  const lines = auditLines(log);
  return async function auditChange(exchange, next) {
    if (!isChange(exchange)) return next();
    let status = 500;
    try {
      await next();
      status = exchange.res.status;
    } finally {
      const { method } = exchange.env.incoming;
      const { about, ended } = exchange.var;
      lines.info(
        {
          who: oneLine(exchange.get('who') ?? anonymousName),
          what: `${method} ${oneLine(pathOf(exchange))}`,
          from: oneLine(exchange.get('from')),
          status,
          ...(about !== undefined && { about: inOneLine(about) }),
          ...(ended !== undefined && { ended: oneLine(ended) }),
        },
        'a change was asked for',
      );
    }
  };
}

/** Behind the guard: a browser sends what it knows of its user along with a foreign page's request too. */
export const sameOriginChanges: MiddlewareHandler<AdminEnv> = async (exchange, next) => {
  if (!isChange(exchange) || isSameOrigin(exchange)) return next();
  return refuse(
    exchange,
    403,
    'a page of another site may not change anything here; if it was this one, let the proxy in front keep the Host header',
  );
};

/** Whatever is not known to be harmless. */
function isChange({ env }: AdminExchange): boolean {
  return env.incoming.method !== 'GET' && env.incoming.method !== 'HEAD';
}

/** Browsers send the first only to HTTPS and to localhost, but one of both with every change; other programs send none. */
function isSameOrigin({ env }: AdminExchange): boolean {
  const { 'sec-fetch-site': site, origin, host } = env.incoming.headers;
  if (site !== undefined) return site === 'same-origin' || site === 'none';
  return origin === undefined || (host !== undefined && URL.parse(origin)?.host === host.toLowerCase());
}

function inOneLine(about: About): About {
  const shown = Object.entries(about).map(([name, fact]) => {
    if (typeof fact === 'object') return [name, fact.map(oneLine)];
    return [name, typeof fact === 'string' ? oneLine(fact) : fact];
  });
  return Object.fromEntries(shown);
}

const longest = 1000;

/** Nothing that a terminal, or a reader of lines, could take for something else. */
function oneLine(text: string): string {
  const shown = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return shown.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (odd) => `\\u{${odd.codePointAt(0)?.toString(16)}}`);
}
