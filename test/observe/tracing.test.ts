// Where spans go: to the right address, in batches, without ever holding up who ends them.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { traced, tracer } from '../../src/observe/spans.ts';
import { tracesUrl } from '../../src/observe/tracing.ts';
import { TraceCollector } from '../support/trace-collector.ts';
import { endSpans, openedTracing } from './tracing-scene.ts';

const tracingFile = new URL('../../src/observe/tracing.ts', import.meta.url).href;

describe('the address', () => {
  test.each([
    ['http://collector:4318', 'http://collector:4318/v1/traces'],
    ['http://collector:4318/', 'http://collector:4318/v1/traces'],
    ['https://collector/otlp', 'https://collector/otlp/v1/traces'],
    ['https://collector/otlp/', 'https://collector/otlp/v1/traces'],
    ['https://collector/v1/traces', 'https://collector/v1/traces'],
    ['https://collector/v1/traces/', 'https://collector/v1/traces'],
    ['https://collector/api?key=1', 'https://collector/api/v1/traces?key=1'],
  ])('%s means %s', (endpoint, url) => {
    expect(tracesUrl(new URL(endpoint)).href).toBe(url);
  });
});

describe('spans', () => {
  test('are sent when it is closed, as one batch', async () => {
    const at = await openedTracing();
    endSpans(3);
    await at.use(undefined);
    expect(at.collector.requests).toEqual([
      expect.objectContaining({
        path: '/v1/traces',
        headers: expect.objectContaining({ 'content-type': 'application/json' }),
      }),
    ]);
    expect(at.collector.spans.map(({ name }) => name)).toEqual(['span 0', 'span 1', 'span 2']);
    await at[Symbol.asyncDispose]();
  });

  test('are not even begun once it is closed, and never were without an endpoint', async () => {
    const at = await openedTracing();
    expect(tracer()).toBeDefined();
    await at.use(undefined);
    expect(tracer()).toBeUndefined();
    await using _ = await openedTracing({ endpoint: undefined });
    expect(tracer()).toBeUndefined();
    await at[Symbol.asyncDispose]();
  });

  test('go to another collector from when it is told, and those that were before to the first', async () => {
    await using at = await openedTracing();
    await using other = await TraceCollector.start();
    endSpans(1);
    await at.use(other.url);
    endSpans(2);
    await at.use(undefined);
    expect([at.collector.spans.length, other.spans.length]).toEqual([1, 2]);
  });

  test('that wait without end are bounded, and the log tells how many were lost', async () => {
    let now = 0;
    await using at = await openedTracing({ now: () => now });
    endSpans(10_000);
    now += 60_000;
    endSpans(1);
    expect(at.lines.filter(({ level }) => level === 40)).toMatchObject([
      { spans: 1, error: expect.stringContaining('OTEL_TRACES_SAMPLER') },
      { spans: 10_000 - 4096 - 512 },
    ]);
    await at.use(undefined);
    expect(at.collector.spans).toHaveLength(4096 + 512);
  });

  test('are given up when the collector is long about those that it was sent before', async () => {
    const at = await openedTracing();
    at.collector.mood = 'drips';
    // As many as are sent at once.
    endSpans(512);
    const stoppedAt = performance.now();
    await at[Symbol.asyncDispose]();
    expect(performance.now() - stoppedAt).toBeLessThan(6000);
  });

  test('tell the time on the wall, though it was set since the start', async () => {
    await using at = await openedTracing();
    const later = Date.now() + 3_600_000;
    vi.useFakeTimers({ toFake: ['Date'], now: later });
    onTestFinished(() => void vi.useRealTimers());
    endSpans(1);
    await at.use(undefined);
    const [span] = at.collector.spans;
    expect(Math.abs((span?.startMs ?? 0) - later)).toBeLessThan(1000);
    expect(Math.abs((span?.endMs ?? 0) - later)).toBeLessThan(1000);
  });

  test('that nobody takes are one warning a minute', async () => {
    let now = 0;
    await using at = await openedTracing({ now: () => now });
    at.collector.mood = 'refuses';
    const counts: number[] = [];
    for (const minutes of [0, 0.5, 0.9, 1, 1.5]) {
      now = minutes * 60_000;
      endSpans(1);
      await at.use(at.collector.url);
      counts.push(at.lines.filter(({ level }) => level === 40).length);
    }
    expect(counts).toEqual([1, 1, 1, 2, 2]);
    expect(at.lines.findLast(({ level }) => level === 40)).toMatchObject({
      msg: 'traces are lost',
      endpoint: `${at.collector.url}/v1/traces`,
      spans: 3,
      error: 'Bad Request',
    });
  });

  test('are sent to nobody whose credentials the log would show', async () => {
    await using at = await openedTracing();
    const url = new URL(at.collector.url);
    url.username = 'me';
    url.password = 'secret-of-mine';
    url.search = '?key=secret-of-mine';
    at.collector.mood = 'refuses';
    await at.use(url.href);
    endSpans(1);
    await at.use(undefined);
    expect(at.lines.length).toBeGreaterThan(2);
    expect(JSON.stringify(at.lines)).not.toContain('secret-of-mine');
  });
});

