// A registry spoken to over the distribution protocol, one endpoint of it.
import { type Digest, digestAlgorithm, digestOf, parseDigest } from '../oci/digest.ts';
import { type Manifest, manifestChildren, manifestMediaType, maxManifestBytes } from '../oci/manifest.ts';
import { bareMediaType, manifestAccept, mediaTypes } from '../oci/media-types.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import { abandonable } from './abandonable.ts';
import type { Authenticator } from './authenticator.ts';
import { statusError } from './status-error.ts';
import type { Transport, UpstreamRequest, UpstreamResponse } from './transport.ts';
import {
  type BlobTransfer,
  type Part,
  type Resolution,
  type TagPage,
  type TagQuery,
  type Upstream,
  UpstreamError,
} from './upstream.ts';

export interface RegistryClientOptions {
  readonly name: string;
  readonly endpoint: URL;
  readonly answerTimeoutMs: number;
  readonly parallel: number;
  readonly transport: Transport;
  readonly authenticator: Authenticator;
}

type Ask = Pick<UpstreamRequest, 'kind' | 'signal' | 'headers'> & { method?: 'GET' | 'HEAD' };

const maxListBytes = 4 * 1024 * 1024;

export class RegistryClient implements Upstream {
  readonly name: string;
  readonly answerTimeoutMs: number;
  readonly parallel: number;
  readonly transfers: number;
  readonly #options: RegistryClientOptions;

  constructor(options: RegistryClientOptions) {
    this.name = options.name;
    this.answerTimeoutMs = options.answerTimeoutMs;
    this.parallel = options.parallel;
    this.transfers = options.transport.transfers;
    this.#options = options;
  }

  async resolve(path: string, reference: Reference, signal: AbortSignal): Promise<Resolution | undefined> {
    const target = `manifests/${formatReference(reference)}`;
    const response = await this.#ask(path, target, { ...manifestAsk, signal, method: 'HEAD' });
    if (response.status === 429 || response.status >= 500)
      throw await statusError(this.name, `${path} ${target}`, response);
    response.discard();
    if (response.status === 404) return undefined;
    const digest =
      'digest' in reference ? reference.digest : parseDigest(response.header('docker-content-digest') ?? '');
    const mediaType = manifestMediaType(response.header('content-type') ?? '');
    const size = lengthOf(response);
    // Some registries leave headers out on HEAD or refuse it where GET is fine (protocol quirks of ECR, GitLab).
    if (response.status !== 200 || !digest || !mediaType || size === undefined) {
      const manifest = await this.fetchManifest(path, reference, signal);
      return manifest && { descriptor: manifest.descriptor, manifest };
    }
    return { descriptor: { mediaType, digest, size } };
  }

