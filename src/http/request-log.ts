// One line and one count a request on the registry listener, when its answer has left or its client is gone.
import type { HttpBindings } from '@hono/node-server';
import type { MiddlewareHandler } from 'hono';
import { errorText, type Log, plainLines } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { formatReference } from '../oci/reference.ts';
import { formatRepository } from '../oci/repository.ts';
import { isOurFault } from './errors.ts';
import type { ExchangeEnv, ExchangeVariables } from './exchange.ts';

/** What became known of a request on its way. */
export interface Told extends Partial<ExchangeVariables> {
  /** As `performance.now()` tells it. */
  readonly startedAt: number;
}

/** nginx's number for a client that left before its answer began: never sent, only logged. */
const clientClosedRequest = 499;

export class RequestLog {
  readonly #log: Log;
  readonly #lines: Log;
  readonly #metrics: Metrics;

  constructor(log: Log, metrics: Metrics) {
    this.#log = log;
    this.#lines = plainLines(log);
    this.#metrics = metrics;
  }

  /** Once the answer is closed. */
  write({ incoming, outgoing }: HttpBindings, told: Told): void {
    const { startedAt, headAt: answeredAt = performance.now(), address, principal, refused } = told;
    const isComplete = outgoing.writableFinished;
    const status = outgoing.headersSent ? outgoing.statusCode : clientClosedRequest;
    const { kind, outcome, upstream, subject } = describe(told);
    this.#metrics.requests.inc({ kind, outcome, upstream, status });
    this.#metrics.requestSeconds.observe({ kind, outcome }, (answeredAt - startedAt) / 1000);
    const error = isComplete ? told.error : undefined;
    const line = {
      method: incoming.method,
      url: incoming.url,
      status,
      outcome,
      ...subject,
      // As the handlers counted them: a socket does not hear of what the kernel sends past it.
      bytes: told.sentBytes ?? 0,
      complete: isComplete,
      headMs: Math.round(answeredAt - startedAt),
      totalMs: Math.round(performance.now() - startedAt),
      remote: address,
      principal: principal?.name,
      ...(incoming.headers.authorization !== undefined && { credentials: principal?.by ?? 'unknown' }),
      refused,
      userAgent: incoming.headers['user-agent'],
      ...(error !== undefined && { error: errorText(error) }),
    };
    if (error !== undefined && isOurFault(error)) this.#log.error({ ...line, err: error }, 'request failed');
    else this.#lines.info(line, 'request');
  }
}

export function requestLog(log: RequestLog): MiddlewareHandler<ExchangeEnv> {
  return async function logRequest(exchange, next) {
    const startedAt = performance.now();
    const { outgoing } = exchange.env;
    const gone = new AbortController();
    exchange.set('clientGone', gone.signal);
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) gone.abort(new Error('the client is gone'));
      log.write(exchange.env, { startedAt, ...exchange.var });
    });
    await next();
  };
}

function describe({ path, source, outcome }: Told) {
  const target = path?.target;
  return {
    kind: target?.kind ?? 'other',
    outcome: outcome ?? 'none',
    upstream: source?.upstream.label ?? 'none',
    subject: {
      ...(source && { repository: formatRepository(source.repository) }),
      ...(target?.kind === 'manifest' && { reference: formatReference(target.reference) }),
      ...(target && 'digest' in target && { digest: target.digest }),
    },
  };
}
