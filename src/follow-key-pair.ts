// The certificate of the registry listener: read again when it changes, and told of before it is over.
import { expiryWarning } from './config/expiry.ts';
import { type KeyPair, readKeyPair } from './config/pem.ts';
import type { Config } from './config/schema.ts';
import { watchFiles } from './config/watch.ts';
import type { RunningServer } from './http/server.ts';
import type { Log } from './observe/log.ts';

/** What was read before counts until there is a pair that can be used. */
export function followKeyPair(
  files: NonNullable<Config['listen']['tls']>,
  registry: Pick<RunningServer, 'useTls'>,
  log: Log,
): Disposable {
  const { certFile, keyFile, clientCaFile } = files;
  const paths = [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
  return watchFiles(paths, async () => {
    try {
      const pair = await readKeyPair(files);
      if (!pair) return;
      registry.useTls(pair);
      log.info({ paths }, 'the certificate was read again');
      warnOfExpiry(pair, log);
    } catch (error) {
      log.error({ paths, error: (error as Error).message }, 'the certificate was not read again; the old one counts');
    }
  });
}

export function warnOfExpiry(pair: Pick<KeyPair, 'cert'>, log: Log): void {
  const warning = expiryWarning(pair);
  if (warning !== undefined) log.warn(warning);
}
