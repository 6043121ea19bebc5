// Who may pull what, put together from what the configuration says; its files are read again when they change.
import { LRUCache } from 'lru-cache';
import { Access } from './access/access.ts';
import { readTokens, readUsers } from './access/access-files.ts';
import { loadBcrypt } from './access/bcrypt.ts';
import { TrustedProxies } from './access/client-address.ts';
import { IssuedTokens } from './access/issued-tokens.ts';
import { LastUses } from './access/last-uses.ts';
import { Lockout } from './access/lockout.ts';
import { Networks } from './access/networks.ts';
import { Identities, type TrustedIssuer } from './access/oidc.ts';
import { Passwords } from './access/passwords.ts';
import { type Rule, Rules } from './access/rules.ts';
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

/** What must outlive a change of the settings: a pull in its middle shows its token again, and who tried is remembered. */
export interface LastingAccess {
  readonly issued: IssuedTokens;
  /** What was issued to users and for tokens is worth no more than these say. */
  readonly passwords: Passwords;
  readonly tokens: Tokens;
}

export function lastingAccess(log: Log): LastingAccess {
  const onLocked = (address: string) =>
    log.warn({ address }, 'too many wrong passwords: none is heard from there for a minute');
  const passwords = new Passwords({ lockout: new Lockout({ onLocked }) });
  return { issued: new IssuedTokens(), passwords, tokens: new Tokens() };
}

export interface AccessParts extends LastingAccess {
  readonly records: Pick<Records, 'verdict' | 'putVerdict'>;
  readonly log: Log;
  /** Calls back when the file may have changed. */
  readonly watch: (path: string, onChange: () => Promise<unknown>) => Disposable;
}

export interface OpenAccess extends AsyncDisposable {
  readonly access: Access;
  readonly proxies: TrustedProxies;
  /** Its users and tokens count from now on, and no others. Once, before it is asked anything. */
  begin(): void;
}

/** Throws one error that names the key, the file and what is wrong with it. */
export async function openAccess(settings: AccessSettings, parts: AccessParts): Promise<OpenAccess> {
  const { records, log, watch, issued, passwords, tokens } = parts;
  const { anonymous, htpasswdFile, tokensFile, oidc = [], networks = [], rules, trustedProxies, staleMs } = settings;
  await using opened = new AsyncDisposableStack();
  let users: Awaited<ReturnType<typeof readUsers>> = new Map();
  let named: Awaited<ReturnType<typeof readTokens>> = [];
  let isInUse = false;
  opened.defer(() => {
    isInUse = false;
  });
  const use = () => {
    passwords.use(users);
    tokens.use(named);
  };

  /** Followed before it is read, so that what changes in between is seen. */
  const follow = async (path: string, read: () => Promise<void>) => {
    const readAgain = () =>
      read().then(
        () => {
          if (isInUse) use();
          log.info({ path }, 'read again');
        },
        (error: Error) => log.error({ error: error.message }, 'a file was not read again: what was read before counts'),
      );
    opened.use(watch(path, readAgain));
    await read();
  };
  if (htpasswdFile !== undefined) {
    await loadBcrypt();
    await follow(htpasswdFile, async () => {
      users = await readUsers(htpasswdFile);
    });
  }
  if (tokensFile !== undefined) {
    await follow(tokensFile, async () => {
      named = await readTokens(tokensFile);
    });
  }
  const onProblem = (problem: string) => log.warn({ problem }, 'nothing is lost but who used a token when');
  const lastUses = tokensFile === undefined ? undefined : new LastUses({ tokensFile, tokens, onProblem });
  opened.defer(() => lastUses?.stop());
  const proxies = new TrustedProxies(trustedProxies);
  const places = new Networks(networks);
  /** Of what an upstream does not tell, one line a minute says enough. */
  const told = new LRUCache<string, true>({ max: 1000, ttl: 60_000 });
  const access = new Access({
    asksForCredentials: anonymous === 'none',
    // What a proxy does not say whom it brings stands for nobody, wherever the proxy itself is.
    networks: { principalOf: (address) => (proxies.isTrusted(address) ? undefined : places.principalOf(address)) },
    passwords,
    tokens,
    issued,
    identities: new Identities(oidc, {
      onProblem: (issuer, problem) => log.warn({ issuer, problem }, 'an issuer of identities cannot be asked'),
    }),
    rules: new Rules(rules),
    visibility: new Visibility({
      staleMs,
      onProblem: ({ registry, path }, error) => {
        if (told.has(registry)) return;
        told.set(registry, true);
        log.warn({ registry, path, error: errorText(error) }, 'nobody could tell whether it is public');
      },
      verdicts: {
        get: (repository) => records.verdict(repository),
        put: (repository, isPublic, at) => records.putVerdict(repository, isPublic, at),
      },
    }),
  });
  const open = opened.move();
  return {
    access,
    proxies,
    begin: () => {
      isInUse = true;
      use();
      void lastUses?.start();
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
