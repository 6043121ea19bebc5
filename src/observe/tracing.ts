// Traces over OTLP/HTTP: the SDK is loaded when somebody wants them, sends in batches behind the work, and never holds it up.
import { hostname } from 'node:os';
import type * as Sdk from '@opentelemetry/sdk-trace';
import { errorText, type Log } from './log.ts';
import { OtelTracer } from './otel-tracer.ts';
import { type Tracer, useTracer } from './spans.ts';

export interface TracingOptions {
  /** Of an OTLP/HTTP receiver; `undefined`: there are no traces, and nothing is loaded for them. */
  readonly endpoint: string | undefined;
  readonly serviceVersion: string;
  readonly log: Log;
  /** What OpenTelemetry's own variables say of the sampling, instead of the process's. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** A monotonic clock, in milliseconds. */
  readonly now?: () => number;
}

export interface Tracing extends AsyncDisposable {
  /** Where spans go from now on. Throws, and changes nothing, when that cannot be; the last of the others are sent first. */
  use(endpoint: string | undefined): Promise<void>;
}

interface Pipeline {
  readonly tracer: Tracer;
  close(): Promise<void>;
}

const tracesPath = '/v1/traces';
/** Spans that wait to be sent; whatever more come are lost. */
const mostWaiting = 4096;
const mostABatch = 512;
const everyMs = 2000;
/** With all that is tried again; the last ones are sent within the time that stopping has for it. */
const sendMs = 4000;
const stopMs = 5000;
const warnEveryMs = 60_000;
const longestValue = 1024;
const tooMany = `more than ${mostWaiting} spans wait to be sent: sample fewer of them, by OTEL_TRACES_SAMPLER`;
/** Of the SDK's ExportResultCode. */
const succeeded = 0;

/** Throws an error for people when a package is missing. Disposing sends what waits, for at most 5 s. */
export async function openTracing(options: TracingOptions): Promise<Tracing> {
  let pipeline: Pipeline | undefined;
  const onLost = warningsOf(options);
  const use = async (endpoint: string | undefined) => {
    const next = endpoint === undefined ? undefined : await openPipeline(tracesUrl(new URL(endpoint)), options, onLost);
    const before = pipeline;
    pipeline = next;
    useTracer(next?.tracer);
    await before?.close();
  };
  await use(options.endpoint);
  return { use, [Symbol.asyncDispose]: () => use(undefined) };
}

/** As OpenTelemetry has it for a base address; one that names the path already is taken as it is. */
export function tracesUrl(endpoint: URL): URL {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/\/+$/, '');
  url.pathname = path.endsWith(tracesPath) ? path : path + tracesPath;
  return url;
}

async function openPipeline(
  url: URL,
  { serviceVersion, log, env = process.env }: TracingOptions,
  onLost: (loss: Loss) => void,
): Promise<Pipeline> {
  const [api, sdk, { OTLPTraceExporter }, { defaultResource, resourceFromAttributes, detectResources, envDetector }] =
    await loadSdk();
  const { processor, close } = batches(sdk, {
    exporter: new OTLPTraceExporter({ url: url.href, timeoutMillis: sendMs }),
    onLost: (spans, why) => onLost({ endpoint: shown(url), spans, why }),
  });
  const told = resourceFromAttributes({
    'service.name': 'stillwater',
    'service.version': serviceVersion,
    'host.name': hostname(),
  });
  const provider = new sdk.TracerProvider({
    resource: defaultResource()
      .merge(told)
      .merge(detectResources({ detectors: [envDetector] })),
    sampler: samplerOf(sdk, env),
    spanLimits: { attributeValueLengthLimit: longestValue },
    spanProcessors: [processor],
  });
  log.info({ endpoint: shown(url) }, 'traces are sent');
  return { tracer: new OtelTracer(api, provider.getTracer('stillwater', serviceVersion)), close };
}

async function loadSdk() {
  try {
    return await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw cause;
    const name = /@opentelemetry\/[a-z-]+/.exec((cause as Error).message)?.[0] ?? 'an @opentelemetry package';
    const why = `tracing.endpoint is set and ${name} is not installed`;
    throw new Error(`${why}: run npm install without --omit=optional, or take tracing.endpoint out`, { cause });
  }
}

interface BatchOptions {
  readonly exporter: Sdk.SpanExporter;
  readonly onLost: (spans: number, why: unknown) => void;
}

function batches(sdk: typeof Sdk, { exporter, onLost }: BatchOptions) {
  let waiting = 0;
  const batch = new sdk.BatchSpanProcessor({
    maxQueueSize: mostWaiting,
    maxExportBatchSize: mostABatch,
    scheduledDelayMillis: everyMs,
    exportTimeoutMillis: stopMs,
    exporter: {
      export: (spans, done) => {
        waiting -= spans.length;
        exporter.export(spans, (result) => {
          if (result.code !== succeeded) onLost(spans.length, result.error);
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
    },
  });
  const processor: Sdk.SpanProcessor = {
    onStart: () => {},
    onEnd: (span) => {
      if (waiting >= mostWaiting) {
        onLost(1, tooMany);
        return;
      }
      waiting++;
      batch.onEnd(span);
    },
    forceFlush: () => batch.forceFlush(),
    shutdown: () => batch.shutdown(),
  };
  const close = async () => {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, stopMs);
    // What is not taken has been warned of.
    await Promise.race([batch.shutdown().catch(() => {}), late.promise]);
    clearTimeout(timer);
  };
  return { processor, close };
}

interface Loss {
  readonly endpoint: string;
  readonly spans: number;
  readonly why: unknown;
}

/** One line a minute, however many are lost. */
function warningsOf({ log, now = () => performance.now() }: TracingOptions): (loss: Loss) => void {
  let lost = 0;
  let warnedAt = Number.NEGATIVE_INFINITY;
  return ({ endpoint, spans, why }) => {
    lost += spans;
    if (now() - warnedAt < warnEveryMs) return;
    log.warn({ endpoint, spans: lost, error: errorText(why) }, 'traces are lost');
    warnedAt = now();
    lost = 0;
  };
}

/** https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/, which the SDK leaves to others. */
function samplerOf(sdk: typeof Sdk, env: NonNullable<TracingOptions['env']>): Sdk.Sampler {
  const { OTEL_TRACES_SAMPLER: name = 'parentbased_always_on', OTEL_TRACES_SAMPLER_ARG: ratio = '1' } = env;
  const kind = name.replace(/^parentbased_/, '');
  const some = kind === 'traceidratio' ? new sdk.TraceIdRatioBasedSampler(Number(ratio)) : new sdk.AlwaysOnSampler();
  const root = kind === 'always_off' ? new sdk.AlwaysOffSampler() : some;
  return name.startsWith('parentbased_') ? new sdk.ParentBasedSampler({ root }) : root;
}

function shown({ origin, pathname }: URL): string {
  return origin + pathname;
}
