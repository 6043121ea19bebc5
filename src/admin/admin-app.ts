// The admin listener put together. Whatever is added below the guard is behind it; only the probes are above.
import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { ImageQueryError } from '../mirror/images/images.ts';
import { PinnedError } from '../mirror/images/purge.ts';
import type { Log } from '../observe/log.ts';
import { OciError, type OciErrorCode } from '../oci/errors.ts';
import { type AdminApiOptions, adminApi } from './admin-api.ts';
import { type AdminEnv, pathOf, refuse } from './admin-exchange.ts';
import { auditChanges, sameOriginChanges } from './changes.ts';
import { type GuardOptions, guard } from './guard.ts';
import { probes } from './probes.ts';
import { securityHeaders } from './security-headers.ts';

export interface AdminAppOptions extends GuardOptions, AdminApiOptions {
  readonly log: Log;
  /** Whether /metrics is behind the guard too. */
  readonly protectMetrics: boolean;
  /** Of the client, where proxies that are trusted may stand between; `forwardedFor` is X-Forwarded-For. */
  readonly addressOf: (peer: string, forwardedFor: string | undefined) => string;
}

export function adminApp(options: AdminAppOptions): Hono<AdminEnv> {
  const { metrics, checks, log, protectMetrics, addressOf } = options;
  const app = new Hono<AdminEnv>();
  const guarded = guard(options);

  app.use(securityHeaders, async (exchange, next) => {
    const { socket, headers } = exchange.env.incoming;
    exchange.set('from', addressOf(socket.remoteAddress ?? '', headers['x-forwarded-for']?.toString()));
    return next();
  });
  app.use(auditChanges(log));
  if (protectMetrics) app.use('/metrics', guarded);
  app.route('/', probes(metrics, checks));

  app.use(guarded, sameOriginChanges);
  app.route('/', adminApi(options));

  app.notFound((exchange) => refuse(exchange, 404, 'there is nothing here; see /livez, /readyz, /metrics and /api/v1'));
  app.onError((error, exchange) => {
    const status = statusOf(error);
    if (status !== undefined) return refuse(exchange, status, error.message);
    log.error({ err: error, method: exchange.env.incoming.method, path: pathOf(exchange) }, 'admin request failed');
    return refuse(exchange, 500, 'the mirror failed at this; its log says why');
  });
  return app;
}

function statusOf(error: Error): ContentfulStatusCode | undefined {
  if (error instanceof HTTPException) return error.status;
  if (error instanceof ImageQueryError) return 400;
  if (error instanceof PinnedError) return 409;
  return error instanceof OciError ? statusOfCode[error.code] : undefined;
}

const statusOfCode: Partial<Record<OciErrorCode, ContentfulStatusCode>> = {
  DENIED: 403,
  DIGEST_INVALID: 400,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  UNSUPPORTED: 400,
};
