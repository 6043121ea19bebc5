// An upstream with one address or several: asked in order, each by its own health, the registry itself last.
import { setTimeout as pause } from 'node:timers/promises';
import type { Digest } from '../oci/digest.ts';
import type { Manifest } from '../oci/manifest.ts';
import type { Reference } from '../oci/reference.ts';
import { Attempt } from './attempt.ts';
import { BlobTrust } from './blob-trust.ts';
import type { RegistryClient } from './registry-client.ts';
import {
  type BlobTransfer,
  type Resolution,
  type TagPage,
  type TagQuery,
  type Upstream,
  UpstreamError,
  type UpstreamStatus,
  type WantedBlob,
} from './upstream.ts';

export interface EndpointsOptions {
  readonly name: string;
  readonly label: string;
  readonly answerTimeoutMs: number;
  readonly parallel: number;
  /** At least one; the last is the registry itself, whose word counts. */
  readonly clients: readonly RegistryClient[];
}

type Asking<T> = (client: RegistryClient, attempt: Attempt) => Promise<T | undefined>;

/** Of the time for an answer; the rest is for telling the client. */
const patience = 0.95;
/** Of the same, for whoever comes last: with less nobody could be told from one that hangs. */
const leastPatience = 0.1;
/** A connection that was closed under a request is no outage: those that failed are asked once more. */
const rounds = 2;
const pauseMs = { least: 100, most: 300 };

export class Endpoints implements Upstream {
  readonly name: string;
  readonly label: string;
  readonly answerTimeoutMs: number;
  readonly parallel: number;
  readonly transfers: number;
  readonly #clients: readonly RegistryClient[];
  readonly #registry: RegistryClient;
  readonly #trust = new BlobTrust<RegistryClient>();

  constructor({ name, label, answerTimeoutMs, parallel, clients }: EndpointsOptions) {
    this.name = name;
    this.label = label;
    this.answerTimeoutMs = answerTimeoutMs;
    this.parallel = parallel;
    this.#clients = clients;
    this.#registry = clients.at(-1) as RegistryClient;
    this.transfers = Math.min(...clients.map(({ endpoint }) => endpoint.transfers));
  }

  resolve(path: string, reference: Reference, signal: AbortSignal): Promise<Resolution | undefined> {
    return this.#ask(signal, this.#clients, (client, attempt) => client.resolve(path, reference, attempt));
  }

  fetchManifest(path: string, reference: Reference, signal: AbortSignal): Promise<Manifest | undefined> {
    return this.#ask(signal, this.#clients, (client, attempt) => client.fetchManifest(path, reference, attempt));
  }

  fetchBlob(path: string, digest: Digest, signal: AbortSignal, wanted?: WantedBlob): Promise<BlobTransfer | undefined> {
    return this.#ask(signal, this.#trust.inOrder(this.#clients, digest), async (client, attempt) => {
      const transfer = await client.fetchBlob(path, digest, attempt, wanted);
      if (!transfer || this.#clients.length === 1) return transfer;
      return { ...transfer, body: this.#watched(client, digest, transfer, signal) };
    });
  }

  proveBlob(path: string, digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    return this.#ask(signal, this.#clients, (client, attempt) => client.proveBlob(path, digest, attempt));
  }

  listTags(path: string, page: TagQuery, signal: AbortSignal): Promise<TagPage | undefined> {
    return this.#ask(signal, this.#clients, (client, attempt) => client.listTags(path, page, attempt));
  }

  fetchReferrers(path: string, digest: Digest, signal: AbortSignal): Promise<Uint8Array | undefined> {
    return this.#ask(signal, this.#clients, (client, attempt) => client.fetchReferrers(path, digest, attempt));
  }

  async isPublic(path: string, signal: AbortSignal): Promise<boolean> {
    try {
      // A mirror in front may show what the registry does not.
      const found = await this.#ask(signal, [this.#registry], (client, attempt) => client.isPublic(path, attempt));
      return found ?? false;
    } catch (error) {
      if (error instanceof UpstreamError && isRefusal(error)) return false;
      throw error;
    }
  }

