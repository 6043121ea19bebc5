// The bodies of requests: JSON that is bounded in bytes and time, archives as they come, and what nobody wants.
import type { IncomingMessage } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import { HTTPException } from 'hono/http-exception';
import { abandonable } from '../upstream/abandonable.ts';

const mostJsonBytes = 1024 * 1024;
const longestJsonMs = 30_000;
const lingerMs = 10_000;

/** Whoever asks before sending is told to go on; once, and before the answer begins. */
export function inviteBody({ incoming, outgoing }: HttpBindings): void {
  if (incoming.headers.expect?.toLowerCase() === '100-continue' && !incoming.complete) outgoing.writeContinue();
}

/** As it comes, no faster than it is read. The connection outlives it: it is still needed for the answer. */
export function bodyOf(incoming: IncomingMessage): AsyncIterable<Buffer> {
  return incoming.iterator({ destroyOnReturn: false });
}

/** No body is an empty object. Throws what is answered with 400. */
export async function readJson(connection: HttpBindings, ms = longestJsonMs): Promise<unknown> {
  inviteBody(connection);
  const text = await abandonable(readText(bodyOf(connection.incoming)), AbortSignal.timeout(ms)).catch(
    (error: Error) => {
      if (error instanceof HTTPException) throw error;
      throw refused(
        error.name === 'TimeoutError' ? `the body did not come within ${ms / 1000} s` : 'the body ended early',
      );
    },
  );
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    throw refused('the body is not JSON');
  }
}

/** A client that sees its connection close while it sends may never read what it was told. */
export async function discardBody(incoming: IncomingMessage, signal: AbortSignal): Promise<void> {
  if (incoming.complete || signal.aborted) return;
  incoming.removeAllListeners('readable');
  incoming.resume();
  const end = Promise.withResolvers<void>();
  incoming.once('end', end.resolve);
  await abandonable(end.promise, AbortSignal.any([signal, AbortSignal.timeout(lingerMs)])).catch(() => {});
}

async function readText(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > mostJsonBytes) throw refused('the body is above 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function refused(message: string): HTTPException {
  return new HTTPException(400, { message });
}
