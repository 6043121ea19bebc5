// GET|HEAD /v2/<name>/blobs/<digest>: stored or still arriving, whole or a range.
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Lasting } from '../mirror/lasting.ts';
import type { Mirror } from '../mirror/mirror.ts';
import type { Metrics } from '../observe/metrics.ts';
import { wantedRange } from '../oci/byte-range.ts';
import type { Digest } from '../oci/digest.ts';
import { OciError } from '../oci/errors.ts';
import { formatRepository } from '../oci/repository.ts';
import type { Source } from '../upstream/upstreams.ts';
import { type Accel, accelHeaders, mayAccelerate } from './accel.ts';
import { blobHead, type SentBlob } from './blob-head.ts';
import { beforeAnswer, countSent, type Exchange } from './exchange.ts';
import type { HotAnswer } from './hot-answer.ts';
import type { HotAnswers } from './hot-answers.ts';
import { sendContent } from './send-content.ts';
import type { Sendfile } from './sendfile.ts';

export interface BlobParts {
  readonly mirror: Mirror;
  readonly metrics: Metrics;
  readonly hot: HotAnswers;
  readonly accel?: Accel | undefined;
  /** `undefined` for as long as there is none. */
  readonly sendfile?: (() => Sendfile | undefined) | undefined;
}

export async function sendBlob(
  exchange: Exchange,
  { mirror, metrics, hot, accel, sendfile }: BlobParts,
  source: Source,
  digest: Digest,
): Promise<Response> {
  const { incoming, outgoing } = exchange.env;
  if (incoming.method === 'HEAD') {
    const stat = await beforeAnswer(exchange, source, (signal) => mirror.statBlob(source, digest, signal));
    if (!stat) throw blobUnknown(source, digest);
    const { size, outcome, lasting } = stat;
    exchange.set('outcome', outcome);
    if (lasting && !accel) hot.keep(exchange, source, hotBlob({ digest, size, outcome }, lasting));
    const { status, headers } = blobHead(incoming.headers, { digest, size, outcome });
    exchange.set('headAt', performance.now());
    return exchange.body(null, status, headers);
  }
  const answer = await beforeAnswer(exchange, source, (signal) =>
    mirror.openBlob(source, digest, signal, wantedRange(incoming.headers.range)),
  );
  if (!answer) throw blobUnknown(source, digest);
  const { content, outcome, lasting } = answer;
  exchange.set('outcome', outcome);
  try {
    const sent = { digest, size: content.size, outcome };
    const { status, headers, range } = blobHead(incoming.headers, sent);
    // With it, each GET is nginx's to send; one that was kept would be ours.
    if (lasting && !accel) hot.keep(exchange, source, hotBlob(sent, lasting));
    exchange.set('headAt', performance.now());
    if (range === undefined) return exchange.body(null, status, headers);
    if (outcome === 'hit' && mayAccelerate(accel, incoming, status))
      return exchange.body(null, 200, accelHeaders(accel, digest, headers));
    outgoing.writeHead(status, headers);
    const onSent = (bytes: number) => countSent(exchange, metrics, bytes);
    await sendContent(outgoing, content, range, exchange.get('clientGone'), onSent, sendfile?.());
    return RESPONSE_ALREADY_SENT;
  } finally {
    await content.close();
  }
}

/** On its own: what is kept for long must not hold the content as well. */
function hotBlob(sent: SentBlob, lasting: Lasting): HotAnswer {
  return { lasting, isUsedByHead: false, headFor: (asked) => blobHead(asked, sent) };
}

function blobUnknown({ repository }: Source, digest: Digest): OciError {
  return new OciError('BLOB_UNKNOWN', `${formatRepository(repository)} has no blob ${digest} upstream`, {
    detail: { digest },
  });
}
