// An OTLP/HTTP receiver that keeps the spans it is sent, and can refuse them or be long about it.
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export interface CollectedSpan {
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client';
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  readonly traceState: string | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Of the process that sent it. */
  readonly resource: Readonly<Record<string, unknown>>;
  readonly isError: boolean;
  readonly message: string | undefined;
  /** The spans that it is linked to. */
  readonly links: readonly string[];
  readonly startMs: number;
  readonly endMs: number;
}

export interface CollectedRequest {
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

export type CollectorMood = 'takes' | 'refuses' | 'drips';

/** https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding, as far as spans have it. */
interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Pair[] };
    readonly scopeSpans: readonly { readonly spans: readonly SentSpan[] }[];
  }[];
}

interface Pair {
  readonly key: string;
  readonly value: {
    readonly stringValue?: string;
    readonly intValue?: number | string;
    readonly boolValue?: boolean;
    readonly doubleValue?: number;
  };
}

interface SentSpan {
  readonly name: string;
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly traceState?: string;
  readonly attributes: readonly Pair[];
  readonly status: { readonly code: number; readonly message?: string };
  readonly links?: readonly { readonly spanId: string }[];
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
}

const kinds: Readonly<Record<number, CollectedSpan['kind']>> = { 1: 'internal', 2: 'server', 3: 'client' };
const failed = 2;
/** Shorter than any time-out between two bytes. */
const dripMs = 200;

export class TraceCollector implements AsyncDisposable {
  readonly url: string;
  readonly spans: CollectedSpan[] = [];
  readonly requests: CollectedRequest[] = [];
  mood: CollectorMood = 'takes';
  readonly #close: () => Promise<void>;

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url;
    this.#close = close;
  }

  static async start(): Promise<TraceCollector> {
    const server = createServer(async (incoming, outgoing) => {
      const body = await buffer(incoming);
      collector.requests.push({ path: incoming.url, headers: incoming.headers });
      if (collector.mood === 'drips') {
        const drip = setInterval(() => outgoing.write(' '), dripMs);
        outgoing.once('close', () => clearInterval(drip));
        return;
      }
      const isTaken = collector.mood === 'takes' && incoming.method === 'POST';
      if (isTaken) collector.#keep(JSON.parse(body.toString()) as Export);
      outgoing.writeHead(isTaken ? 200 : 400, { 'content-type': 'application/json' }).end('{}');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const collector = new TraceCollector(`http://127.0.0.1:${port}`, async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
    return collector;
  }

  /** Of this name, in the order in which they began. */
  named(name: string): CollectedSpan[] {
    return this.spans.filter((span) => span.name === name).sort((one, other) => one.startMs - other.startMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#close();
  }

  #keep({ resourceSpans }: Export): void {
    for (const { resource, scopeSpans } of resourceSpans)
      for (const { spans } of scopeSpans)
        for (const span of spans) this.spans.push(collected(span, valuesOf(resource.attributes)));
  }
}

function collected(span: SentSpan, resource: CollectedSpan['resource']): CollectedSpan {
  const { name, traceId, spanId, parentSpanId, traceState, status, links = [] } = span;
  return {
    ...{ name, traceId, spanId, parentSpanId, traceState, resource },
    kind: kinds[span.kind] ?? 'internal',
    attributes: valuesOf(span.attributes),
    isError: status.code === failed,
    message: status.message,
    links: links.map((link) => link.spanId),
    startMs: Number(span.startTimeUnixNano) / 1e6,
    endMs: Number(span.endTimeUnixNano) / 1e6,
  };
}

function valuesOf(pairs: readonly Pair[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    pairs.map(({ key, value: { stringValue, intValue, boolValue, doubleValue } }) => [
      key,
      stringValue ?? boolValue ?? doubleValue ?? Number(intValue),
    ]),
  );
}
