// One part of a blob from its upstream, from as many responses as it takes: what breaks goes on at the first missing byte.
import { setTimeout as pause } from 'node:timers/promises';
import type { Digest } from '../oci/digest.ts';
import { type BlobTransfer, isUpstreamFault, type Part, UpstreamError } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { Attempts } from './attempts.ts';

export interface PartRequest extends Part {
  readonly source: Source;
  readonly digest: Digest;
  /** Of the whole blob, in bytes. */
  readonly size: number;
  /** A response that is here already, its body unread. */
  readonly first?: BlobTransfer | undefined;
  readonly signal: AbortSignal;
  /** Told whenever a broken transfer goes on. */
  readonly onResume?: (position: number, cause: unknown) => void;
  /** Asked when the upstream answers a request for a part with the whole: `false` ends the part where it is. */
  readonly onWhole?: () => boolean;
}

export interface Piece {
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** In order, without a gap or a byte twice, exactly the part, unless `onWhole` ends it. Throws the first failure that another attempt cannot mend. */
export async function* receivePart(request: PartRequest): AsyncGenerator<Piece> {
  const { end, signal, onResume, onWhole } = request;
  let { start: position, first: response } = request;
  const attempts = new Attempts();
  for (;;) {
    const before = position;
    try {
      response ??= await ask(request, position);
      if (response.start < position && onWhole?.() === false) return leave(response);
      for await (const piece of pieces(response, request, position)) {
        yield piece;
        position = piece.position + piece.bytes.length;
      }
      if (position >= end) return;
      throw new UpstreamError('unreachable', `the transfer broke off at byte ${position} of ${request.digest}`);
    } catch (error) {
      if (position >= end && isUpstreamFault(error)) return;
      const pauseMs = attempts.pauseMs(position - before, error);
      if (signal.aborted || pauseMs === undefined) throw error;
      onResume?.(position, error);
      if (pauseMs > 0) await pause(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
    response = undefined;
  }
}

async function ask({ source, digest, end, size, signal }: PartRequest, start: number): Promise<BlobTransfer> {
  const { upstream, repository } = source;
  const response = await upstream.fetchBlob(repository.path, digest, signal, { start, end, size });
  if (!response)
    throw new UpstreamError('protocol', `${digest} vanished from ${upstream.name} in the middle of its transfer`);
  return response;
}

/** A body that is begun and left closes its connection; one that nobody touches would keep it. */
async function leave({ body }: BlobTransfer): Promise<void> {
  for await (const _ of body) return;
}

/** What the response holds of the part. A whole blob passes by up to where the part goes on. */
async function* pieces(
  { size, start, end: last, body }: BlobTransfer,
  { digest, size: agreed, end, source }: PartRequest,
  position: number,
): AsyncGenerator<Piece> {
  if (size !== undefined && size !== agreed)
    throw new UpstreamError(
      'protocol',
      `upstream ${source.upstream.name} says now that ${digest} has ${size} bytes, not ${agreed}`,
    );
  let at = start;
  for await (const chunk of body) {
    if (at + chunk.length > agreed)
      throw new UpstreamError('protocol', `more than the ${agreed} bytes of ${digest} arrived`);
    const bytes = chunk.subarray(Math.max(0, position - at), Math.max(0, end - at));
    if (bytes.length > 0) yield { position: Math.max(at, position), bytes };
    at += chunk.length;
    // A body that ends here is read to its end, so that its connection can be used again.
    if (at >= end && last !== end) return;
  }
}