  async fetchManifest(path: string, reference: Reference, signal: AbortSignal): Promise<Manifest | undefined> {
    const target = `manifests/${formatReference(reference)}`;
    const response = await this.#ask(path, target, { ...manifestAsk, signal });
    if (!(await this.#found(response, `${path} ${target}`))) return undefined;
    const mediaType = manifestMediaType(response.header('content-type') ?? '');
    if (!mediaType) {
      response.discard();
      throw this.#lie(`${target} of ${path} as ${response.header('content-type') ?? 'no type'}, which is no manifest`);
    }
    const bytes = await response.bytes(maxManifestBytes);
    const told = parseDigest(response.header('docker-content-digest') ?? '');
    const wanted = 'digest' in reference ? reference.digest : told;
    const digest = digestOf(bytes, wanted && digestAlgorithm(wanted));
    for (const expected of [wanted, told])
      if (expected && expected !== digestOf(bytes, digestAlgorithm(expected)))
        throw this.#lie(`bytes for ${target} of ${path} that do not hash to ${expected}`);
    return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
  }

  async fetchBlob(path: string, digest: Digest, signal: AbortSignal, part?: Part): Promise<BlobTransfer | undefined> {
    const headers = part && { range: `bytes=${part.start}-${part.end - 1}` };
    const response = await this.#ask(path, `blobs/${digest}`, { kind: 'blob', signal, ...(headers && { headers }) });
    if (part && response.status === 206) return this.#partOf(response, `${digest} of ${path}`, part);
    // A length of 0 has no first byte, and some registries refuse every Range.
    if (part && (response.status === 416 || response.status === 400)) {
      response.discard();
      return this.fetchBlob(path, digest, signal);
    }
    if (!(await this.#found(response, `${path} blobs/${digest}`))) return undefined;
    const size = lengthOf(response);
    return { size, start: 0, end: size, body: response.body };
  }

  async proveBlob(path: string, digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    const headers = { range: 'bytes=0-0' };
    const response = await this.#ask(path, `blobs/${digest}`, { kind: 'proof', signal, headers });
    const total = /^bytes (?:0-0|\*)\/(\d+)$/.exec(response.header('content-range') ?? '')?.[1];
    if ((response.status === 206 || response.status === 416) && total !== undefined) {
      response.discard();
      return Number(total);
    }
    if (!(await this.#found(response, `${path} blobs/${digest}`))) return undefined;
    response.discard();
    const size = lengthOf(response);
    if (size === undefined) throw this.#lie(`blob ${digest} of ${path} without a length`);
    return size;
  }

  async listTags(path: string, { n, last }: TagQuery, signal: AbortSignal): Promise<TagPage | undefined> {
    const query = new URLSearchParams({ n: String(n), ...(last !== undefined && { last }) });
    const response = await this.#ask(path, `tags/list?${query}`, { kind: 'tags', signal });
    if (!(await this.#found(response, `the tags of ${path}`))) return undefined;
    const tags = parseTags(await response.bytes(maxListBytes));
    if (!tags) throw this.#lie(`a list of the tags of ${path} that is none`);
    const next = nextTarget(response.header('link') ?? '');
    return {
      tags,
      last: next === undefined ? undefined : (URL.parse(next, response.url)?.searchParams.get('last') ?? undefined),
    };
  }

  async fetchReferrers(
    path: string,
    digest: Digest,
    artifactType: string | undefined,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const query = artifactType === undefined ? '' : `?${new URLSearchParams({ artifactType })}`;
    const response = await this.#ask(path, `referrers/${digest}${query}`, { kind: 'referrers', signal });
    if (!(await this.#found(response, `the referrers of ${digest} in ${path}`))) return undefined;
    // ghcr.io sends people to a web page here: not an index means not supported.
    if (bareMediaType(response.header('content-type') ?? '') !== mediaTypes.ociIndex) {
      response.discard();
      return undefined;
    }
    const bytes = await response.bytes(maxManifestBytes);
    try {
      manifestChildren(bytes, mediaTypes.ociIndex);
    } catch (cause) {
      throw this.#lie(`referrers of ${digest} in ${path} that are no index`, cause);
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.#options.transport.close();
  }

  async #ask(path: string, target: string, { method = 'GET', ...ask }: Ask): Promise<UpstreamResponse> {
    const { endpoint, transport, authenticator } = this.#options;
    const url = new URL(`${endpoint.href.replace(/\/+$/, '')}/v2/${path}/${target}`);
    const scope = `repository:${path}:pull`;
    const known = await abandonable(authenticator.authorization(scope), ask.signal);
    let response = await transport.send({ ...ask, method, url, authorization: known });
    // Only the registry itself may challenge: what we showed would not follow a redirect anyway.
    if (response.status === 401 && response.url.origin === url.origin) {
      const authorization = await this.#answer(response, scope, known, ask.signal);
      if (authorization !== undefined) response = await transport.send({ ...ask, method, url, authorization });
    }
    const encoding = response.header('content-encoding');
    if (response.status < 300 && encoding !== undefined && encoding !== 'identity') {
      response.discard();
      throw this.#lie(`${target} of ${path} in ${encoding} encoding, which nobody asked for`);
    }
    return response;
  }

  /** What to show after a 401; `undefined` leaves the response to be read as the answer it is. */
  async #answer(
    response: UpstreamResponse,
    scope: string,
    refused: string | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const challenge = response.header('www-authenticate') ?? '';
    try {
      const answer = this.#options.authenticator.answer(challenge, scope, refused);
      const authorization = await abandonable(answer, signal);
      if (authorization !== undefined) response.discard();
      return authorization;
    } catch (error) {
      response.discard();
      throw error;
    }
  }

  #partOf(response: UpstreamResponse, what: string, part: Part): BlobTransfer {
    const contentRange = response.header('content-range') ?? '';
    const [, first, last, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(contentRange) ?? [];
    const [start, end] = [Number(first), Number(last) + 1];
    // It may give less than was asked for, from the same place.
    if (start !== part.start || !(end > start) || end > part.end) {
      response.discard();
      throw this.#lie(`${JSON.stringify(contentRange)} of blob ${what}, asked for bytes ${part.start}-${part.end - 1}`);
    }
    return { size: total === undefined || total === '*' ? undefined : Number(total), start, end, body: response.body };
  }

  /** `false` for a proven 404; throws for every other status that is not 200. */
  async #found(response: UpstreamResponse, what: string): Promise<boolean> {
    if (response.status === 200) return true;
    if (response.status !== 404) throw await statusError(this.name, what, response);
    response.discard();
    return false;
  }

  #lie(what: string, cause?: unknown): UpstreamError {
    return new UpstreamError('protocol', `upstream ${this.name} gave ${what}`, { cause });
  }
}

const manifestAsk = { kind: 'manifest', headers: { accept: manifestAccept } } as const;

/** RFC 8288; the piece before a `<` is matched once, so that a hostile header costs no more than its length. */
function nextTarget(link: string): string | undefined {
  for (const [, target, parameters] of link.matchAll(/<([^<>]*)>([^<]*)/g))
    if (/;\s*rel="?next"?/i.test(parameters ?? '')) return target;
  return undefined;
}

function lengthOf(response: UpstreamResponse): number | undefined {
  const text = response.header('content-length') ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

function parseTags(bytes: Uint8Array): string[] | undefined {
  try {
    const { tags } = JSON.parse(Buffer.from(bytes).toString()) as { tags?: unknown };
    if (tags === null || tags === undefined) return [];
    return Array.isArray(tags) ? tags.filter((tag): tag is string => typeof tag === 'string') : undefined;
  } catch {
    return undefined;
  }
}
