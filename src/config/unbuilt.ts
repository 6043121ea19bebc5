// Keys of the contract that this version does not act on: refused where ignoring them would mislead, else warned about.
import { isDeepStrictEqual } from 'node:util';
import { keyName, valueAt } from './keys.ts';
import type { Problem } from './problems.ts';
import type { Config, UpstreamConfig } from './schema.ts';

export interface Unbuilt {
  readonly refusals: readonly Problem[];
  readonly warnings: readonly string[];
}

const REFUSED: Readonly<Record<string, string>> = {
  'listen.tls.clientCaFile': 'client certificates would not be checked; remove it',
  'admin.token': 'nothing would be protected by it; remove it',
  'admin.protectMetrics': '/metrics would stay open; remove it',
  'access.anonymous': 'everyone may pull; leave it at "pull"',
  'access.htpasswdFile': 'nobody would be asked for a password; remove it',
  'access.tokensFile': 'nobody would be asked for a token; remove it',
  'access.oidc': 'nobody would be asked for a token; remove it',
  'access.networks': 'clients would not be told apart; remove it',
  'access.rules': 'everyone could pull everything; remove them',
  'prefetch.schedule': 'nothing would be pulled at those times; remove it',
  offline: 'upstreams would still be asked; leave it at false',
  tier: 'nothing would be kept in the bucket; remove it',
  redis: 'replicas would not know of each other; remove it',
};

const REFUSED_OF_UPSTREAM: Readonly<Record<string, string>> = {
  allow: 'other paths could be pulled all the same; remove it',
  deny: 'these paths could be pulled all the same; remove it',
  allowPrivate: 'addresses are not told apart; remove it',
  realms: 'credentials would not go there; remove it',
};

const WARNED: Readonly<Record<string, string>> = {
  'listen.trustedProxies': 'X-Forwarded-* headers are not read',
  'tags.staleWhileRevalidate': 'a tag past its ttl is checked before it is served',
  'tags.negativeTtl': '"not found" is not remembered',
  'tags.rules': 'all tags go by the same times',
  'tracing.endpoint': 'no traces are sent',
};

const WARNED_OF_UPSTREAM: Readonly<Record<string, string>> = {
  rate: 'the upstream is read as fast as it goes',
};

/** Compares with the defaults: a key that is given as it would be anyway is neither refused nor warned about. */
export function findUnbuilt(config: Config, defaults: Config): Unbuilt {
  const refusals = changed(REFUSED, config, defaults).map(refusal);
  const warnings = changed(WARNED, config, defaults).map(warning);
  const usual = defaults.upstreams[defaults.defaultUpstream];
  for (const [name, upstream] of Object.entries(config.upstreams)) {
    const path = ['upstreams', name];
    if (name === '*') {
      refusals.push(refusal({ path, why: 'list each upstream by its name instead' }));
      continue;
    }
    refusals.push(...changed(REFUSED_OF_UPSTREAM, upstream, usual, path).map(refusal), ...refusedOf(upstream, path));
    warnings.push(...changed(WARNED_OF_UPSTREAM, upstream, usual, path).map(warning));
  }
  return { refusals, warnings };
}

interface Finding {
  readonly path: readonly string[];
  readonly why: string;
}

function changed(
  table: Readonly<Record<string, string>>,
  given: unknown,
  usual: unknown,
  above: readonly string[] = [],
) {
  return Object.entries(table).flatMap(([key, why]): Finding[] => {
    const path = key.split('.');
    const value = valueAt(given, path);
    return value === undefined || isDeepStrictEqual(value, valueAt(usual, path))
      ? []
      : [{ path: [...above, ...path], why }];
  });
}

function refusedOf({ endpoints, credentials, visibility }: UpstreamConfig, path: readonly string[]): Problem[] {
  const problems: Problem[] = [];
  if (endpoints.length > 1) {
    problems.push(refusal({ path: [...path, 'endpoints'], why: 'only one endpoint can be used; leave one' }));
  }
  if (credentials && !('username' in credentials)) {
    problems.push(
      refusal({ path: [...path, 'credentials'], why: 'of credentials only one {username, password} can be used' }),
    );
  }
  if (credentials && visibility !== 'public') {
    const message =
      `${keyName([...path, 'visibility'])}: "${visibility}" with credentials is not in this version: it cannot tell yet who may ` +
      'see private content; set visibility to "public" to serve what these credentials can see to everyone';
    problems.push({ path: [...path, 'visibility'], message });
  }
  return problems;
}

function refusal({ path, why }: Finding): Problem {
  return { path, message: `${keyName(path)} is not in this version: ${why}` };
}

function warning({ path, why }: Finding): string {
  return `${keyName(path)} has no effect in this version: ${why}`;
}