  mayAsk(kind: 'manifest' | 'blob'): boolean {
    const question = kind === 'manifest' ? 'pull' : 'other';
    return this.#clients.some(({ endpoint }) => endpoint.mayAsk(question));
  }

  get lastAnswerAt(): number {
    // A mirror in front that has nothing proves nothing of the registry.
    return Math.max(this.#registry.endpoint.lastAnswerAt, ...this.#clients.map(({ endpoint }) => endpoint.lastGivenAt));
  }

  get thrift(): number {
    return this.#registry.endpoint.thrift;
  }

  distrust(digest: Digest): void {
    this.#trust.doubtGivers(digest);
  }

  status(): UpstreamStatus {
    return { name: this.name, endpoints: this.#clients.flatMap(({ endpoint }) => endpoint.status()) };
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(({ endpoint }) => endpoint.close()));
  }

  /** Throws what the registry itself failed with, or that it is not asked. */
  async #ask<T>(signal: AbortSignal, order: readonly RegistryClient[], asking: Asking<T>): Promise<T | undefined> {
    const deadline = performance.now() + this.answerTimeoutMs * patience;
    const waits: number[] = [];
    let verdict: unknown;
    let clients = order;
    for (let round = 1; ; round++) {
      const broken: RegistryClient[] = [];
      for (const [place, client] of clients.entries()) {
        const rest = clients.slice(place).filter(({ endpoint }) => endpoint.isUsable).length;
        const fairMs = (deadline - performance.now()) / Math.max(1, rest);
        const patienceMs = Math.max(fairMs, this.answerTimeoutMs * leastPatience);
        const attempt = new Attempt(signal, { patienceMs, name: this.#nameOf(client) });
        try {
          const answer = await asking(client, attempt);
          if (answer !== undefined || client === this.#registry) return answer;
          waits.push(0);
        } catch (error) {
          if (signal.aborted || !(error instanceof UpstreamError)) throw error;
          waits.push(error.retryAfterMs ?? 0);
          if (client === this.#registry) verdict = error;
          if (isRefusal(error) && client === this.#registry) throw error;
          if (isBroken(error)) broken.push(client);
        }
      }
      clients = broken.filter(({ endpoint }) => endpoint.isUsable);
      const isLate = deadline - performance.now() < this.answerTimeoutMs / 4;
      if (round === rounds || clients.length === 0 || isLate) throw withRetry(verdict, waits);
      const { least, most } = pauseMs;
      await pause(least + Math.random() * (most - least), undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  /** Where a body breaks off, the next request for this blob goes to somebody else. */
  async *#watched(
    client: RegistryClient,
    digest: Digest,
    { start, end, body }: BlobTransfer,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    this.#trust.gave(client, digest);
    let position = start;
    try {
      for await (const chunk of body) {
        position += chunk.length;
        yield chunk;
      }
      if (end !== undefined && position < end) this.#trust.doubt(client, digest);
    } catch (error) {
      if (!signal.aborted) this.#trust.doubt(client, digest);
      throw error;
    }
  }

  #nameOf({ endpoint }: RegistryClient): string {
    return `upstream ${this.name} at ${endpoint.address}`;
  }
}

/** An answer, though not the one that was hoped for. */
function isRefusal({ failure }: UpstreamError): boolean {
  return failure === 'unauthorized' || failure === 'denied';
}

/** It may be worth asking again as soon as one of them can be asked. */
function withRetry(verdict: unknown, waits: readonly number[]): unknown {
  if (!(verdict instanceof UpstreamError) || verdict.failure !== 'away') return verdict;
  return new UpstreamError('away', verdict.message, { retryAfterMs: Math.min(...waits), cause: verdict.cause });
}

function isBroken({ failure }: UpstreamError): boolean {
  return failure === 'unreachable' || failure === 'failing';
}
