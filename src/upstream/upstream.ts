// What the mirror asks of a registry it pulls from, and how such a registry can fail.
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Reference } from '../oci/reference.ts';

export type UpstreamFailure =
  /** No connection: refused, reset, no such host, TLS. */
  | 'unreachable'
  | 'timeout'
  /** 429. */
  | 'limited'
  /** 403. */
  | 'denied'
  /** 401 although we showed a token: Docker Hub's way to say missing or private. */
  | 'unauthorized'
  /** 5xx, or a status the protocol does not know here. */
  | 'failing'
  /** It answered, but not with what was asked: no registry, a lie, a redirect we must not follow. */
  | 'protocol';

/** An upstream that could not be asked, or answered nonsense. A proven "not found" is `undefined` instead. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly failure: UpstreamFailure;

  constructor(failure: UpstreamFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.failure = failure;
  }
}

/** Whether the upstream, or our patience with it, kept an answer away; a bug of our own, or a client that left, is neither. */
export function isUpstreamFault(error: unknown): boolean {
  return error instanceof UpstreamError || (error instanceof Error && error.name === 'TimeoutError');
}

export interface Resolution {
  readonly descriptor: Descriptor;
  /** The body too, where the upstream made us GET it to learn the descriptor. */
  readonly manifest?: Manifest;
}

/** A part of a blob; `end` is exclusive. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

export interface BlobTransfer {
  /** Length of the whole blob; `undefined` when the upstream did not say. */
  readonly size: number | undefined;
  /** Where the body begins: as asked, or 0 from an upstream that gives no parts. */
  readonly start: number;
  /** Exclusive; `undefined` when the body goes on to the end of a blob of unknown length. */
  readonly end: number | undefined;
  /** Ends early by throwing `UpstreamError`. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface TagQuery {
  readonly n: number;
  /** Exclusive start, in the upstream's order. */
  readonly last?: string;
}

export interface TagPage {
  readonly tags: readonly string[];
  /** Where the next page starts; `undefined` on the last one. */
  readonly last: string | undefined;
}

/** Paths are repository paths on this registry. `undefined` means that the upstream proved there is no such thing. */
export interface Upstream {
  readonly name: string;
  /** The longest a client's answer may wait for this upstream, in milliseconds. */
  readonly answerTimeoutMs: number;
  /** What a reference means now. Free of Docker Hub's pull limit as long as HEAD works. */
  resolve(path: string, reference: Reference, signal: AbortSignal): Promise<Resolution | undefined>;
  /** Bytes checked against the digest asked for and against `Docker-Content-Digest`. */
  fetchManifest(path: string, reference: Reference, signal: AbortSignal): Promise<Manifest | undefined>;
  /** Requests for parts of one blob at once at most. */
  readonly parallel: number;
  /** Bodies of blobs that it gives at once at most; who asks for more waits. */
  readonly transfers: number;
  /** Unverified bytes: the part, if the upstream gives parts, else all. The caller reads the body or leaves its loop. */
  fetchBlob(path: string, digest: Digest, signal: AbortSignal, part?: Part): Promise<BlobTransfer | undefined>;
  /** Size of a blob that this repository really gives out, proven by reading its first byte: HEAD lies in places. */
  proveBlob(path: string, digest: Digest, signal: AbortSignal): Promise<number | undefined>;
  listTags(path: string, page: TagQuery, signal: AbortSignal): Promise<TagPage | undefined>;
  /** The raw image index; `undefined` also where the upstream has no referrers API. */
  fetchReferrers(
    path: string,
    digest: Digest,
    artifactType: string | undefined,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined>;
  close(): Promise<void>;
}
