// What can be set for one upstream, and the public registries that are known without a word of configuration.
import { z } from 'zod';
import { bytes, flag, host, list, oneOf, program, section, text, timeout, url, whole } from './fields.ts';

/** Lower case, as in an image reference: host, or host:port. */
const UPSTREAM_NAME = /^(\*|([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?)$/;

const BUILT_IN_NAMES = [
  'docker.io',
  'ghcr.io',
  'quay.io',
  'gcr.io',
  'registry.k8s.io',
  'mcr.microsoft.com',
  'public.ecr.aws',
  'registry.gitlab.com',
  'nvcr.io',
  'lscr.io',
  'docker.elastic.co',
];

const login = section({
  username: text().describe('The user name.'),
  password: text().describe('The password or access token.').meta({ writeOnly: true }),
});

const credentials = z
  .union(
    [
      login,
      list(login, 'a list of {username, password}').min(1),
      section({ dockerConfig: text().describe('A Docker config.json to look the registry up in.') }),
      section({ helper: program().describe('A Docker credential helper, without its docker-credential- prefix.') }),
      section({ exec: list(text(), 'a command').min(1).describe('A command that prints credentials as JSON.') }),
    ],
    {
      error:
        '{"username", "password"}, a list of these, {"dockerConfig": path}, {"helper": name} or {"exec": [command, argument]}',
    },
  )
  .describe('How to sign in at the upstream; a list of logins is rotated by remaining quota.')
  .meta({ writeOnly: true });

const upstream = section({
  endpoints: list(url(['https', 'http']), 'a list of URLs')
    .min(1, { error: 'a list of at least one URL' })
    .optional()
    .describe('Base URLs tried in order; https://NAME if none is given (Docker Hub: https://registry-1.docker.io).'),
  credentials: credentials.optional(),
  visibility: oneOf(['check', 'public', 'private'])
    .prefault('check')
    .describe('Who sees what the credentials can see: those the upstream agrees to, everyone, or known principals.'),
  caFile: text().optional().describe('A PEM file of certificate authorities to trust besides the public ones.'),
  connections: whole(1, 10_000).prefault(32).describe('Connections kept to each endpoint at most.'),
  parallel: whole(1, 64).prefault(4).describe('Segments of one blob fetched at the same time at most.'),
  rate: bytes().optional().describe('Bytes a second taken from the upstream at most.'),
  allow: list(text(), 'a list of globs').optional().describe('Globs of the only repository paths that may be pulled.'),
  deny: list(text(), 'a list of globs').optional().describe('Globs of repository paths that may not be pulled.'),
  connectTimeout: timeout().prefault('5s').describe('How long a connection may take to open.'),
  headersTimeout: timeout().prefault('10s').describe('How long an answer may take to begin.'),
  idleTimeout: timeout().prefault('30s').describe('How long a body may stand still.'),
  allowPrivate: flag()
    .optional()
    .describe(
      'Whether redirects and token realms may lead to private addresses; only if the endpoint does, by default.',
    ),
  realms: list(host(), 'a list of hosts').optional().describe('More token-realm hosts that credentials may go to.'),
});

type GivenUpstream = z.output<typeof upstream>;
export type Upstream = Omit<GivenUpstream, 'endpoints'> & {
  endpoints: string[];
  /** Of "*" only: the names that `null` takes out. */
  except?: string[];
};

const builtIn: Record<string, z.input<typeof upstream> | null> = Object.fromEntries(
  BUILT_IN_NAMES.map((name) => [name, { endpoints: [defaultEndpoint(name)] }]),
);

/** Every upstream by name: the built-in ones, changed, joined or (by `null`) reduced by those that are given. */
export const upstreams = z
  .codec(
    z.record(z.string().regex(UPSTREAM_NAME), upstream.nullable(), { error: 'an object' }),
    z.custom<Record<string, Upstream>>(),
    {
      decode: resolve,
      encode: withRemoved,
    },
  )
  .prefault(builtIn)
  .describe('Registries by the host that users write; null removes a built-in one, "*" lets any other public host in.');

function resolve(given: Record<string, GivenUpstream | null>): Record<string, Upstream> {
  const names = new Set([...BUILT_IN_NAMES, ...Object.keys(given)]);
  const except = [...names].filter((name) => Object.hasOwn(given, name) && given[name] === null);
  const resolved = [...names].flatMap((name) => {
    const own = Object.hasOwn(given, name) ? given[name] : upstream.parse({});
    if (!own) return [];
    return [[name, { ...withEndpoints(name, own), ...(name === '*' && { except }) }] as const];
  });
  return Object.fromEntries(resolved);
}

/** Names of Docker Hub that images are known by as docker.io. */
const dockerHubAliases = ['index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'];

/** Keys under which nothing would ever be looked up. */
export function misnamed(upstreams: Readonly<Record<string, Upstream>>): string[] {
  return dockerHubAliases.filter((name) => Object.hasOwn(upstreams, name));
}

/** What makes no sense for registries that nobody named. */
export function unlistedProblems(upstreams: Readonly<Record<string, Upstream>>): { key: string; allowed: string }[] {
  const unlisted = upstreams['*'];
  if (!unlisted) return [];
  const problems: [unknown, string, string][] = [
    [unlisted.endpoints[0], 'endpoints', 'none: each registry is asked at its own address'],
    [unlisted.credentials, 'credentials', 'none: they would go to any registry; name the one they are for'],
    [unlisted.allowPrivate, 'allowPrivate', 'false: name a registry on a private address as an upstream of its own'],
    [unlisted.realms?.[0], 'realms', 'none: name the registry they are for'],
  ];
  return problems.flatMap(([value, key, allowed]) => (value ? [{ key, allowed }] : []));
}

/** As it would be given: a built-in upstream that is gone was removed by `null`. */
function withRemoved(resolved: Record<string, Upstream>): Record<string, GivenUpstream | null> {
  const gone = BUILT_IN_NAMES.filter((name) => !Object.hasOwn(resolved, name));
  const removed = [...gone, ...(resolved['*']?.except ?? [])].map((name) => [name, null] as const);
  const kept = Object.entries(resolved).map(([name, { except: _, endpoints, ...own }]) => {
    return [name, endpoints.length === 0 ? own : { ...own, endpoints }] as const;
  });
  return Object.fromEntries([...kept, ...removed]);
}

function withEndpoints(name: string, own: GivenUpstream): Upstream {
  // Paths are appended to an endpoint, so that a slash at its end would be doubled.
  const endpoints = own.endpoints?.map((endpoint) => endpoint.replace(/\/+$/, ''));
  return { ...own, endpoints: endpoints ?? (name === '*' ? [] : [defaultEndpoint(name)]) };
}

function defaultEndpoint(name: string): string {
  return name === 'docker.io' ? 'https://registry-1.docker.io' : `https://${name}`;
}
