// One question as a client asks it, over a connection of its own: how fast the headers came, and whether the bytes are right.
import { type IncomingMessage, request } from 'node:http';
import { holdsAt, type ServedContent } from './served-content.ts';

export type Question = {
  readonly url: string;
  readonly method?: 'GET' | 'HEAD';
  /** What a 200 may be, told apart by Docker-Content-Digest. */
  readonly contents: readonly ServedContent[];
};

export type Answer = {
  readonly method: 'GET' | 'HEAD';
  /** 0 when no headers ever came. */
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly headersMs: number;
  readonly totalMs: number;
  /** Of the body. */
  readonly received: number;
  /** Ended in order, with as many bytes as were promised. */
  readonly isComplete: boolean;
  /** Of a 200: the digest is known, as many bytes were promised as it has, and those that came are the right ones. */
  readonly isTrue: boolean;
  /** The body of a refusal. */
  readonly text: string;
};

/** Longer than any client of ours may be kept; whatever is still open then is hung up. */
const longestMs = 60_000;

export async function ask({ url, method = 'GET', contents }: Question): Promise<Answer> {
  const startedAt = performance.now();
  const asked = request(url, { method, agent: false, signal: AbortSignal.timeout(longestMs) });
  const arrived = Promise.withResolvers<IncomingMessage>();
  asked.once('response', arrived.resolve);
  asked.once('error', arrived.reject);
  asked.end();
  const response = await arrived.promise.catch(() => undefined);
  const headersMs = performance.now() - startedAt;
  if (response === undefined) return { ...nothing, method, headersMs, totalMs: headersMs };
  const { statusCode: status = 0, headers } = response;
  const body = await read(response, status === 200 ? wanted(headers, contents) : undefined);
  const isTrue = body.isTrue && (status !== 200 || isAsPromised(headers, contents));
  return { method, status, headers, headersMs, totalMs: performance.now() - startedAt, ...body, isTrue };
}

const nothing = { status: 0, headers: {}, received: 0, isComplete: false, isTrue: true, text: '' };

function wanted(headers: Answer['headers'], contents: Question['contents']): ServedContent | undefined {
  return contents.find(({ digest }) => digest === headers['docker-content-digest']);
}

function isAsPromised(headers: Answer['headers'], contents: Question['contents']): boolean {
  return wanted(headers, contents)?.size === Number(headers['content-length']);
}

async function read(response: IncomingMessage, content: ServedContent | undefined) {
  let received = 0;
  let isTrue = true;
  let text = '';
  response.on('data', (chunk: Buffer) => {
    if (content !== undefined) isTrue &&= holdsAt(content, received, chunk);
    else text += chunk.toString('latin1').slice(0, 4096 - text.length);
    received += chunk.length;
  });
  response.on('error', () => {});
  await new Promise<void>((resolve) => response.once('close', () => resolve()));
  return { received, isTrue, text, isComplete: response.complete };
}
