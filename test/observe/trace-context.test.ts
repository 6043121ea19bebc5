// What a client says of its trace, believed only as far as W3C Trace Context lets it be.
import { describe, expect, test } from 'vitest';
import { formatTraceparent, parseTraceparent } from '../../src/observe/trace-context.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const spanId = 'b7ad6b7169203331';

describe('a traceparent', () => {
  test.each([
    ['of this version', `00-${traceId}-${spanId}-01`, 1],
    ['that is not sampled', `00-${traceId}-${spanId}-00`, 0],
    ['with flags of later versions', `00-${traceId}-${spanId}-ff`, 1],
    ['of a later version that says more', `cc-${traceId}-${spanId}-01-what-will-be`, 1],
    ['with blanks around it', ` 00-${traceId}-${spanId}-01 `, 1],
  ])('%s is read', (_, traceparent, traceFlags) => {
    expect(parseTraceparent({ traceparent })).toEqual({ traceId, spanId, traceFlags, state: undefined });
  });

  test.each([
    ['that is not there', undefined],
    ['that is empty', ''],
    ['of a version that cannot be', `ff-${traceId}-${spanId}-01`],
    ['of this version that says more', `00-${traceId}-${spanId}-01-more`],
    ['without a trace', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['without a span', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['in capitals', `00-${traceId.toUpperCase()}-${spanId}-01`],
    ['that is too short', `00-${traceId.slice(1)}-${spanId}-01`],
    ['given twice', `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`],
  ])('%s names no trace', (_, traceparent) => {
    expect(parseTraceparent(traceparent === undefined ? {} : { traceparent })).toBeUndefined();
  });

  test('brings what other tracers noted', () => {
    const headers = { traceparent: `00-${traceId}-${spanId}-01`, tracestate: 'a=1,b=2' };
    expect(parseTraceparent(headers)?.state).toBe('a=1,b=2');
  });

  test('is written as it is read', () => {
    for (const flags of ['00', '01']) {
      const traceparent = `00-${traceId}-${spanId}-${flags}`;
      const { state: _, ...ids } = parseTraceparent({ traceparent }) ?? { traceId: '', spanId: '', traceFlags: 9 };
      expect(formatTraceparent(ids)).toBe(traceparent);
    }
  });
});
