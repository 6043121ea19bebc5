// The trace that a request says it belongs to, as W3C Trace Context writes it: https://www.w3.org/TR/trace-context/
import type { IncomingHttpHeaders } from 'node:http';

export interface RemoteParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
  /** What other tracers noted; handed on to nobody. */
  readonly state: string | undefined;
}

/** A later version may say more behind it, and is read as far as this one goes. */
const form = /^(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const sampled = 1;

/** `undefined`: it names none, or one that cannot be. */
export function parseTraceparent({ traceparent, tracestate }: IncomingHttpHeaders): RemoteParent | undefined {
  if (typeof traceparent !== 'string') return undefined;
  const [, version, traceId, spanId, flags, rest] = form.exec(traceparent.trim()) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  if (version === '00' && rest !== undefined) return undefined;
  const state = typeof tracestate === 'string' ? tracestate : undefined;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & sampled, state };
}

export function formatTraceparent({ traceId, spanId, traceFlags }: Omit<RemoteParent, 'state'>): string {
  return `00-${traceId}-${spanId}-0${traceFlags & sampled}`;
}
