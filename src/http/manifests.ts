// GET|HEAD /v2/<name>/manifests/<reference>: the exact bytes an upstream gave, under the type it gave them.
import type { Mirror } from '../mirror/mirror.ts';
import type { Metrics } from '../observe/metrics.ts';
import { OciError } from '../oci/errors.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import { formatRepository } from '../oci/repository.ts';
import type { Source } from '../upstream/upstreams.ts';
import { beforeAnswer, type Exchange, matchesEtag, outcomeHeaders } from './exchange.ts';

export async function sendManifest(
  exchange: Exchange,
  { mirror, metrics }: { mirror: Mirror; metrics: Metrics },
  source: Source,
  reference: Reference,
): Promise<Response> {
  const answer = await beforeAnswer(exchange, source, (signal) => mirror.getManifest(source, reference, signal));
  if (!answer) throw manifestUnknown(source, reference);
  exchange.set('outcome', answer.outcome);
  const { descriptor, bytes } = answer.manifest;
  const headers = {
    'docker-content-digest': descriptor.digest,
    etag: `"${descriptor.digest}"`,
    ...outcomeHeaders(answer.outcome),
  };
  if (matchesEtag(exchange.req.header('if-none-match'), descriptor.digest)) return exchange.body(null, 304, headers);
  if (exchange.req.method === 'GET') metrics.servedBytes.inc({ outcome: answer.outcome }, descriptor.size);
  return exchange.body(bytes as Uint8Array<ArrayBuffer>, 200, {
    ...headers,
    'content-type': descriptor.mediaType,
    'content-length': String(descriptor.size),
  });
}

function manifestUnknown({ repository }: Source, reference: Reference): OciError {
  const mark = 'tag' in reference ? ':' : '@';
  const image = `${formatRepository(repository)}${mark}${formatReference(reference)}`;
  return new OciError('MANIFEST_UNKNOWN', `${image} does not exist upstream, or is private`, {
    detail: { reference: formatReference(reference) },
  });
}
