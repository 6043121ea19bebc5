// The files that the keys under `access` name, read and parsed; what is wrong with one is told with its key and path.
import { readFile } from 'node:fs/promises';
import { parseHtpasswd } from './htpasswd.ts';
import { parseTokenFile, type TokenRecord } from './token-file.ts';

/** Throws one Error for people. Its cause has the code of a file that cannot be read. */
export function readUsers(path: string): Promise<ReadonlyMap<string, string>> {
  return read('access.htpasswdFile', path, parseHtpasswd);
}

/** As `readUsers`. */
export function readTokens(path: string): Promise<readonly TokenRecord[]> {
  return read('access.tokensFile', path, parseTokenFile);
}

async function read<T>(key: string, path: string, parse: (text: string) => T): Promise<T> {
  const text = await readFile(path, 'utf8').catch((cause) => {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new Error(`${key} cannot be read: ${path}: ${why}; name a file that this user may read`, { cause });
  });
  try {
    return parse(text);
  } catch (cause) {
    throw new Error(`${key} cannot be used: ${path}: ${(cause as Error).message}`, { cause });
  }
}
