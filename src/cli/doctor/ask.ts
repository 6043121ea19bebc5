// One GET: of the mirror, of its admin listener, or of dockerd at its socket.
import { type IncomingMessage, request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { getCACertificates } from 'node:tls';

export interface Place {
  readonly url: URL;
  /** A certificate to trust besides the system's authorities. */
  readonly ca?: string | undefined;
  /** By its certificate's name; not where this machine is asked by an address that no certificate has. */
  readonly isNameChecked?: boolean;
  /** Of a Unix socket, in place of the URL's host and port. */
  readonly socketPath?: string;
}

export interface AskOptions {
  readonly signal: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  /** Cut off after `mostBytes`. */
  readonly body: Buffer;
}

const mostBytes = 4 * 1024 * 1024;

/** Rejects with what the system says, which has a `code`. The caller reads the body or destroys it. */
export function open(place: Place, path: string, { signal, headers = {} }: AskOptions): Promise<IncomingMessage> {
  const { url, socketPath, ca, isNameChecked = true } = place;
  const request = url.protocol === 'https:' ? requestTls : requestPlain;
  const trust = ca === undefined ? {} : { ca: [...getCACertificates('default'), ca], allowPartialTrustChain: true };
  const leniency = isNameChecked ? {} : { checkServerIdentity: () => undefined };
  const target = `${url.pathname.replace(/\/+$/, '')}${path}`;
  return new Promise((resolve, reject) => {
    const { hostname, port } = url;
    const where = socketPath === undefined ? { host: hostname.replace(/^\[|\]$/g, ''), port } : { socketPath };
    request({
      ...where,
      ...trust,
      ...leniency,
      path: target,
      headers: { host: url.host, ...headers },
      agent: false,
      signal,
    })
      .once('response', resolve)
      .once('error', reject)
      .end();
  });
}

export async function ask(place: Place, path: string, options: AskOptions): Promise<Answer> {
  const response = await open(place, path, options);
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    pieces.push(piece);
    length += piece.length;
    if (length > mostBytes) break;
  }
  const { statusCode: status = 0, headers } = response;
  return { status, headers, body: Buffer.concat(pieces).subarray(0, mostBytes) };
}

/** Why nothing was answered, in a few words. */
export function whyNot(error: unknown): string {
  const { code, name, message } = error as NodeJS.ErrnoException;
  if (code === 'ECONNREFUSED') return 'nothing listens there (ECONNREFUSED)';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `its name is not known here (${code})`;
  if (name === 'AbortError' || name === 'TimeoutError') return 'it did not answer in time';
  return code ?? message;
}
