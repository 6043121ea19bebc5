// GET|HEAD /v2/<name>/blobs/<digest>: stored or still arriving, whole or a range.
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Mirror } from '../mirror/mirror.ts';
import type { Outcome } from '../mirror/outcome.ts';
import type { Metrics } from '../observe/metrics.ts';
import { type ByteRange, parseRange, wantedRange } from '../oci/byte-range.ts';
import type { Digest } from '../oci/digest.ts';
import { OciError } from '../oci/errors.ts';
import { mediaTypes } from '../oci/media-types.ts';
import { formatRepository } from '../oci/repository.ts';
import type { Source } from '../upstream/upstreams.ts';
import { beforeAnswer, type Exchange, matchesEtag, outcomeHeaders } from './exchange.ts';
import { sendContent } from './send-content.ts';

export async function sendBlob(
  exchange: Exchange,
  { mirror, metrics }: { mirror: Mirror; metrics: Metrics },
  source: Source,
  digest: Digest,
): Promise<Response> {
  if (exchange.req.method === 'HEAD') {
    const stat = await beforeAnswer(exchange, source, (signal) => mirror.statBlob(source, digest, signal));
    if (!stat) throw blobUnknown(source, digest);
    exchange.set('outcome', stat.outcome);
    const { status, headers } = blobHead(exchange, digest, stat.size, stat.outcome);
    return exchange.body(null, status, headers);
  }
  const answer = await beforeAnswer(exchange, source, (signal) =>
    mirror.openBlob(source, digest, signal, wantedRange(exchange.req.header('range'))),
  );
  if (!answer) throw blobUnknown(source, digest);
  const { content, outcome } = answer;
  exchange.set('outcome', outcome);
  try {
    const { status, headers, range } = blobHead(exchange, digest, content.size, outcome);
    if (range === undefined) return exchange.body(null, status, headers);
    const { outgoing } = exchange.env;
    outgoing.writeHead(status, headers);
    exchange.set('headAt', performance.now());
    const clientGone = exchange.get('clientGone');
    await sendContent(outgoing, content, range, clientGone, (bytes) => metrics.servedBytes.inc({ outcome }, bytes));
    return RESPONSE_ALREADY_SENT;
  } finally {
    await content.close();
  }
}

interface BlobHead {
  readonly status: 200 | 206 | 304 | 416;
  readonly headers: Record<string, string>;
  /** What a GET sends; `undefined` when the answer has no body. */
  readonly range: ByteRange | undefined;
}

/** The same for GET and HEAD, as RFC 9110 wants it. */
function blobHead(exchange: Exchange, digest: Digest, size: number, outcome: Outcome): BlobHead {
  const headers = {
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
    'content-type': mediaTypes.octetStream,
    ...outcomeHeaders(outcome),
  };
  if (matchesEtag(exchange.req.header('if-none-match'), digest)) return { status: 304, headers, range: undefined };
  const range = parseRange(exchange.req.header('range'), size);
  if (range === 'unsatisfiable')
    return {
      status: 416,
      headers: { ...headers, 'content-range': `bytes */${size}`, 'content-length': '0' },
      range: undefined,
    };
  const { start, end } = range ?? { start: 0, end: size - 1 };
  const length = { 'content-length': String(end - start + 1) };
  if (!range) return { status: 200, headers: { ...headers, ...length }, range: { start, end } };
  const contentRange = { 'content-range': `bytes ${start}-${end}/${size}` };
  return { status: 206, headers: { ...headers, ...length, ...contentRange }, range };
}

function blobUnknown({ repository }: Source, digest: Digest): OciError {
  return new OciError('BLOB_UNKNOWN', `${formatRepository(repository)} has no blob ${digest} upstream`, {
    detail: { digest },
  });
}
