// Fills a cache before it is measured, and proves that what it gives is what it was given.
import { createHash } from 'node:crypto';
import { get } from 'node:http';
import { get as getTls } from 'node:https';
import { pipeline } from 'node:stream/promises';
import type { Target } from '../../test/support/load-exchange.ts';
import { accept } from '../../test/support/peer-origin.ts';
import { sha256 } from '../../test/support/served-content.ts';
import { until } from '../../test/support/until.ts';

type Fetched = { readonly status: number; readonly sha256: string; readonly outcome: string; readonly etag: string };

/** Until every answer is right and none is a miss any more. */
export async function warm(server: Target, files: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [path, bytes] of files) {
    await until(`port ${server.port} has ${path}`, async () => {
      const fetched = await fetchHash(server, path);
      if (fetched.status !== 200) throw new Error(`${path}: ${fetched.status}`);
      if (fetched.sha256 !== sha256(bytes)) throw new Error(`${path}: wrong bytes`);
      return !fetched.outcome.includes('fwd=');
    });
  }
  // Neither cache tells when it is done storing; what is read once more is read from the disk.
  for (const path of files.keys()) await fetchHash(server, path);
}

export async function fetchHash({ port, tls = false }: Target, path: string): Promise<Fetched> {
  const options = { host: '127.0.0.1', port, path, headers: accept, agent: false, rejectUnauthorized: false };
  const hash = createHash('sha256');
  return await new Promise<Fetched>((resolve, reject) => {
    const asked = (tls ? getTls : get)(options, (answer) => {
      const { headers, statusCode: status = 0 } = answer;
      const [outcome, etag] = [String(headers['cache-status'] ?? ''), headers.etag ?? ''];
      const told = () => resolve({ status, sha256: `sha256:${hash.digest('hex')}`, outcome, etag });
      pipeline(answer, hash).then(told, reject);
    });
    asked.once('error', reject);
  });
}
