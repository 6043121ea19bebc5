// The files that a configuration names, looked at without a start: what is there must be usable.
import { readTokens, readUsers } from '../access/access-files.ts';
import { ConfigError } from '../config/config-error.ts';
import { readAuthorities, readKeyPair } from '../config/pem.ts';
import type { Config } from '../config/schema.ts';

/**
 * Resolves to warnings about files that cannot be read here: a configuration may be checked elsewhere than where its
 * files are. Throws `ConfigError` for the first whose content cannot be used.
 */
export async function checkFiles({ access, listen, upstreams }: Config): Promise<string[]> {
  const { htpasswdFile, tokensFile } = access;
  const looks = [
    () => readKeyPair(listen.tls),
    ...(htpasswdFile === undefined ? [] : [() => readUsers(htpasswdFile)]),
    ...(tokensFile === undefined ? [] : [() => readTokens(tokensFile)]),
    ...Object.entries(upstreams).map(
      ([name, { caFile }]) =>
        () =>
          readAuthorities(`upstreams.${name}.caFile`, caFile),
    ),
  ];
  const warnings: string[] = [];
  for (const look of looks) {
    try {
      await look();
    } catch (error) {
      const { message, cause } = error as Error & { cause?: NodeJS.ErrnoException };
      if (cause?.syscall === undefined) throw new ConfigError(message, { cause });
      warnings.push(message);
    }
  }
  return warnings;
}
