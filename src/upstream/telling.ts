// What metrics and traces hear of one request to an upstream.
import type { Metrics } from '../observe/metrics.ts';
import { type Span, tracer } from '../observe/spans.ts';
import type { UpstreamRequest } from './transport.ts';
import { UpstreamError } from './upstream.ts';

export interface TellingOptions {
  /** The upstream in metrics. */
  readonly label: string;
  readonly metrics: Metrics;
  /** Where this one goes; `request.url`, or what a redirect led to. */
  readonly url: URL;
  readonly isForeign: boolean;
}

/** What we act on, and what proxies in front of registries say; an upstream can put any number there. */
const known: ReadonlySet<number> = new Set([
  ...[200, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 410, 416, 429],
  ...[500, 501, 502, 503, 504],
]);

export class Telling {
  readonly #span: Span | undefined;
  readonly #labels: { readonly upstream: string; readonly kind: string };
  readonly #metrics: Metrics;
  readonly #bytes: { inc(bytes: number): void };
  readonly #traced: boolean;
  #status: number | undefined;
  #received = 0;

  constructor({ method, kind, headers }: UpstreamRequest, { label, metrics, url, isForeign }: TellingOptions) {
    this.#labels = { upstream: label, kind };
    this.#metrics = metrics;
    this.#bytes = metrics.upstreamBytes.labels({ upstream: label });
    this.#traced = !isForeign && kind !== 'token';
    this.#span = tracer()?.start({
      name: `${method} ${kind}`,
      kind: 'client',
      facts: {
        'http.request.method': method,
        'server.address': url.hostname,
        'server.port': Number(url.port) || (url.protocol === 'https:' ? 443 : 80),
        // The rest of another host's address may be what opens it.
        'url.path': isForeign ? undefined : url.pathname,
        'stillwater.upstream': label,
        'stillwater.kind': kind,
        'stillwater.range': headers?.range,
      },
    });
  }

  /** For the registry that is asked; what hosts its bytes or its logins hears nothing of whose work it is. */
  get headers(): Readonly<Record<string, string>> | undefined {
    return this.#span && this.#traced ? { traceparent: this.#span.traceparent } : undefined;
  }

  answered(status: number): void {
    this.#status = status;
    this.#metrics.upstreamRequests.inc({ ...this.#labels, status: known.has(status) ? String(status) : 'other' });
  }

  unanswered(error: unknown): void {
    this.#metrics.upstreamRequests.inc({ ...this.#labels, status: 'error' });
    this.over(error);
  }

  received(bytes: number): void {
    this.#bytes.inc(bytes);
    this.#received += bytes;
  }

  /** Nothing more of the answer is read. An error that is not the upstream's: who asked has left. */
  over(error?: unknown): void {
    const isTheirs = error instanceof UpstreamError;
    this.#span?.end({
      facts: {
        'http.response.status_code': this.#status,
        'stillwater.bytes': this.#received,
        'stillwater.abandoned': error !== undefined && !isTheirs ? true : undefined,
      },
      ...(isTheirs && { error }),
    });
  }
}
