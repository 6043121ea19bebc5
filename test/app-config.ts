// A configuration file as small as a started program needs: free ports, a cache of its own, one upstream.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** `given`: whole sections in place of these. */
export function writeAppConfig(
  dir: string,
  upstreamUrl: string,
  given: Readonly<Record<string, unknown>>,
): Promise<void> {
  const content = {
    listen: { host: '127.0.0.1', port: 0 },
    admin: { port: 0 },
    cache: { dir: join(dir, 'cache') },
    upstreams: { 'docker.io': { endpoints: [upstreamUrl] } },
    log: { level: 'silent' },
    ...given,
  };
  return writeFile(join(dir, 'config.json'), JSON.stringify(content));
}
