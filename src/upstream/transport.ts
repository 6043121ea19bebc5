// One request to one registry: connection pool, proxy, time-outs, redirects, bounded bodies.
import { getCACertificates } from 'node:tls';
import { type Dispatcher, EnvHttpProxyAgent } from 'undici';
import type { Metrics } from '../observe/metrics.ts';
import type { AddressGuard } from './address-guard.ts';
import { Arrival, type ArrivedHead } from './arrival.ts';
import { pacedBody } from './paced-body.ts';
import { slabConnector } from './slabs.ts';
import { Telling } from './telling.ts';
import type { Throttle } from './throttle.ts';
import { transportError } from './transport-error.ts';
import { UpstreamError } from './upstream.ts';

export interface TransportOptions {
  readonly name: string;
  /** The upstream in metrics. */
  readonly label: string;
  readonly guard: AddressGuard;
  /** Shared by all transports of an upstream. */
  readonly throttle?: Throttle | undefined;
  readonly connections: number;
  readonly connectTimeoutMs: number;
  readonly headersTimeoutMs: number;
  /** The longest pause between two pieces of a body. */
  readonly idleTimeoutMs: number;
  /** PEM of an authority to trust besides the system's. */
  readonly ca: string | undefined;
  readonly metrics: Metrics;
}

export interface UpstreamRequest {
  readonly kind: 'manifest' | 'blob' | 'proof' | 'tags' | 'referrers' | 'token';
  readonly method: 'GET' | 'HEAD' | 'POST';
  readonly url: URL;
  /** Sent to this URL's origin only. */
  readonly authorization?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** The form of a POST, encoded. */
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface UpstreamResponse {
  readonly url: URL;
  /** It comes from another origin than was asked: a redirect led there, and what it says may be meant for others. */
  readonly isForeign: boolean;
  readonly status: number;
  header(name: string): string | undefined;
  /** Body bytes as they come. Throws `UpstreamError`. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Reads the whole body; above `limit` bytes it throws `UpstreamError` without reading on. */
  bytes(limit: number): Promise<Uint8Array>;
  /** Drops the rest of the body; the connection survives when little is left. */
  discard(): void;
}

const maxRedirects = 5;
/** What is left of a body that nobody reads: more, or slower, costs the connection. */
const dumpLimit = 64 * 1024;
const dumpMs = 2000;
/** RFC 1035 §3.1; a URL's may be of any length, and it is quoted in errors. */
const maxHostLength = 255;
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

export class Transport {
  /** Connections for the bodies of blobs. */
  readonly transfers: number;
  readonly #options: TransportOptions;
  /** Apart, so that transfers that take every connection cannot hold up a manifest or a token. */
  readonly #transfers: Dispatcher;
  readonly #questions: Dispatcher;

  constructor(options: TransportOptions) {
    this.#options = options;
    const tls = options.ca === undefined ? {} : { ca: [...getCACertificates('default'), options.ca] };
    const questions = Math.ceil(options.connections / 4);
    this.transfers = Math.max(1, options.connections - questions);
    const pool = {
      connectTimeout: options.connectTimeoutMs,
      requestTls: tls,
      headersTimeout: options.headersTimeoutMs,
      bodyTimeout: options.idleTimeoutMs,
      // Whatever a server offers: there may be many of them that are asked only once.
      keepAliveMaxTimeout: 30_000,
      maxHeaderSize: 32 * 1024,
      // One stream a connection: HTTP/2 would put all blobs of a registry behind one flow-control window.
      allowH2: false,
    };
    // Where a proxy makes the connection, it also looks up the name.
    const connect = { ...tls, lookup: options.guard.lookup };
    const transferring = slabConnector({ ...connect, timeout: options.connectTimeoutMs, allowH2: false });
    try {
      this.#transfers = new EnvHttpProxyAgent({ ...pool, connect: transferring, connections: this.transfers });
      this.#questions = new EnvHttpProxyAgent({ ...pool, connect, connections: questions });
    } catch (cause) {
      throw new Error('HTTP_PROXY or HTTPS_PROXY cannot be used: write it as http://proxy.example:3128', { cause });
    }
  }

