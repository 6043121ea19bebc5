// Asks the admin API of a running mirror, and says in one line why that did not work.
import { once } from 'node:events';
import { type IncomingMessage, type RequestOptions, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { readLines } from './json-lines.ts';

export interface AdminClientOptions {
  readonly url: URL;
  /** Goes into the Authorization header as it is. */
  readonly authorization?: string | undefined;
  /** What to do when nobody answers there. */
  readonly advice: () => string;
}

export interface Asking {
  readonly signal?: AbortSignal;
  readonly body?: unknown;
  /** What to do when the mirror has nothing of the kind. */
  readonly ifMissing?: string;
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

export interface Upload {
  readonly body: Readable;
  /** Where it is known: what cannot fit is then refused before it is sent. */
  readonly sizeBytes?: number | undefined;
}

interface Question extends Asking {
  readonly upload?: Upload;
  /** How long the head of the answer may take once the question is out. */
  readonly headMs: number;
}

const connectMs = 10_000;
const headMs = 10_000;
/** To purge all of a large cache takes time, and so does reading every file of a configuration anew. */
const changeMs = 300_000;
/** Streams have a heartbeat every ten seconds. */
const silenceMs = 60_000;
const maxBodyBytes = 32 * 1024 * 1024;

export class AdminClient {
  readonly #options: AdminClientOptions;

  constructor(options: AdminClientOptions) {
    this.#options = options;
  }

  /** For people: without credentials. */
  get url(): string {
    return this.#options.url.origin;
  }

  /** Paths are those below /api/v1. Resolves to the JSON of the answer. */
  get(path: string, asking: Asking = {}): Promise<unknown> {
    return this.#json('GET', path, { ...asking, headMs });
  }

  post(path: string, asking: Asking = {}): Promise<unknown> {
    return this.#json('POST', path, { ...asking, headMs: changeMs });
  }

  put(path: string, asking: Asking = {}): Promise<unknown> {
    return this.#json('PUT', path, { ...asking, headMs: changeMs });
  }

  delete(path: string, asking: Asking = {}): Promise<unknown> {
    return this.#json('DELETE', path, { ...asking, headMs: changeMs });
  }

  /** The lines of an answer that goes on while there is something to tell; heartbeats are not given out, and what failed is thrown. */
  async *stream(
    path: string,
    { upload, ...asking }: Asking & { readonly upload?: Upload } = {},
  ): AsyncGenerator<unknown> {
    const question = { ...asking, ...(upload && { upload }), headMs: upload ? changeMs : headMs };
    const answer = await this.#ask('POST', path, question);
    if (!/ndjson/.test(answer.headers['content-type'] ?? '')) throw this.#foreign(answer);
    for await (const line of readLines(this.#bytes(answer))) {
      const { type, error } = (line ?? {}) as { readonly type?: unknown; readonly error?: unknown };
      if (type === 'error') throw new Error(String(error));
      if (type !== 'heartbeat') yield line;
    }
  }

  /** The bytes of the answer, which the caller reads or leaves. */
  async download(path: string, asking: Asking = {}): Promise<AsyncIterable<Uint8Array>> {
    return this.#bytes(await this.#ask('GET', path, { ...asking, headMs: changeMs }));
  }

  async #json(method: Method, path: string, question: Question): Promise<unknown> {
    const answer = await this.#ask(method, path, question);
    if (answer.statusCode === 204) return answer.resume() && undefined;
    const text = await this.#text(answer);
    try {
      return JSON.parse(text);
    } catch {
      throw this.#foreign(answer);
    }
  }

  async #ask(method: Method, path: string, question: Question): Promise<IncomingMessage> {
    const answer = await this.#send(method, path, question);
    const { statusCode = 0 } = answer;
    if (statusCode >= 200 && statusCode < 300) return answer;
    const told = errorIn(await this.#text(answer));
    if (statusCode === 401) throw new Error(this.#unauthorized());
    if (told === undefined) throw this.#foreign(answer);
    throw new Error(statusCode === 404 && question.ifMissing ? `${told}; ${question.ifMissing}` : told);
  }

  async #send(method: Method, path: string, question: Question): Promise<IncomingMessage> {
    const { url, authorization } = this.#options;
    const { body, upload, signal } = question;
    const target = new URL(`${url.pathname.replace(/\/$/, '')}/api/v1${path}`, url.origin);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: RequestOptions = {
      method,
      agent: false,
      ...(signal && { signal }),
      headers: {
        ...(authorization !== undefined && { authorization }),
        ...(text !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        ...(upload && { 'content-type': 'application/x-tar' }),
        ...(upload?.sizeBytes !== undefined && { 'content-length': upload.sizeBytes }),
      },
    };
    const sent = target.protocol === 'https:' ? requestHttps(target, options) : requestHttp(target, options);
    const late = (ms: number, what: string) =>
      setTimeout(() => sent.destroy(new Error(`${what} within ${ms / 1000} s`)), ms);
    let timer = late(connectMs, 'no connection');
    sent.once('socket', (socket) => {
      socket.once(target.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(timer));
    });
    const onSent = () => {
      clearTimeout(timer);
      timer = late(question.headMs, 'no answer');
    };
    sent.once('finish', onSent);
    try {
      const answered = once(sent, 'response', signal && { signal }) as Promise<[IncomingMessage]>;
      const written = upload ? pipeline(upload.body, sent) : sent.end(text);
      // What it answers counts, even before all is sent: then the rest has no use.
      const failed = upload ? Promise.resolve(written).then(() => answered) : answered;
      const [answer] = await Promise.race([answered, failed]);
      answer.setTimeout(silenceMs, () => answer.destroy(new Error(`nothing came for ${silenceMs / 1000} s`)));
      // What breaks from here on shows where the answer is read.
      sent.on('error', () => {});
      return answer;
    } catch (cause) {
      throw new Error(`no mirror answers at ${this.url}: ${reasonOf(cause)}; ${this.#options.advice()}`, { cause });
    } finally {
      // An answer may begin before all is sent.
      sent.off('finish', onSent);
      clearTimeout(timer);
    }
  }

  async *#bytes(answer: IncomingMessage): AsyncGenerator<Uint8Array> {
    try {
      yield* answer as AsyncIterable<Uint8Array>;
    } catch (cause) {
      throw new Error(`the mirror at ${this.url} broke off: ${reasonOf(cause)}; see its log`, { cause });
    }
  }

  async #text(answer: IncomingMessage): Promise<string> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.#bytes(answer)) {
      length += chunk.length;
      if (length > maxBodyBytes) throw new Error(`the answer of ${this.url} is larger than ${maxBodyBytes} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
  }

  #unauthorized(): string {
    if (this.#options.authorization === undefined)
      return `the mirror at ${this.url} needs admin.token: set STILLWATER_ADMIN__TOKEN`;
    return `the mirror at ${this.url} does not take this admin.token: set STILLWATER_ADMIN__TOKEN to the one it has`;
  }

  #foreign({ statusCode }: IncomingMessage): Error {
    return new Error(
      `${this.url} is no admin listener of a mirror: it answered ${statusCode}, with nothing that one would say; give --admin URL`,
    );
  }
}

function errorIn(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text);
    return typeof error === 'string' ? error : undefined;
  } catch {
    return undefined;
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return 'nothing listens there';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'there is no such host';
  if (code === 'ECONNRESET') return 'the connection was closed';
  return message || code || 'unknown';
}
