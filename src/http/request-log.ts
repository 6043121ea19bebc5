// One line and one count a request on the registry listener, when its answer has left or its client is gone.
import type { MiddlewareHandler } from 'hono';
import { errorText, type Log } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { formatReference } from '../oci/reference.ts';
import { formatRepository } from '../oci/repository.ts';
import { isOurFault } from './errors.ts';
import type { Exchange, ExchangeEnv } from './exchange.ts';

/** nginx's number for a client that left before its answer began: never sent, only logged. */
const clientClosedRequest = 499;

export function requestLog(log: Log, metrics: Metrics): MiddlewareHandler<ExchangeEnv> {
  return async function logRequest(exchange, next) {
    const startedAt = performance.now();
    const { incoming, outgoing } = exchange.env;
    const { socket } = incoming;
    const { bytesWritten } = socket;
    const gone = new AbortController();
    exchange.set('clientGone', gone.signal);
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) gone.abort(new Error('the client is gone'));
      const status = outgoing.headersSent ? outgoing.statusCode : clientClosedRequest;
      const answeredAt = exchange.get('headAt') ?? performance.now();
      const { kind, outcome, upstream, subject } = describe(exchange);
      metrics.requests.inc({ kind, outcome, upstream, status });
      metrics.requestSeconds.observe({ kind, outcome }, (answeredAt - startedAt) / 1000);
      const error = gone.signal.aborted ? undefined : exchange.get('error');
      const line = {
        method: incoming.method,
        url: incoming.url,
        status,
        outcome,
        ...subject,
        bytes: socket.bytesWritten - bytesWritten,
        complete: outgoing.writableFinished,
        headMs: Math.round(answeredAt - startedAt),
        totalMs: Math.round(performance.now() - startedAt),
        remote: exchange.get('address'),
        principal: exchange.get('principal')?.name,
        ...(incoming.headers.authorization !== undefined && {
          credentials: exchange.get('principal')?.by ?? 'unknown',
        }),
        refused: exchange.get('refused'),
        userAgent: incoming.headers['user-agent'],
        ...(error !== undefined && { error: errorText(error) }),
      };
      if (error !== undefined && isOurFault(error)) log.error({ ...line, err: error }, 'request failed');
      else log.info(line, 'request');
    });
    await next();
  };
}

function describe(exchange: Exchange) {
  const target = exchange.get('path')?.target;
  const source = exchange.get('source');
  return {
    kind: target?.kind ?? 'other',
    outcome: exchange.get('outcome') ?? 'none',
    upstream: source?.upstream.label ?? 'none',
    subject: {
      ...(source && { repository: formatRepository(source.repository) }),
      ...(target?.kind === 'manifest' && { reference: formatReference(target.reference) }),
      ...(target && 'digest' in target && { digest: target.digest }),
    },
  };
}
