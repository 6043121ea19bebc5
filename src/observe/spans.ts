// What requests, fills and questions to upstreams tell of themselves to whoever collects traces; while nobody does, nothing.
import type { IncomingHttpHeaders } from 'node:http';

export type SpanFacts = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanStart {
  readonly name: string;
  readonly kind: 'server' | 'client' | 'internal';
  readonly facts?: SpanFacts;
  /** Of a request: the trace that they name goes on. Without them it goes on with the span that runs. */
  readonly headers?: IncomingHttpHeaders;
  /** As `performance.now()` tells it; now, if not given. */
  readonly startedAt?: number;
}

export interface SpanEnd {
  /** In place of the one that it began with. */
  readonly name?: string;
  readonly facts?: SpanFacts;
  /** What made it fail. */
  readonly error?: unknown;
}

export interface Span {
  readonly traceId: string;
  /** As W3C Trace Context writes it, for whoever is asked in the course of it. */
  readonly traceparent: string;
  /** What begins in the work, or in what it waits for, is below this span. */
  run<T>(work: () => T): T;
  /** The span that runs now waits for this one as well. */
  join(): void;
  /** The first time counts. */
  end(end?: SpanEnd): void;
}

export interface Tracer {
  start(start: SpanStart): Span;
}

let current: Tracer | undefined;

/** Asked as `tracer()?.start(…)`: without one not even what it would be told is put together. */
export function tracer(): Tracer | undefined {
  return current;
}

/** For the whole process. */
export function useTracer(next: Tracer | undefined): void {
  current = next;
}

/** The span ends with the work. */
export function traced<T>(span: Span | undefined, work: () => Promise<T>): Promise<T> {
  return span ? endedBy(span, work) : work();
}

async function endedBy<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    const result = await span.run(work);
    span.end();
    return result;
  } catch (error) {
    span.end({ error });
    throw error;
  }
}
