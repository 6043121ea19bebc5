// How long an upstream wants to be left alone, as far as what it says makes sense.
import type { UpstreamResponse } from './transport.ts';

const shortestMs = 1000;
/** Nobody who means well asks for more; longer, and one wrong header would shut a registry for days. */
const longestMs = 15 * 60_000;
/** More seconds than these are a point in time: Docker Hub's web API sent unix timestamps. */
const mostSeconds = 366 * 24 * 3600;
const httpDate = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** `Retry-After` between a second and a quarter of an hour; `undefined` without one, and for nonsense (ghcr.io's `880.092µs`). */
export function retryAfterMs({ header }: Pick<UpstreamResponse, 'header'>): number | undefined {
  const text = header('retry-after')?.trim() ?? '';
  if (/^\d{1,12}$/.test(text)) {
    const seconds = Number(text);
    return seconds > mostSeconds ? undefined : clamp(seconds * 1000);
  }
  const at = dateOf(text);
  // The upstream's own clock, where it tells it: ours may be wrong.
  return at === undefined ? undefined : clamp(at - (dateOf(header('date')) ?? Date.now()));
}

function dateOf(text: string | undefined): number | undefined {
  const at = httpDate.test(text ?? '') ? Date.parse(text ?? '') : Number.NaN;
  return Number.isNaN(at) ? undefined : at;
}

function clamp(ms: number): number {
  return Math.min(longestMs, Math.max(shortestMs, ms));
}
