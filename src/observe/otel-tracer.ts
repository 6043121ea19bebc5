// Spans as the OpenTelemetry SDK makes them; which one runs is kept here, so that nothing of the process is replaced.
import { AsyncLocalStorage } from 'node:async_hooks';
import type * as Api from '@opentelemetry/api';
import { errorText } from './log.ts';
import type { Span, SpanEnd, SpanFacts, SpanStart, Tracer } from './spans.ts';
import { formatTraceparent, parseTraceparent } from './trace-context.ts';

export class OtelTracer implements Tracer {
  readonly #api: typeof Api;
  readonly #tracer: Api.Tracer;
  readonly #running = new AsyncLocalStorage<Api.Span>();

  constructor(api: typeof Api, tracer: Api.Tracer) {
    this.#api = api;
    this.#tracer = tracer;
  }

  start({ name, kind, facts, headers, startedAt = performance.now() }: SpanStart): Span {
    const options = { kind: this.#kindOf(kind), startTime: startedAt, attributes: known(facts) };
    const parent = headers ? undefined : this.#running.getStore();
    const span = this.#tracer.startSpan(name, options, this.#contextOf(parent, headers));
    return new OtelSpan(this.#api, span, { parent, running: this.#running });
  }

  #kindOf(kind: SpanStart['kind']): Api.SpanKind {
    const { SpanKind } = this.#api;
    return { server: SpanKind.SERVER, client: SpanKind.CLIENT, internal: SpanKind.INTERNAL }[kind];
  }

  #contextOf(parent: Api.Span | undefined, headers: SpanStart['headers']): Api.Context {
    const { ROOT_CONTEXT, trace, createTraceState } = this.#api;
    if (parent) return trace.setSpan(ROOT_CONTEXT, parent);
    const remote = headers && parseTraceparent(headers);
    if (!remote) return ROOT_CONTEXT;
    const { state, ...ids } = remote;
    const traceState = state === undefined ? {} : { traceState: createTraceState(state) };
    return trace.setSpanContext(ROOT_CONTEXT, { ...ids, isRemote: true, ...traceState });
  }
}

interface Place {
  readonly parent: Api.Span | undefined;
  readonly running: AsyncLocalStorage<Api.Span>;
}

class OtelSpan implements Span {
  readonly #api: typeof Api;
  readonly #span: Api.Span;
  readonly #place: Place;

  constructor(api: typeof Api, span: Api.Span, place: Place) {
    this.#api = api;
    this.#span = span;
    this.#place = place;
  }

  get traceId(): string {
    return this.#span.spanContext().traceId;
  }

  get traceparent(): string {
    return formatTraceparent(this.#span.spanContext());
  }

  run<T>(work: () => T): T {
    return this.#place.running.run(this.#span, work);
  }

  join(): void {
    const { parent, running } = this.#place;
    const joining = running.getStore();
    if (joining && joining !== parent && joining !== this.#span) joining.addLink({ context: this.#span.spanContext() });
  }

  end({ name, facts, error }: SpanEnd = {}): void {
    if (name !== undefined) this.#span.updateName(name);
    if (facts) this.#span.setAttributes(known(facts));
    if (error !== undefined) {
      this.#span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: errorText(error) });
      this.#span.setAttribute('error.type', typeOf(error));
    }
    this.#span.end(performance.now());
  }
}

function known(facts: SpanFacts = {}): Api.Attributes {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
}

/** In few words, as a query wants it. */
function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { failure, code } = error as { readonly failure?: string; readonly code?: string | number };
  return [failure, code].find((word) => typeof word === 'string') ?? error.name;
}
