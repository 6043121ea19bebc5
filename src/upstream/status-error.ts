// Turns an upstream's refusal into an UpstreamError that says what the registry itself said.
import { foreignText } from './foreign-text.ts';
import { retryAfterMs } from './retry-after.ts';
import type { UpstreamResponse } from './transport.ts';
import { UpstreamError, type UpstreamFailure } from './upstream.ts';

const maxErrorBytes = 64 * 1024;
const maxQuoted = 300;
/** Who says again what it was shown would let every client and log have it; "bearer token" and the like are words. */
const authorizations = /\b([Bb]asic|[Bb]earer) +(?![A-Z]?[a-z]+(?![\w.~+/=-]))[\w.~+/=-]+/g;

export async function statusError(name: string, what: string, response: UpstreamResponse): Promise<UpstreamError> {
  const said = response.isForeign ? '' : await registryMessage(response);
  // A redirect may lead into a network that is none of our clients' business: it must not be read by way of our errors.
  if (response.isForeign) response.discard();
  const where = response.isForeign ? ` at ${response.url.host}` : '';
  const failure = failureOf(response.status);
  const retryMs = failure === 'limited' || failure === 'failing' ? retryAfterMs(response) : undefined;
  return new UpstreamError(
    failure,
    `upstream ${name} answered ${response.status} for ${what}${where}${said && `: ${said}`}`,
    retryMs === undefined ? {} : { retryAfterMs: retryMs },
  );
}

function failureOf(status: number): UpstreamFailure {
  if (status === 401) return 'unauthorized';
  if (status === 403) return 'denied';
  if (status === 429) return 'limited';
  return status >= 500 ? 'failing' : 'protocol';
}

async function registryMessage(response: UpstreamResponse): Promise<string> {
  let text: string;
  try {
    text = Buffer.from(await response.bytes(maxErrorBytes)).toString();
  } catch {
    return '';
  }
  try {
    const { errors } = JSON.parse(text) as { errors?: { code?: unknown; message?: unknown }[] };
    text = errors?.map(({ code, message }) => [code, message].filter(Boolean).join(' ')).join(', ') ?? '';
  } catch {
    if (/^\s*</.test(text)) return 'an HTML page';
  }
  return foreignText(text, maxErrorBytes).replaceAll(authorizations, '$1 ***').slice(0, maxQuoted);
}
