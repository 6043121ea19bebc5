// Sends one answer of a fake server the way the faults of the exchange ask for.
import { gzipSync } from 'node:zlib';
import type { FaultEffect } from './faults.ts';
import type { Exchange } from './recorded-server.ts';
import { type Span, sendBody } from './reply-body.ts';
import { contentOf, type ServedContent } from './served-content.ts';

export type Reply = {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly content?: ServedContent;
  readonly acceptsRanges?: boolean;
};

export async function sendReply(exchange: Exchange, reply: Reply): Promise<void> {
  const { request, response, record, effect } = exchange;
  const content = contentFor(effect, reply);
  const headers = headersFor(effect, reply);
  let status = effect.status ?? reply.status ?? 200;
  let span: Span = { start: 0, end: content.size };
  if (reply.acceptsRanges && !effect.noRanges && status === 200) {
    headers['accept-ranges'] = 'bytes';
    const asked = rangeOf(request.headers.range, content.size);
    if (asked === 'unsatisfiable') {
      record.status = 416;
      response.writeHead(416, { 'content-range': `bytes */${content.size}` }).end();
      return;
    }
    if (asked !== undefined) {
      span = asked;
      status = 206;
      headers['content-range'] = `bytes ${span.start}-${span.end - 1}/${content.size}`;
    }
  }
  if (effect.redirect !== undefined) {
    status = 307;
    headers.location = effect.redirect;
  }
  if (effect.gzip) headers['content-encoding'] = 'gzip';
  const isChunked = effect.chunked || effect.endless || effect.truncateAfter !== undefined;
  if (!isChunked) headers['content-length'] = String(span.end - span.start);
  record.status = status;
  response.writeHead(status, headers);
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  response.flushHeaders();
  await sendBody(exchange, content, span);
}

function contentFor(effect: FaultEffect, reply: Reply): ServedContent {
  const content = effect.body !== undefined ? contentOf(effect.body) : (reply.content ?? contentOf(''));
  return effect.gzip ? contentOf(gzipSync(Buffer.concat([...content.read(0, content.size)]))) : content;
}

function headersFor(effect: FaultEffect, reply: Reply): Record<string, string> {
  const headers: Record<string, string> = { ...reply.headers, ...effect.headers };
  override(headers, 'docker-content-digest', effect.dockerContentDigest);
  override(headers, 'content-type', effect.contentType);
  return headers;
}

function override(headers: Record<string, string>, name: string, value: string | null | undefined): void {
  if (value === null) delete headers[name];
  else if (value !== undefined) headers[name] = value;
}

function rangeOf(header: string | undefined, size: number): Span | 'unsatisfiable' | undefined {
  const found = /^bytes=(\d*)-(\d*)$/.exec(header ?? '');
  if (found === null || found[0] === 'bytes=-') return undefined;
  const [, first, last] = found;
  if (first === '') return { start: Math.max(0, size - Number(last)), end: size };
  const start = Number(first);
  if (start >= size) return 'unsatisfiable';
  return { start, end: last === '' ? size : Math.min(size, Number(last) + 1) };
}
