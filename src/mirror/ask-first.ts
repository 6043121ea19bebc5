// The first request of a fill: it proves that the repository may have the blob, and agrees with the upstream on its size.
import type { Digest } from '../oci/digest.ts';
import type { Spools } from '../store/spools.ts';
import { type BlobTransfer, UpstreamError, type WantedBlob } from '../upstream/upstream.ts';
import type { Source } from '../upstream/upstreams.ts';
import { firstPart } from './segments.ts';

export interface FirstQuestion {
  readonly source: Source;
  readonly digest: Digest;
  /** What the repository's manifest says of the length; `undefined` when no manifest named the blob. */
  readonly size: number | undefined;
  /** Where the first reader begins. */
  readonly from: number;
  /** One plain stream from the first byte: for an upstream whose parts did not make up the blob. */
  readonly isPlain: boolean;
  /** Whose leftovers it may go on with; see `Spools.open`. */
  readonly origin: string | undefined;
  readonly spools: Spools;
}

export interface FirstAnswer {
  /** Its body unread. */
  readonly response: BlobTransfer;
  /** Of the whole blob, in bytes. */
  readonly size: number;
}

/** Token, redirects and refusals included. */
const longestAnswerMs = 30_000;

/** `undefined` when the upstream proved that there is no such blob. The signal goes on to hold for the body. */
export async function askFirst(question: FirstQuestion, signal: AbortSignal): Promise<FirstAnswer | undefined> {
  const { source, digest } = question;
  const late = new AbortController();
  // The head of the answer only: a body is bounded by its pauses, not by its length.
  const timer = setTimeout(
    () => late.abort(new DOMException('the upstream did not answer', 'TimeoutError')),
    longestAnswerMs,
  );
  try {
    const wanted = await wantedOf(question);
    const patience = AbortSignal.any([signal, late.signal]);
    const response = await source.upstream.fetchBlob(source.repository.path, digest, patience, wanted);
    return response && { response, size: agreedSize(question, response) };
  } finally {
    clearTimeout(timer);
  }
}

/** Where the first reader waits, or else behind what an earlier fill left; or all of the blob in one stream. */
async function wantedOf({ source, digest, spools, origin, size, from, isPlain }: FirstQuestion): Promise<WantedBlob> {
  if (isPlain) return { size };
  const left = await spools.leftovers.journal(digest, origin);
  const claimed = size === undefined || left?.size === size ? left?.checkpoints.at(-1)?.end : undefined;
  const part = firstPart({ size: size ?? left?.size, from, claimed, parallel: source.upstream.parallel });
  return { ...part, size };
}

function agreedSize({ source, digest, size: told }: FirstQuestion, { size }: BlobTransfer): number {
  const { name } = source.upstream;
  const found = size ?? told;
  if (found === undefined) throw new UpstreamError('protocol', `upstream ${name} sends ${digest} without a length`);
  if (told !== undefined && told !== found)
    throw new UpstreamError(
      'protocol',
      `upstream ${name} sends ${found} bytes for ${digest}, its manifest says ${told}`,
    );
  return found;
}