  /** Follows redirects. Any status comes back; only a request without an answer throws `UpstreamError`. */
  async send(request: UpstreamRequest): Promise<UpstreamResponse> {
    let { url, authorization } = request;
    for (let hops = 0; ; hops++) {
      this.#options.guard.check(url);
      const response = await this.#exchange(request, url, authorization);
      const location = isFollowed(request, response.status) ? response.header('location') : undefined;
      if (location === undefined) return response;
      response.discard();
      // A form holds what only its own address may know.
      if (request.method === 'POST') throw this.#refused(`a redirect for a form, from ${url.host}`);
      if (hops === maxRedirects) throw this.#refused(`more than ${maxRedirects} redirects, the last to ${url.host}`);
      const next = URL.parse(location, url);
      if (!next || !/^https?:$/.test(next.protocol) || next.hostname.length > maxHostLength)
        throw this.#refused('a redirect without a usable address');
      if (url.protocol === 'https:' && next.protocol === 'http:')
        throw this.#refused(`a redirect from https to plain http, to ${next.host}`);
      if (next.origin !== url.origin) authorization = undefined;
      url = next;
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#transfers.destroy(), this.#questions.destroy()]);
  }

  async #exchange(request: UpstreamRequest, url: URL, authorization: string | undefined): Promise<UpstreamResponse> {
    const { label, metrics } = this.#options;
    const isForeign = url.origin !== request.url.origin;
    const telling = new Telling(request, { label, metrics, url, isForeign });
    const answer = new Arrival(request.signal);
    // undici hears nothing of a request until it has a connection; a full pool must not hold up who leaves.
    const dispatcher = request.kind === 'blob' ? this.#transfers : this.#questions;
    if (!request.signal.aborted)
      dispatcher.dispatch(
        {
          origin: url.origin,
          path: url.pathname + url.search,
          method: request.method,
          headers: {
            'user-agent': 'stillwater',
            // A registry that compresses would change the bytes under their digest.
            'accept-encoding': 'identity',
            ...request.headers,
            ...(request.body !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
            ...(authorization !== undefined && { authorization }),
            ...telling.headers,
          },
          body: request.body ?? null,
          // undici would close the connection after every HEAD.
          reset: false,
        },
        answer,
      );
    try {
      const head = await answer.head;
      telling.answered(head.status);
      return this.#response(head, answer, { ...request, url, isForeign, telling });
    } catch (error) {
      const failure = this.#failure(error, url, request.signal);
      telling.unanswered(failure);
      throw failure;
    }
  }

  #response(
    { status, headers }: ArrivedHead,
    answer: Arrival,
    {
      kind,
      signal,
      url,
      isForeign,
      telling,
    }: UpstreamRequest & { readonly isForeign: boolean; readonly telling: Telling },
  ): UpstreamResponse {
    const { throttle, idleTimeoutMs } = this.#options;
    const failure = (error: unknown) => this.#failure(error, url, signal);
    const received: AsyncIterable<Uint8Array> =
      kind === 'blob' ? pacedBody(answer, { throttle, idleTimeoutMs, signal }) : answer;
    const chunks = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for await (const chunk of received) {
          telling.received(chunk.length);
          yield chunk;
        }
      } catch (error) {
        const told = failure(error);
        telling.over(told);
        throw told;
      } finally {
        telling.over();
      }
    };
    return {
      url,
      isForeign,
      status,
      header: (field) => {
        const value = headers[field];
        return Array.isArray(value) ? value.join(', ') : value;
      },
      body: chunks(),
      bytes: async (limit) => {
        const read: Uint8Array[] = [];
        let length = 0;
        for await (const chunk of chunks()) {
          length += chunk.length;
          if (length > limit) throw this.#refused(`an answer of more than ${limit} bytes from ${url.host}`);
          read.push(chunk);
        }
        return Buffer.concat(read);
      },
      discard: () => {
        telling.over();
        answer.discard(dumpLimit, dumpMs);
      },
    };
  }

  #refused(what: string): UpstreamError {
    return new UpstreamError('protocol', `upstream ${this.#options.name} gave ${what}`);
  }

  /** Our own abort stays what it is: the upstream did nothing wrong. */
  #failure(error: unknown, url: URL, signal: AbortSignal): unknown {
    if (signal.aborted && signal.reason?.name !== 'TimeoutError') return signal.reason;
    return transportError(signal.aborted ? signal.reason : error, this.#options.name, url.host);
  }
}

/** ghcr.io sends who asks for referrers on to a web page with a limit of its own: no answer of the registry's. */
function isFollowed({ kind }: UpstreamRequest, status: number): boolean {
  return redirectStatuses.has(status) && !(kind === 'referrers' && status === 303);
}
