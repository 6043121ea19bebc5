// The head of a blob's answer: status, fields, and which of its bytes follow.
import type { IncomingHttpHeaders } from 'node:http';
import type { Outcome } from '../mirror/outcome.ts';
import { parseRange } from '../oci/byte-range.ts';
import type { Digest } from '../oci/digest.ts';
import { mediaTypes } from '../oci/media-types.ts';
import { type AnswerHead, matchesEtag, outcomeHeaders } from './exchange.ts';

export interface SentBlob {
  readonly digest: Digest;
  readonly size: number;
  readonly outcome: Outcome;
}

export function blobHead(asked: IncomingHttpHeaders, { digest, size, outcome }: SentBlob): AnswerHead {
  const headers = {
    'docker-content-digest': digest,
    etag: `"${digest}"`,
    'accept-ranges': 'bytes',
    'content-type': mediaTypes.octetStream,
    ...outcomeHeaders(outcome),
  };
  if (matchesEtag(asked['if-none-match'], digest)) return { status: 304, headers, range: undefined };
  const range = parseRange(asked.range, size);
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