test('what OpenTelemetry has variables for, they say: what to show to the collector, and whose spans they are', async () => {
  vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x-key=sesame');
  vi.stubEnv('OTEL_SERVICE_NAME', 'edge');
  vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'zone=north');
  onTestFinished(() => void vi.unstubAllEnvs());
  await using at = await openedTracing();
  endSpans(1);
  await at.use(undefined);
  expect(at.collector.requests[0]?.headers).toMatchObject({ 'x-key': 'sesame' });
  expect(at.collector.spans[0]?.resource).toMatchObject({
    'service.name': 'edge',
    'service.version': '1',
    zone: 'north',
    'host.name': expect.any(String),
    'telemetry.sdk.language': 'nodejs',
  });
});

describe('work', () => {
  test('is below the span that runs, wherever it waits; what runs beside it is not', async () => {
    await using at = await openedTracing();
    const below = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return traced(tracer()?.start({ name: 'below', kind: 'internal' }), async () => 'done');
    };
    const above = traced(tracer()?.start({ name: 'above', kind: 'internal' }), below);
    tracer()?.start({ name: 'beside', kind: 'internal' }).end();
    expect(await above).toBe('done');
    await at.use(undefined);
    const [first] = at.collector.named('above');
    expect(at.collector.named('below')[0]?.parentSpanId).toBe(first?.spanId);
    expect(at.collector.named('beside')[0]?.parentSpanId).toBeUndefined();
  });

  test('that fails makes its span an error, and fails as it did', async () => {
    await using at = await openedTracing();
    const failure = Object.assign(new Error('no room', { cause: new Error('disk') }), { code: 'ENOSPC' });
    const run = traced(tracer()?.start({ name: 'failing', kind: 'internal' }), async () => {
      throw failure;
    });
    await expect(run).rejects.toBe(failure);
    await at.use(undefined);
    expect(at.collector.spans).toMatchObject([
      { isError: true, message: 'no room: disk', attributes: { 'error.type': 'ENOSPC' } },
    ]);
  });

  test('ends its span once', async () => {
    await using at = await openedTracing();
    const span = tracer()?.start({ name: 'one', kind: 'internal' });
    span?.end({ facts: { n: 1 } });
    span?.end({ name: 'two', facts: { n: 2 }, error: new Error('late') });
    await at.use(undefined);
    expect(at.collector.spans).toMatchObject([{ name: 'one', attributes: { n: 1 }, isError: false }]);
  });

  test('of which nobody keeps a trace is done as it is', async () => {
    const work = Promise.resolve(1);
    expect(traced(undefined, () => work)).toBe(work);
  });
});

describe('without its packages', () => {
  /** Runs in a process in which the packages are not found. */
  async function start(endpoint: string | undefined): Promise<string> {
    const program = `import { registerHooks } from 'node:module';
      registerHooks({ resolve(name, context, next) {
        if (!name.startsWith('@opentelemetry/')) return next(name, context);
        throw Object.assign(new Error("Cannot find package '" + name + "'"), { code: 'ERR_MODULE_NOT_FOUND' });
      } });
      const { openTracing } = await import(${JSON.stringify(tracingFile)});
      const log = { info() {}, warn() {} };
      const endpoint = ${JSON.stringify(endpoint)};
      await openTracing({ endpoint, serviceVersion: '1', log }).then(() => console.log('open'), ({ message }) => console.log(message));`;
    const options = ['--input-type=module-typescript', '--eval', program];
    return (await promisify(execFile)(process.execPath, options)).stdout.trimEnd();
  }

  test('says which one is missing and what to do, in one line', async () => {
    expect(await start('http://127.0.0.1:4318')).toMatch(
      /^tracing\.endpoint is set and @opentelemetry\/[a-z-]+ is not installed: run npm install [^\n]+$/,
    );
  });

  test('is well where nobody wants traces: nothing of them is loaded', async () => {
    expect(await start(undefined)).toBe('open');
  });
});
