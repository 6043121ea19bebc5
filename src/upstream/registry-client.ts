// A registry spoken to over the distribution protocol, at one endpoint of it.
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, digestAlgorithm, digestOf, parseDigest } from '../oci/digest.ts';
import { type Manifest, manifestChildren, manifestMediaType, maxManifestBytes } from '../oci/manifest.ts';
import { bareMediaType, manifestAccept, mediaTypes } from '../oci/media-types.ts';
import { formatReference, type Reference } from '../oci/reference.ts';
import type { Attempt } from './attempt.ts';
import type { Endpoint, Question, Reader } from './endpoint.ts';
import { foreignText } from './foreign-text.ts';
import { statusError } from './status-error.ts';
import { isTagList, parseTags, TagPages } from './tag-pages.ts';
import type { UpstreamResponse } from './transport.ts';
import {
  type BlobTransfer,
  type Part,
  type Resolution,
  type TagPage,
  type TagQuery,
  UpstreamError,
  type WantedBlob,
} from './upstream.ts';

const maxListBytes = 4 * 1024 * 1024;

/** Answers as `Upstream` does, for as long as the attempt lasts; of a blob's body only who asked is the end. */
export class RegistryClient {
  readonly endpoint: Endpoint;
  readonly #tagPages = new TagPages();

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint;
  }

  async resolve(path: string, reference: Reference, attempt: Attempt): Promise<Resolution | undefined> {
    const target = `manifests/${formatReference(reference)}`;
    const question = { ...manifestQuestion, method: 'HEAD', path, target } as const;
    const found = await this.#ask(question, attempt, async (response) => {
      if (response.status === 429 || response.status >= 500) throw await this.#refusal(question, response);
      if (response.status === 404) return (await this.#found(question, response)) ? {} : undefined;
      response.discard();
      return { descriptor: descriptorOf(response, reference) };
    });
    // Some registries leave headers out on HEAD or refuse it where GET is fine (protocol quirks of ECR, GitLab).
    if (found && !found.descriptor) {
      const manifest = await this.fetchManifest(path, reference, attempt);
      return manifest && { descriptor: manifest.descriptor, manifest };
    }
    return found as Resolution | undefined;
  }

  fetchManifest(path: string, reference: Reference, attempt: Attempt): Promise<Manifest | undefined> {
    const target = `manifests/${formatReference(reference)}`;
    const question = { ...manifestQuestion, path, target } as const;
    return this.#ask(question, attempt, async (response) => {
      if (!(await this.#found(question, response))) return undefined;
      const mediaType = manifestMediaType(response.header('content-type') ?? '');
      if (!mediaType) {
        response.discard();
        const told = foreignText(response.header('content-type') ?? 'no type');
        throw this.#lie(`${target} of ${path} as ${told}, which is no manifest`);
      }
      const bytes = await response.bytes(maxManifestBytes);
      const told = parseDigest(response.header('docker-content-digest') ?? '');
      const wanted = 'digest' in reference ? reference.digest : told;
      const digest = digestOf(bytes, wanted && digestAlgorithm(wanted));
      for (const expected of [wanted, told])
        if (expected && expected !== digestOf(bytes, digestAlgorithm(expected)))
          throw this.#lie(`bytes for ${target} of ${path} that do not hash to ${expected}`);
      return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
    });
  }

  async fetchBlob(
    path: string,
    digest: Digest,
    attempt: Attempt,
    wanted: WantedBlob = {},
  ): Promise<BlobTransfer | undefined> {
    const transfer = await this.#fetchBlob(path, digest, attempt, wanted);
    // A length of 0 has no first byte, and some registries refuse every Range.
    const { size } = wanted;
    return transfer === 'no parts' ? this.fetchBlob(path, digest, attempt, { size }) : transfer;
  }

  #fetchBlob(
    path: string,
    digest: Digest,
    attempt: Attempt,
    { start = 0, end, size: known }: WantedBlob,
  ): Promise<BlobTransfer | 'no parts' | undefined> {
    const part = end === undefined ? undefined : { start, end };
    const headers = part && { range: `bytes=${part.start}-${part.end - 1}` };
    const question = { kind: 'blob', path, target: `blobs/${digest}`, ...(headers && { headers }) } as const;
    return this.#ask(question, attempt, async (response) => {
      if (part && (response.status === 416 || response.status === 400)) {
        response.discard();
        return 'no parts';
      }
      const transfer =
        part && response.status === 206
          ? this.#partOf(response, `${digest} of ${path}`, part)
          : await this.#wholeOf(question, response);
      if (transfer?.size === undefined || known === undefined || transfer.size === known) return transfer;
      response.discard();
      throw this.#lie(`${transfer.size} bytes for ${digest} of ${path}, which has ${known}`);
    });
  }

  proveBlob(path: string, digest: Digest, attempt: Attempt): Promise<number | undefined> {
    const question = { kind: 'proof', path, target: `blobs/${digest}`, headers: { range: 'bytes=0-0' } } as const;
    return this.#ask(question, attempt, async (response) => {
      const total = /^bytes (?:0-0|\*)\/(\d+)$/.exec(response.header('content-range') ?? '')?.[1];
      if ((response.status === 206 || response.status === 416) && total !== undefined) {
        response.discard();
        return Number(total);
      }
      if (!(await this.#foundBlob(question, response))) return undefined;
      response.discard();
      const size = lengthOf(response);
      if (size === undefined) throw this.#lie(`blob ${digest} of ${path} without a length`);
      return size;
    });
  }

  listTags(path: string, page: TagQuery, attempt: Attempt): Promise<TagPage | undefined> {
    const question = { kind: 'tags', path, target: `tags/list${this.#tagPages.query(path, page)}` } as const;
    return this.#ask(question, attempt, async (response) => {
      if (!(await this.#found(question, response))) return undefined;
      const tags = parseTags(await response.bytes(maxListBytes));
      if (!tags) throw this.#lie(`a list of the tags of ${path} that is none`);
      return this.#tagPages.page(path, page, tags, response);
    });
  }

  fetchReferrers(path: string, digest: Digest, attempt: Attempt): Promise<Uint8Array | undefined> {
    const question = { kind: 'referrers', path, target: `referrers/${digest}` } as const;
    return this.#ask(question, attempt, async (response) => {
      const isIndex = bareMediaType(response.header('content-type') ?? '') === mediaTypes.ociIndex;
      if (noReferrers.has(response.status) || (response.status === 200 && !isIndex)) {
        response.discard();
        return undefined;
      }
      if (!(await this.#found(question, response))) return undefined;
      const bytes = await response.bytes(maxManifestBytes);
      try {
        manifestChildren(bytes, mediaTypes.ociIndex);
      } catch (cause) {
        throw this.#lie(`referrers of ${digest} in ${path} that are no index`, cause);
      }
      return bytes;
    });
  }

  /** `undefined`: there is no such repository for somebody without a login. */
  isPublic(path: string, attempt: Attempt): Promise<true | undefined> {
    const question = { kind: 'tags', path, target: 'tags/list?n=1', isAnonymous: true } as const;
    return this.#ask(question, attempt, async (response) => {
      if (!(await this.#found(question, response))) return undefined;
      // A page to log in at comes with a 200 as well.
      if (!isTagList(await response.bytes(maxListBytes))) throw this.#lie(`a list of the tags of ${path} that is none`);
      return true;
    });
  }

  #ask<T>(question: Question, attempt: Attempt, read: Reader<T>): Promise<T> {
    return this.endpoint.ask(question, attempt, async (response) => {
      const encoding = response.header('content-encoding');
      if (response.status < 300 && encoding !== undefined && encoding !== 'identity') {
        response.discard();
        const told = foreignText(encoding);
        throw this.#lie(`${question.target} of ${question.path} in ${told} encoding, which nobody asked for`);
      }
      return read(response);
    });
  }

  #partOf(response: UpstreamResponse, what: string, part: Part): BlobTransfer {
    const contentRange = response.header('content-range') ?? '';
    const [, first, last, total] = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(contentRange) ?? [];
    const [start, end] = [Number(first), Number(last) + 1];
    // It may give less than was asked for, from the same place.
    if (start !== part.start || !(end > start) || end > part.end) {
      response.discard();
      const told = JSON.stringify(foreignText(contentRange));
      throw this.#lie(`${told} of blob ${what}, asked for bytes ${part.start}-${part.end - 1}`);
    }
    return { size: total === undefined || total === '*' ? undefined : Number(total), start, end, body: response.body };
  }

  async #wholeOf(question: Question, response: UpstreamResponse): Promise<BlobTransfer | undefined> {
    if (!(await this.#foundBlob(question, response))) return undefined;
    const size = lengthOf(response);
    return { size, start: 0, end: size, body: response.body };
  }

  /** `false` for a proven 404; throws for every other status that is not 200. */
  async #found(question: Question, response: UpstreamResponse): Promise<boolean> {
    if (response.status === 200) return true;
    if (response.status !== 404) throw await this.#refusal(question, response);
    // What a proxy says while the registry behind it is away proves nothing.
    this.#refuseWebPage(question, response);
    response.discard();
    return false;
  }

  /** A page for people in place of a blob, with its own length, is found out here: another endpoint may have the blob. */
  async #foundBlob(question: Question, response: UpstreamResponse): Promise<boolean> {
    const isFound = await this.#found(question, response);
    if (isFound) this.#refuseWebPage(question, response);
    return isFound;
  }

  #refuseWebPage({ path, target }: Question, response: UpstreamResponse): void {
    if (bareMediaType(response.header('content-type') ?? '') !== 'text/html') return;
    response.discard();
    throw this.#lie(`a web page for ${target} of ${path}`);
  }

  #refusal({ path, target }: Question, response: UpstreamResponse): Promise<UpstreamError> {
    return statusError(this.endpoint.name, `${path} ${target}`, response);
  }

  #lie(what: string, cause?: unknown): UpstreamError {
    return new UpstreamError('protocol', `upstream ${this.endpoint.name} gave ${what}`, { cause });
  }
}

/** How registries say that they have no such API; ghcr.io sends people to a web page (303). */
const noReferrers: ReadonlySet<number> = new Set([303, 400, 404, 405, 406, 501]);

const manifestQuestion = { kind: 'manifest', headers: { accept: manifestAccept } } as const;

/** What a HEAD says of a manifest; `undefined` where it leaves anything out. */
function descriptorOf(response: UpstreamResponse, reference: Reference): Descriptor | undefined {
  const digest = 'digest' in reference ? reference.digest : parseDigest(response.header('docker-content-digest') ?? '');
  const mediaType = manifestMediaType(response.header('content-type') ?? '');
  const size = lengthOf(response);
  if (response.status !== 200 || !digest || !mediaType || size === undefined) return undefined;
  return { mediaType, digest, size };
}

function lengthOf(response: UpstreamResponse): number | undefined {
  const text = response.header('content-length') ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}
