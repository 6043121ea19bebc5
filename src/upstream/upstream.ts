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
  | 'protocol'
  /** Our own credentials were refused, or could not be had: that says nothing of what was asked for. */
  | 'login'
  /** Not asked: it failed a moment ago, and one question at a time finds out whether it is back. */
  | 'away'
  /** Not asked: the mirror is told to speak to nobody, speaks to too many, or does not know for whom it may ask. */
  | 'offline';

/** An upstream that could not be asked, or answered nonsense. A proven "not found" is `undefined` instead. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  readonly failure: UpstreamFailure;
  /** When it may be worth asking again, in milliseconds from now; `undefined` when nobody knows. */
  readonly retryAfterMs: number | undefined;

  constructor(failure: UpstreamFailure, message: string, options: ErrorOptions & { retryAfterMs?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.failure = failure;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether the upstream, or our patience with it, kept an answer away; a bug of our own, or a client that left, is neither. */
export function isUpstreamFault(error: unknown): boolean {
  return error instanceof UpstreamError || (error instanceof Error && error.name === 'TimeoutError');
}

/** The label of every registry that the configuration does not name: whoever pulls can set one up. */
export const unlisted = '*';

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

/** What of a blob is asked for: a part, where there is an `end`, else all of it in one stream. */
export interface WantedBlob extends Partial<Part> {
  /** Of the whole blob, where that is known: an endpoint that has something else under its digest is passed over. */
  readonly size?: number | undefined;
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

/** What is known of one upstream's health, for people. No part of it is a secret. */
export interface UpstreamStatus {
  readonly name: string;
  readonly endpoints: readonly EndpointStatus[];
}

export interface EndpointStatus {
  /** Its address, or the host of the token server it names. */
  readonly endpoint: string;
  /** Open: it is not asked, but for one probe now and then. */
  readonly isCircuitOpen: boolean;
  /** Until the next probe. */
  readonly retryInMs: number | undefined;
  /** What its last failure said; `undefined` when the last thing it did was right. */
  readonly problem: string | undefined;
  readonly limits: readonly LimitStatus[];
}

export interface LimitStatus {
  /** `anonymous`, or the credential's place in the configuration, from `1`. */
  readonly credential: string;
  /** Pulls in a window, as the registry said; `undefined` where it never told a limit. */
  readonly limit: number | undefined;
  readonly remaining: number | undefined;
  readonly windowSeconds: number | undefined;
  /** Until it is asked again; `undefined` when it may be asked now. */
  readonly retryInMs: number | undefined;
  /** Why it was refused last, never a secret; `undefined` since it was taken. */
  readonly problem: string | undefined;
}

/** Paths are repository paths on this registry. `undefined` means that the upstream proved there is no such thing. */
export interface Upstream {
  readonly name: string;
  /** For metrics: its name, or `*` for all that the configuration does not name. */
  readonly label: string;
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
  fetchBlob(path: string, digest: Digest, signal: AbortSignal, wanted?: WantedBlob): Promise<BlobTransfer | undefined>;
  /** Size of a blob that this repository really gives out, proven by reading its first byte: HEAD lies in places. */
  proveBlob(path: string, digest: Digest, signal: AbortSignal): Promise<number | undefined>;
  listTags(path: string, page: TagQuery, signal: AbortSignal): Promise<TagPage | undefined>;
  /** The raw image index, of every type; `undefined` also where the upstream has no referrers API. */
  fetchReferrers(path: string, digest: Digest, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /**
   * Whether the registry itself shows this repository to somebody without a login, asked as such. `false` is its answer
   * too for what is not there, which registries do not tell apart.
   */
  isPublic(path: string, signal: AbortSignal): Promise<boolean>;
  /** `false` while such a question would be refused without being asked: offline, every circuit open, or limited. */
  mayAsk(kind: 'manifest' | 'blob'): boolean;
  /** When it last answered anything that was no failure, as `performance.now()` tells it. */
  readonly lastAnswerAt: number;
  /** By how much longer than usual to believe a tag: 1, and more as the registry's pull limit is used up. */
  readonly thrift: number;
  /** What came for this digest was not it: endpoints that gave it are asked last for it. */
  distrust(digest: Digest): void;
  status(): UpstreamStatus;
  close(): Promise<void>;
}
