// Who may pull what, put together from what the configuration says; its files are read again when they change.
import { readFile } from 'node:fs/promises';
import { Access } from './access/access.ts';
import { loadBcrypt } from './access/bcrypt.ts';
import { TrustedProxies } from './access/client-address.ts';
import { parseHtpasswd } from './access/htpasswd.ts';
import { IssuedTokens } from './access/issued-tokens.ts';
import { LastUses } from './access/last-uses.ts';
import { Lockout } from './access/lockout.ts';
import { Networks } from './access/networks.ts';
import { Identities, type TrustedIssuer } from './access/oidc.ts';
import { Passwords } from './access/passwords.ts';
import { type Rule, Rules } from './access/rules.ts';
import { parseTokenFile } from './access/token-file.ts';
import { Tokens } from './access/tokens.ts';
import { Visibility } from './access/visibility.ts';
import { errorText, type Log } from './observe/log.ts';
import type { Records } from './store/records.ts';

export interface AccessSettings {
  readonly anonymous: 'pull' | 'none';
  readonly htpasswdFile?: string | undefined;
  readonly tokensFile?: string | undefined;
  readonly oidc?: readonly TrustedIssuer[] | undefined;
  readonly networks?: readonly { readonly cidr: string; readonly principal: string }[] | undefined;
  readonly rules: readonly Rule[];
  /** How long an upstream's word that a repository is public stands in for a newer one. */
  readonly staleMs?: number | undefined;
  readonly trustedProxies: readonly string[];
}

export interface AccessParts {
  readonly records: Pick<Records, 'verdict' | 'putVerdict'>;
  readonly log: Log;
  /** Calls back when the file may have changed. */
  readonly watch: (path: string, onChange: () => Promise<unknown>) => Disposable;
}

export interface OpenAccess extends AsyncDisposable {
  readonly access: Access;
  readonly proxies: TrustedProxies;
}

/** Throws one error that names the key, the file and what is wrong with it. */
export async function openAccess(settings: AccessSettings, { records, log, watch }: AccessParts): Promise<OpenAccess> {
  const { anonymous, htpasswdFile, tokensFile, oidc = [], networks = [], rules, trustedProxies, staleMs } = settings;
  await using opened = new AsyncDisposableStack();
  const passwords = new Passwords({ lockout: new Lockout() });
  const tokens = new Tokens();

  const follow = async <T>(key: string, path: string, { parse, use }: FileUse<T>) => {
    const read = async () => use(parsed({ key, path, text: await textOf(key, path) }, parse));
    // Before it is read: what changes in between is seen.
    const readAgain = () =>
      read().then(
        () => log.info({ key, path }, 'read again'),
        (error) => log.error({ key, path, error: errorText(error) }, 'what was read before counts'),
      );
    opened.use(watch(path, readAgain));
    await read();
  };
  if (htpasswdFile !== undefined) {
    await loadBcrypt();
    await follow('access.htpasswdFile', htpasswdFile, {
      parse: parseHtpasswd,
      use: (hashes) => passwords.use(hashes),
    });
  }
  if (tokensFile !== undefined) {
    await follow('access.tokensFile', tokensFile, {
      parse: parseTokenFile,
      use: (file) => tokens.use(file),
    });
    const onProblem = (problem: string) => log.warn({ problem }, 'nothing is lost but who used a token when');
    const lastUses = new LastUses({ tokensFile, tokens, onProblem });
    await lastUses.start();
    opened.defer(() => lastUses.stop());
  }
  const access = new Access({
    asksForCredentials: anonymous === 'none',
    networks: new Networks(networks),
    passwords,
    tokens,
    issued: new IssuedTokens(),
    identities: new Identities(oidc, {
      onProblem: (issuer, problem) => log.warn({ issuer, problem }, 'an issuer of identities cannot be asked'),
    }),
    rules: new Rules(rules),
    visibility: new Visibility({
      staleMs,
      verdicts: {
        get: (repository) => records.verdict(repository),
        put: (repository, isPublic, at) => records.putVerdict(repository, isPublic, at),
      },
    }),
  });
  const parts = opened.move();
  return {
    access,
    proxies: new TrustedProxies(trustedProxies),
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

interface KeyedText {
  readonly key: string;
  readonly path: string;
  readonly text: string;
}

interface FileUse<T> {
  readonly parse: (text: string) => T;
  readonly use: (parsed: T) => void;
}

async function textOf(key: string, path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((cause) => {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new Error(`${key} cannot be read: ${path}: ${why}; name a file that this user may read`, { cause });
  });
}

function parsed<T>({ key, path, text }: KeyedText, parse: (text: string) => T): T {
  try {
    return parse(text);
  } catch (cause) {
    throw new Error(`${key} cannot be used: ${path}: ${(cause as Error).message}`, { cause });
  }
}
