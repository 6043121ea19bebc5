// Which traces are kept: what a client says counts, unless the variables of OpenTelemetry say otherwise.
import { describe, expect, test } from 'vitest';
import { tracer } from '../../src/observe/spans.ts';
import { endSpans, openedTracing } from './tracing-scene.ts';

describe('sampling', () => {
  test.each([
    [undefined, undefined, 1],
    ['always_on', undefined, 1],
    ['always_off', undefined, 0],
    ['traceidratio', '0', 0],
    ['parentbased_traceidratio', '0', 0],
    ['parentbased_traceidratio', '1', 1],
    ['parentbased_always_off', undefined, 0],
  ])('by %s with %s sends %i of one', async (name, ratio, count) => {
    await using at = await openedTracing({ env: { OTEL_TRACES_SAMPLER: name, OTEL_TRACES_SAMPLER_ARG: ratio } });
    endSpans(1);
    await at.use(undefined);
    expect(at.collector.spans).toHaveLength(count);
  });

  test.each([
    ['parentbased_always_off', '01', 1],
    ['always_off', '01', 0],
    ['parentbased_always_on', '00', 0],
    ['always_on', '00', 1],
  ])('by %s of a trace with flags %s sends %i of one', async (name, flags, count) => {
    await using at = await openedTracing({ env: { OTEL_TRACES_SAMPLER: name } });
    const traceparent = `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`;
    tracer()?.start({ name: 'one', kind: 'server', headers: { traceparent } }).end();
    await at.use(undefined);
    expect(at.collector.spans).toHaveLength(count);
  });
});
