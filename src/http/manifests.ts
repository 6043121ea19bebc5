// GET|HEAD /v2/<name>/manifests/<reference>: the exact bytes an upstream gave, under the type it gave them.
import type { IncomingHttpHeaders } from 'node:http';
import type { Lasting } from '../mirror/lasting.ts';
import type { Mirror } from '../mirror/mirror.ts';
import type { Outcome } from '../mirror/outcome.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { OciError } from '../oci/errors.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import { formatRepository } from '../oci/repository.ts';
import type { Source } from '../upstream/upstreams.ts';
import { type AnswerHead, beforeAnswer, countSent, type Exchange, matchesEtag, outcomeHeaders } from './exchange.ts';
import type { HotAnswer } from './hot-answer.ts';
import type { HotAnswers } from './hot-answers.ts';

export async function sendManifest(
  exchange: Exchange,
  { mirror, metrics, hot }: { mirror: Mirror; metrics: Metrics; hot: HotAnswers },
  source: Source,
  reference: Reference,
): Promise<Response> {
  const answer = await beforeAnswer(exchange, source, (signal) => mirror.getManifest(source, reference, signal));
  if (!answer) throw manifestUnknown(source, reference);
  const { outcome, lasting } = answer;
  exchange.set('outcome', outcome);
  const { descriptor, bytes } = answer.manifest;
  if (lasting) hot.keep(exchange, source, hotManifest(descriptor, lasting));
  const { incoming } = exchange.env;
  const { status, headers } = manifestHead(incoming.headers, descriptor, outcome);
  exchange.set('headAt', performance.now());
  if (status === 304) return exchange.body(null, status, headers);
  if (incoming.method === 'GET') countSent(exchange, metrics, descriptor.size);
  return exchange.body(bytes as Uint8Array<ArrayBuffer>, status, headers);
}

/** On its own: what is kept for long must not hold the bytes as well. */
function hotManifest(descriptor: Descriptor, lasting: Lasting): HotAnswer {
  return { lasting, isUsedByHead: true, headFor: (asked) => manifestHead(asked, descriptor, 'hit') };
}

function manifestHead(
  asked: IncomingHttpHeaders,
  { digest, mediaType, size }: Descriptor,
  outcome: Outcome,
): AnswerHead {
  const headers = { 'docker-content-digest': digest, etag: `"${digest}"`, ...outcomeHeaders(outcome) };
  if (matchesEtag(asked['if-none-match'], digest)) return { status: 304, headers, range: undefined };
  const told = { ...headers, 'content-type': mediaType, 'content-length': String(size) };
  return { status: 200, headers: told, range: { start: 0, end: size - 1 } };
}

function manifestUnknown({ repository }: Source, reference: Reference): OciError {
  const mark = 'tag' in reference ? ':' : '@';
  const image = `${formatRepository(repository)}${mark}${formatReference(reference)}`;
  return new OciError('MANIFEST_UNKNOWN', `${image} does not exist upstream, or is private`, {
    detail: { reference: formatReference(reference) },
  });
}
