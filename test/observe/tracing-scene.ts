// Traces that go to a collector of their own, alone or of a whole registry.
import pino from 'pino';
import { tracer } from '../../src/observe/spans.ts';
import { openTracing, type Tracing, type TracingOptions } from '../../src/observe/tracing.ts';
import { type Scene, type StartRegistryOptions, scene } from '../http/start-registry.ts';
import type { LogLine } from '../mirror/start-mirror.ts';
import type { FakeUpstreamOptions } from '../support/fake-upstream.ts';
import { TraceCollector } from '../support/trace-collector.ts';
import { until } from '../support/until.ts';

export interface TracedScene extends Scene {
  readonly collector: TraceCollector;
  readonly tracing: Tracing;
  /** Resolves once so many requests are logged, every fill is over and what was traced has been sent. */
  sent(requests: number): Promise<void>;
}

export interface TracedSceneOptions extends Partial<StartRegistryOptions> {
  readonly upstream?: FakeUpstreamOptions;
  readonly env?: TracingOptions['env'];
}

export async function tracedScene({ upstream, env = {}, ...options }: TracedSceneOptions = {}): Promise<TracedScene> {
  await using opened = new AsyncDisposableStack();
  const collector = opened.use(await TraceCollector.start());
  const at = opened.use(await scene(options, upstream));
  const { mirror } = at.registry;
  const tracing = opened.use(
    await openTracing({ endpoint: collector.url, serviceVersion: '1.2.3', log: mirror.log, env }),
  );
  const all = opened.move();
  return {
    ...{ upstream: at.upstream, registry: at.registry, ask: at.ask, collector, tracing },
    async sent(requests) {
      await until(`${requests} lines`, () => mirror.logLines.filter(({ method }) => method).length === requests);
      await mirror.fills.drained();
      await tracing.use(undefined);
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

export interface OpenedTracing extends AsyncDisposable {
  readonly collector: TraceCollector;
  readonly lines: LogLine[];
  use(endpoint: string | undefined): Promise<void>;
}

export async function openedTracing(options: Partial<TracingOptions> = {}): Promise<OpenedTracing> {
  const collector = await TraceCollector.start();
  const lines: LogLine[] = [];
  const log = pino({ base: null }, { write: (line: string) => lines.push(JSON.parse(line) as LogLine) });
  const endpoint = collector.url;
  const tracing = await openTracing({ endpoint, serviceVersion: '1', log, env: {}, ...options });
  return {
    ...{ collector, lines },
    use: (next) => tracing.use(next),
    async [Symbol.asyncDispose]() {
      await tracing[Symbol.asyncDispose]();
      await collector[Symbol.asyncDispose]();
    },
  };
}

export function endSpans(count: number): void {
  for (let n = 0; n < count; n++)
    tracer()
      ?.start({ name: `span ${n}`, kind: 'internal' })
      .end();
}
