// One line, one count and one span a request on the registry listener, when its answer has left or its client is gone.
import type { IncomingMessage } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import type { MiddlewareHandler } from 'hono';
import { errorText, type Log, plainLines } from '../observe/log.ts';
import type { Metrics } from '../observe/metrics.ts';
import { type Span, tracer } from '../observe/spans.ts';
import { originForm, targetPath } from '../oci/raw-path.ts';
import { formatReference } from '../oci/reference.ts';
import { formatRepository } from '../oci/repository.ts';
import { isOurFault } from './errors.ts';
import type { ExchangeEnv, ExchangeVariables } from './exchange.ts';

/** What became known of a request on its way. */
export interface Told extends Partial<ExchangeVariables> {
  /** As `performance.now()` tells it. */
  readonly startedAt: number;
  /** Of the request; one that nothing is below of begins as it ends. */
  readonly span?: Span | undefined;
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
    const span = told.span ?? spanOf(incoming, startedAt);
    const isComplete = outgoing.writableFinished;
    const status = outgoing.headersSent ? outgoing.statusCode : clientClosedRequest;
    const { kind, outcome, upstream, subject } = describe(told);
    this.#metrics.requests.inc({ kind, outcome, upstream, status });
    this.#metrics.requestSeconds.observe({ kind, outcome }, (answeredAt - startedAt) / 1000);
    const error = isComplete ? told.error : undefined;
    const line = {
      method: incoming.method,
      url: originForm(incoming.url ?? ''),
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
      traceId: span?.traceId,
    };
    if (span) endSpan(span, { ...line, kind, upstream }, told.error);
    if (error !== undefined && isOurFault(error)) this.#log.error({ ...line, err: error }, 'request failed');
    else this.#lines.info(line, 'request');
  }
}

export function requestLog(log: RequestLog): MiddlewareHandler<ExchangeEnv> {
  return async function logRequest(exchange, next) {
    const startedAt = performance.now();
    const { incoming, outgoing } = exchange.env;
    const span = spanOf(incoming, startedAt);
    const gone = new AbortController();
    exchange.set('clientGone', gone.signal);
    outgoing.once('close', () => {
      if (!outgoing.writableFinished) gone.abort(new Error('the client is gone'));
      log.write(exchange.env, { startedAt, span, ...exchange.var });
    });
    await (span ? span.run(next) : next());
  };
}

function spanOf({ headers }: IncomingMessage, startedAt: number): Span | undefined {
  return tracer()?.start({ name: 'request', kind: 'server', headers, startedAt });
}

interface Line {
  readonly method: string | undefined;
  readonly url: string;
  readonly status: number;
  readonly kind: string;
  readonly outcome: string;
  readonly upstream: string;
  readonly repository?: string;
  readonly reference?: string;
  readonly digest?: string;
  readonly bytes: number;
  readonly complete: boolean;
  readonly userAgent: string | undefined;
}

/** What a client asked for wrongly is no error of ours. */
function endSpan(span: Span, line: Line, error: unknown): void {
  const { method, url, status, kind, outcome, upstream, repository, reference, digest } = line;
  span.end({
    name: `${method} ${kind}`,
    facts: {
      'http.request.method': method,
      // A query may hold what is nobody's business.
      'url.path': targetPath(url),
      'http.response.status_code': status,
      'user_agent.original': line.userAgent,
      'stillwater.kind': kind,
      'stillwater.outcome': outcome,
      'stillwater.upstream': upstream,
      'stillwater.repository': repository,
      'stillwater.reference': reference,
      'stillwater.digest': digest,
      'stillwater.bytes': line.bytes,
      'stillwater.complete': line.complete,
    },
    ...(status >= 500 && { error: error ?? `answered with ${status}` }),
  });
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
