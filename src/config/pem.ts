// The PEM files a configuration names: read, and tried before anything depends on them.
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { ConfigError } from './config-error.ts';

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
  /** The authorities of client certificates. */
  readonly clientCa?: string;
}

export interface KeyPairFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string | undefined;
}

/** `undefined` without a path. Throws `ConfigError` when the file holds no certificate. */
export async function readAuthorities(key: string, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const pem = await readPem(key, path);
  tryOut(`${key} cannot be used: ${path}`, () => {
    // X509Certificate reads the first of a bundle only.
    const bundle = pem.split(/(?=-----BEGIN )/).filter((block) => block.startsWith('-----BEGIN '));
    for (const block of bundle.length > 0 ? bundle : [pem]) new X509Certificate(block);
  });
  return pem;
}

/** `undefined` without files. Throws `ConfigError` for a key that is not the certificate's, and for authorities that are none. */
export async function readKeyPair(files: KeyPairFiles | undefined): Promise<KeyPair | undefined> {
  if (!files) return undefined;
  const { certFile, keyFile, clientCaFile } = files;
  const pair = {
    cert: await readPem('listen.tls.certFile', certFile),
    key: await readPem('listen.tls.keyFile', keyFile),
  };
  tryOut(`listen.tls cannot be used: ${certFile} with ${keyFile}`, () => {
    // OpenSSL takes an empty text for none at all, and would serve nothing without a word.
    if (!pair.cert.trim() || !pair.key.trim()) throw new Error('a file is empty');
    createSecureContext(pair);
  });
  const clientCa = await readAuthorities('listen.tls.clientCaFile', clientCaFile);
  return { ...pair, ...(clientCa !== undefined && { clientCa }) };
}

async function readPem(key: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new ConfigError(`${key} cannot be read: ${path}: ${why}; name a PEM file that this user may read`, { cause });
  }
}

/** What OpenSSL refuses is told here, under the key's name, rather than by the first connection. */
function tryOut(what: string, use: () => unknown): void {
  try {
    use();
  } catch (cause) {
    const why = (cause as Error).message.replace(/^.*::/, '');
    throw new ConfigError(`${what}: ${why}; name PEM files that belong together, the key without a password`, {
      cause,
    });
  }
}
