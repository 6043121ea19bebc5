// A small JSON document from an address, and nothing else: no redirect, no large body, no longer than the signal allows.

export interface FetchJsonOptions {
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal;
}

const largestBody = 256 * 1024;

/** Throws an error that says what came instead. */
export async function fetchJson(url: string, { fetch, signal }: FetchJsonOptions): Promise<unknown> {
  const response = await fetch(url, { redirect: 'manual', signal, headers: { accept: 'application/json' } });
  try {
    if (response.status !== 200) throw new Error(`${url} answered ${response.status} where only 200 will do`);
    return parse(await readBody(response, url), url);
  } finally {
    // A body that was left is a connection that is kept.
    await response.body?.cancel().catch(() => {});
  }
}

async function readBody(response: Response, url: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of response.body ?? []) {
    size += piece.byteLength;
    if (size > largestBody) throw new Error(`${url} answered with more than ${largestBody} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}

function parse(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${url} answered with something that is not JSON`);
  }
}
