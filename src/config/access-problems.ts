// What the keys under `access` say that cannot be meant: rules that would match nothing, and doors that open for nobody.
import type { z } from 'zod';
import type { access } from './access-schema.ts';

export interface AccessProblem {
  readonly path: (string | number)[];
  readonly allowed: string;
}

interface Given {
  readonly access: z.output<typeof access>;
  readonly listen: { readonly tls?: { readonly clientCaFile?: string | undefined } | undefined };
  readonly upstreams: Readonly<Record<string, unknown>>;
}

export function accessProblems(config: Given): AccessProblem[] {
  return [...unknownToAll(config), ...rulesInVain(config)];
}

function unknownToAll({ access, listen }: Given): AccessProblem[] {
  const { anonymous, htpasswdFile, tokensFile, oidc = [], networks = [] } = access;
  const files = [htpasswdFile, tokensFile, listen.tls?.clientCaFile];
  const isAnybodyKnown = files.some((file) => file !== undefined) || oidc.length + networks.length > 0;
  if (anonymous === 'pull' || isAnybodyKnown) return [];
  const allowed =
    '"pull", or "none" together with a way to be known: htpasswdFile, tokensFile, oidc, networks or listen.tls.clientCaFile';
  return [{ path: ['access', 'anonymous'], allowed }];
}

/** A rule that never matches is worse than none: what it was to deny is let through. */
function rulesInVain({ access, upstreams }: Given): AccessProblem[] {
  return access.rules.flatMap(({ repositories }, rule) =>
    repositories.flatMap((glob, at) => {
      const allowed = globObjection(glob, Object.keys(upstreams));
      return allowed === undefined ? [] : [{ path: ['access', 'rules', rule, 'repositories', at], allowed }];
    }),
  );
}

const longest = 1000;

/** What a glob over `registry/path` would have to be instead of this one, which matches nothing; `*` is any upstream. */
export function globObjection(glob: string, upstreams: readonly string[]): string | undefined {
  const slash = glob.indexOf('/');
  const registry = slash === -1 ? glob : glob.slice(0, slash);
  const path = slash === -1 ? '' : glob.slice(slash + 1);
  if (glob.length > longest) return `a glob of at most ${longest} characters`;
  if (slash === -1 && !glob.includes('**'))
    return 'a glob over registry/path, such as "docker.io/acme/**"; "**" is all';
  if (!registry.includes('*') && !upstreams.includes(registry) && !upstreams.includes('*'))
    return `a glob that begins with one of the upstreams: ${upstreams.join(', ')}`;
  if (/[:@]/.test(path)) return 'a glob over repositories, without tag or digest';
  if (/[^a-z0-9._/*-]/.test(path) || /[^a-z0-9._:[\]*-]/.test(registry)) return 'a glob over lower-case paths';
  if (registry === 'docker.io' && !path.includes('/') && !path.includes('**'))
    return `a glob over two parts: names of one part are under "docker.io/library/${path}"`;
  return undefined;
}
